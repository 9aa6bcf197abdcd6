//! The only file that opens a socket. One WebSocket for the whole page: the lab's state, and the stream of each run that
//! is being watched. It comes back by itself, and a run's stream goes on where it broke off.
//!
//! A beat comes each second; without one for [`SILENCE_MS`] the socket is taken for dead, whatever the browser says, since
//! a laptop that slept keeps a socket "open" that leads nowhere.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};
use wire::live::{FromPage, LabState, Tick, ToPage};
use wire::look::Look;
use wire::run::Cursor;
use wire::{RunId, encode};

use crate::api;
use crate::parts::Toasts;

/// Silence after which the socket is dead.
const SILENCE_MS: f64 = 5_000.0;
/// Silence after which a page that comes back into sight does not wait any longer.
const DOUBT_MS: f64 = 2_500.0;
/// Waits between tries: the first, and the longest.
const FIRST_WAIT_MS: f64 = 250.0;
const LONGEST_WAIT_MS: f64 = 8_000.0;

/// How the socket stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Connection {
    /// Not open yet.
    Connecting {
        /// Tries so far.
        retry: u32,
    },
    /// Open.
    Open,
    /// It was open.
    Lost {
        /// Tries since.
        retry: u32,
        /// When the last word came, milliseconds since 1970.
        since_ms: i64,
    },
}

/// What a watched run's stream brings.
pub(crate) enum News {
    /// What is new since the tick before.
    Tick(Box<Tick>),
    /// The stream has a gap: fetch the run again, then [`Watch::go_on`] from its cursor.
    Resync,
}

type OnNews = Rc<dyn Fn(News)>;

/// One run that is being watched.
struct Watched {
    number: u32,
    run: RunId,
    cursor: Cursor,
    on_news: OnNews,
}

/// The socket and what is wanted of it. Closures borrow it only for a moment, never across a call to the page.
#[derive(Default)]
struct Line {
    socket: Option<Socket>,
    watched: Vec<Watched>,
    /// What this page wants to see inside a run.
    probes: Option<(RunId, Vec<Look>)>,
    last_number: u32,
    retry: u32,
    last_word_ms: f64,
    next_try: Option<TimeoutHandle>,
    is_closed: bool,
}

/// A socket and the closures that it calls; they live as long as it does.
struct Socket {
    socket: WebSocket,
    _on_open: Closure<dyn Fn()>,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_close: Closure<dyn Fn()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

/// The live state, in context for everyone.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    /// The lab as the server last told it.
    pub(crate) lab: RwSignal<Option<LabState>>,
    /// How the socket stands.
    pub(crate) connection: RwSignal<Connection>,
    line: StoredValue<Rc<RefCell<Line>>, LocalStorage>,
    toasts: Option<Toasts>,
}

/// A hold on a run's stream.
#[derive(Clone, Copy)]
pub(crate) struct Watch {
    live: Live,
    number: u32,
}

impl Live {
    /// Opens the socket, and keeps it open until the surrounding component goes.
    pub(crate) fn start() -> Self {
        let live = Self {
            lab: RwSignal::new(None),
            connection: RwSignal::new(Connection::Connecting { retry: 0 }),
            line: StoredValue::new_local(Rc::default()),
            toasts: use_context(),
        };
        live.open();
        live.keep();
        live
    }

    /// Streams a run from `since` on. The stream survives broken sockets; it ends with [`Watch::leave`].
    pub(crate) fn watch_run(self, run: RunId, since: Cursor, on_news: impl Fn(News) + 'static) -> Watch {
        let number = self.with_line(|line| {
            line.last_number += 1;
            line.watched.push(Watched {
                number: line.last_number,
                run: run.clone(),
                cursor: since,
                on_news: Rc::new(on_news),
            });
            line.last_number
        });
        self.say(&FromPage::WatchRun { run, since });
        Watch { live: self, number: number.unwrap_or(0) }
    }

    /// What this page wants to see inside a run, in place of what it wanted before; with none, nothing more.
    pub(crate) fn probe(self, run: RunId, looks: Vec<Look>) {
        let kept = (!looks.is_empty()).then(|| (run.clone(), looks.clone()));
        self.with_line(|line| line.probes = kept);
        self.say(&FromPage::Probe { run, looks });
    }

    /// None once the page has let go of the whole socket.
    fn with_line<T>(self, act: impl FnOnce(&mut Line) -> T) -> Option<T> {
        self.line.try_with_value(|line| act(&mut line.borrow_mut()))
    }

    /// Sends a message; while the socket is not open this does nothing, since opening says it all anew.
    fn say(self, message: &FromPage) {
        let socket = self.with_line(|line| line.socket.as_ref().map(|socket| socket.socket.clone())).flatten();
        let Some(socket) = socket.filter(|socket| socket.ready_state() == WebSocket::OPEN) else { return };
        if let Ok(bytes) = encode::to_bytes(message) {
            // A socket that breaks at this moment says so by closing.
            let _ = socket.send_with_u8_array(&bytes);
        }
    }

    /// Opens a fresh socket in place of whatever there was.
    fn open(self) {
        let location = window().location();
        let scheme = if location.protocol().as_deref() == Ok("https:") { "wss" } else { "ws" };
        let Ok(host) = location.host() else { return };
        let Ok(socket) = WebSocket::new(&format!("{scheme}://{host}/api/v1/live")) else { return };
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_open = Closure::<dyn Fn()>::new(move || self.opened());
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| self.heard(&event));
        let on_close = Closure::<dyn Fn()>::new(move || self.broke());
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        let fresh = Socket { socket, _on_open: on_open, _on_message: on_message, _on_close: on_close };
        let old = self.with_line(|line| {
            line.last_word_ms = now_ms();
            line.next_try = None;
            line.socket.replace(fresh)
        });
        // Its closures may be what runs now: it goes once they have returned.
        soon(move || drop(old));
    }

    /// Says what is wanted, all of it.
    fn opened(self) {
        let wanted = self.with_line(|line| {
            line.retry = 0;
            line.last_word_ms = now_ms();
            let watched = line.watched.iter().map(|watched| (watched.run.clone(), watched.cursor)).collect::<Vec<_>>();
            (watched, line.probes.clone())
        });
        let (watched, probes) = wanted.unwrap_or_default();
        self.connection.set(Connection::Open);
        self.say(&FromPage::WatchLab);
        for (run, since) in watched {
            self.say(&FromPage::WatchRun { run, since });
        }
        if let Some((run, looks)) = probes {
            self.say(&FromPage::Probe { run, looks });
        }
    }

    fn heard(self, event: &MessageEvent) {
        self.with_line(|line| line.last_word_ms = now_ms());
        let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else { return };
        match encode::from_bytes::<ToPage>(&js_sys::Uint8Array::new(&buffer).to_vec()) {
            Ok(ToPage::Lab(lab)) => self.lab.set(Some(lab)),
            Ok(ToPage::Tick(tick)) => self.tell(tick),
            Ok(ToPage::Resync { run }) => self.tell_resync(&run),
            Ok(ToPage::Beat { .. }) => {}
            Ok(ToPage::Refused { message }) => self.complain(message),
            Err(source) => self.complain(format!(
                "A live message was not understood ({source}); the page may be older than the server: reload it."
            )),
        }
    }

    fn complain(self, message: String) {
        if let Some(toasts) = self.toasts {
            toasts.say(message);
        }
    }

    fn tell(self, tick: Tick) {
        let listeners = self.with_line(|line| {
            let of_run = line
                .watched
                .iter_mut()
                .filter(|watched| watched.run == tick.run && is_next(watched.cursor, tick.cursor));
            of_run
                .map(|watched| {
                    watched.cursor = tick.cursor;
                    watched.on_news.clone()
                })
                .collect::<Vec<_>>()
        });
        for on_news in listeners.unwrap_or_default() {
            on_news(News::Tick(Box::new(tick.clone())));
        }
    }

    fn tell_resync(self, run: &RunId) {
        let of_run = |line: &mut Line| {
            line.watched
                .iter()
                .filter(|watched| watched.run == *run)
                .map(|watched| watched.on_news.clone())
                .collect::<Vec<_>>()
        };
        for on_news in self.with_line(of_run).unwrap_or_default() {
            on_news(News::Resync);
        }
    }

    /// The socket is gone: says so and plans the next try, each later than the one before.
    fn broke(self) {
        let planned = self.with_line(|line| {
            if line.is_closed || line.next_try.is_some() {
                return None;
            }
            line.retry += 1;
            Some((line.retry, line.last_word_ms))
        });
        let Some((retry, last_word_ms)) = planned.flatten() else { return };
        // A socket does not say why it was shut. A lab that no longer knows this browser says so to any question, and the page then
        // asks to sign in.
        spawn_local(async { drop(api::me().await) });
        self.connection.update(|connection| {
            *connection = match *connection {
                Connection::Connecting { .. } => Connection::Connecting { retry },
                Connection::Open => Connection::Lost { retry, since_ms: last_word_ms as i64 },
                Connection::Lost { since_ms, .. } => Connection::Lost { retry, since_ms },
            }
        });
        let longest = (FIRST_WAIT_MS * 2f64.powi(retry.min(16) as i32 - 1)).min(LONGEST_WAIT_MS);
        // Many pages lose one server at the same moment; they should not all come back at the same moment.
        let wait_ms = longest * (0.6 + 0.4 * js_sys::Math::random());
        let next_try = set_timeout_with_handle(move || self.open(), Duration::from_millis(wait_ms as u64)).ok();
        self.with_line(|line| line.next_try = next_try);
    }

    /// Tries now, not when the wait is over.
    fn hurry(self) {
        let is_needed = self.with_line(|line| {
            if let Some(waiting) = line.next_try.take() {
                waiting.clear();
                return true;
            }
            false
        });
        if is_needed == Some(true) {
            self.open();
        } else {
            self.doubt(DOUBT_MS);
        }
    }

    /// Takes a socket that has been silent for so long as broken.
    fn doubt(self, silence_ms: f64) {
        let dead = self.with_line(|line| {
            let is_silent = line.next_try.is_none() && now_ms() - line.last_word_ms > silence_ms;
            if is_silent { line.socket.take() } else { None }
        });
        if dead.flatten().is_some() {
            self.broke();
        }
    }

    /// Watches the heartbeat, and the moments at which a page comes back to life.
    fn keep(self) {
        let beat = set_interval_with_handle(move || self.doubt(SILENCE_MS), Duration::from_secs(1)).ok();
        let online = window_event_listener_untyped("online", move |_| self.hurry());
        let shown = window_event_listener_untyped("pageshow", move |_| self.hurry());
        let on_sight = Closure::<dyn Fn()>::new(move || {
            if document().visibility_state() == web_sys::VisibilityState::Visible {
                self.hurry();
            }
        });
        let _ = document().add_event_listener_with_callback("visibilitychange", on_sight.as_ref().unchecked_ref());
        let on_sight = StoredValue::new_local(on_sight);
        on_cleanup(move || {
            if let Some(beat) = beat {
                beat.clear();
            }
            online.remove();
            shown.remove();
            on_sight.with_value(|on_sight| {
                let _ = document()
                    .remove_event_listener_with_callback("visibilitychange", on_sight.as_ref().unchecked_ref());
            });
            let socket = self.with_line(|line| {
                line.is_closed = true;
                line.watched.clear();
                if let Some(waiting) = line.next_try.take() {
                    waiting.clear();
                }
                line.socket.take()
            });
            drop(socket);
        });
    }
}

impl Watch {
    /// Streams from another place on, after the run was fetched again.
    pub(crate) fn go_on(self, since: Cursor) {
        let run = self.live.with_line(|line| {
            let watched = line.watched.iter_mut().find(|watched| watched.number == self.number)?;
            watched.cursor = since;
            Some(watched.run.clone())
        });
        if let Some(run) = run.flatten() {
            self.live.say(&FromPage::WatchRun { run, since });
        }
    }

    /// No more of it.
    pub(crate) fn leave(self) {
        let run = self.live.with_line(|line| {
            let place = line.watched.iter().position(|watched| watched.number == self.number)?;
            let gone = line.watched.remove(place);
            line.watched.iter().all(|watched| watched.run != gone.run).then_some(gone.run)
        });
        if let Some(run) = run.flatten() {
            self.live.say(&FromPage::LeaveRun { run });
        }
    }
}

/// Whether a tick is news to someone who has seen `seen`; one that was on its way when the page asked anew is not.
fn is_next(seen: Cursor, tick: Cursor) -> bool {
    seen.epoch == tick.epoch && tick.tick > seen.tick
}

fn soon(act: impl FnOnce() + 'static) {
    set_timeout(act, Duration::ZERO);
}

fn now_ms() -> f64 {
    js_sys::Date::now()
}
