//! The only module that opens a socket: one WebSocket for the page, with the state of the lab and the stream of each
//! watched run. It reconnects, and the stream of a run then continues where it ended.
//!
//! The server sends a heartbeat each second. Without one for [`SILENCE_MS`] the socket counts as closed, because
//! after suspend a socket can stay open without a connection.
//!
//! Where no socket delivers a message, most likely because a proxy lets none pass, the page polls ([`Poll`]): slower,
//! with the same messages. It goes on trying to open a socket, ever more rarely.

mod presentations;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};
use wire::inspect::request::Inspection;
use wire::run::Cursor;
use wire::transport::live::{FromPage, LabState, Poll, Tick, ToPage};
use wire::{RunId, RunSummary, encode};

use super::api;
use crate::base::at;
use presentations::{Presentations, Requested};

/// Time without a message after which the socket counts as closed.
const SILENCE_MS: f64 = 5_000.0;
/// As [`SILENCE_MS`], for a page that becomes visible again.
const RETURN_SILENCE_MS: f64 = 2_500.0;
/// Sockets in a row without a message after which the page polls.
const FAILURES: u32 = 2;
/// Shortest and longest time of polling before a socket is tried again.
const FIRST_TRIAL_MS: u32 = 30_000;
const LAST_TRIAL_MS: u32 = 600_000;
/// Shortest and longest wait between attempts.
const FIRST_WAIT_MS: f64 = 250.0;
const LONGEST_WAIT_MS: f64 = 8_000.0;
/// Begin of the message that refuses a run.
const UNKNOWN: &str = "unknown run ";
/// Runs beside those of the live message that the page keeps, the newest answers last.
const KNOWN_RUNS: usize = 400;

/// The state of the socket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Connection {
    /// Not open yet.
    Connecting {
        /// Attempts so far.
        retry: u32,
    },
    Open,
    /// No socket can be opened, and the page polls.
    Polling,
    /// It was open and is closed.
    Lost {
        /// Attempts since then.
        retry: u32,
        /// Time of the last message, ms since 1970.
        since_ms: i64,
    },
}

/// An update of a watched run.
pub(crate) enum RunUpdate {
    /// What is new since the previous tick.
    Tick(Box<Tick>),
    /// The stream has a gap: fetch the run again, then [`Watch::go_on`] from its cursor.
    Resync,
}

type OnUpdate = Rc<dyn Fn(RunUpdate)>;

/// A watched run.
struct Watched {
    number: u32,
    run: RunId,
    cursor: Cursor,
    on_update: OnUpdate,
}

/// The socket and what the page requests from it. Closures never hold the borrow across a call to the page.
#[derive(Default)]
struct State {
    socket: Option<Socket>,
    /// Sockets in a row that delivered no message.
    failures: u32,
    /// Messages for the next poll; `None` while the page does not poll.
    polling: Option<Polling>,
    watched: Vec<Watched>,
    /// The inspections that this page requests.
    inspections: Option<(RunId, Vec<Inspection>)>,
    /// The presentation that this page gives, and the one that it follows.
    requested: Requested,
    /// Runs that the live message does not contain, from answers of the API.
    known: Vec<RunSummary>,
    last_number: u32,
    retry: u32,
    last_message_ms: f64,
    next_attempt: Option<TimeoutHandle>,
    is_closed: bool,
}

/// The polls of this page.
struct Polling {
    /// Number of the page, chosen at random.
    page: u64,
    messages: Vec<FromPage>,
}

impl Polling {
    /// Adds a message; what a presenter shows replaces what it showed before.
    fn add(&mut self, message: FromPage) {
        if matches!(message, FromPage::Present { .. }) {
            self.messages.retain(|known| !matches!(known, FromPage::Present { .. }));
        }
        self.messages.push(message);
    }
}

/// A socket and the closures that it calls, which live as long as the socket.
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

impl Socket {
    /// Opens the socket of the page; `None` where the browser refuses it.
    fn open(
        opened: impl Fn() + 'static,
        received: impl Fn(MessageEvent) + 'static,
        closed: impl Fn() + 'static,
    ) -> Option<Self> {
        let location = window().location();
        let scheme = if location.protocol().as_deref() == Ok("https:") { "wss" } else { "ws" };
        let host = location.host().ok()?;
        let socket = WebSocket::new(&format!("{scheme}://{host}{}", at("/api/v1/live"))).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_open = Closure::<dyn Fn()>::new(opened);
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(received);
        let on_close = Closure::<dyn Fn()>::new(closed);
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Some(Self { socket, _on_open: on_open, _on_message: on_message, _on_close: on_close })
    }
}

impl State {
    /// Notes a new connection and gives all requests, which it must be sent.
    fn connected(&mut self) -> Vec<FromPage> {
        self.retry = 0;
        self.last_message_ms = now_ms();
        let watched = self.watched.iter();
        let watched = watched.map(|watched| FromPage::WatchRun { run: watched.run.clone(), since: watched.cursor });
        let inspections = self.inspections.clone();
        let inspections = inspections.map(|(run, inspections)| FromPage::Inspect { run, inspections });
        let presentations = self.requested.messages();
        std::iter::once(FromPage::WatchLab).chain(watched).chain(inspections).chain(presentations).collect()
    }
}

/// The live state, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    /// The newest state of the lab.
    pub(crate) lab: RwSignal<Option<LabState>>,
    /// Number of changes of what this page may see and do.
    pub(crate) rights: RwSignal<u32>,
    /// The state of the socket.
    pub(crate) connection: RwSignal<Connection>,
    /// Presentations that this page gives or may follow.
    pub(crate) presentations: Presentations,
    state: StoredValue<Rc<RefCell<State>>, LocalStorage>,
    /// Shows a message of the server to the user.
    on_message: StoredValue<Rc<dyn Fn(String)>, LocalStorage>,
}

/// A subscription to the stream of a run.
#[derive(Clone, Copy)]
pub(crate) struct Watch {
    live: Live,
    number: u32,
}

impl Live {
    /// Opens the socket and keeps it open until the surrounding component goes. Messages for the user are passed to
    /// `on_message`.
    pub(crate) fn start(on_message: impl Fn(String) + 'static) -> Self {
        let live = Self {
            lab: RwSignal::new(None),
            rights: RwSignal::new(0),
            connection: RwSignal::new(Connection::Connecting { retry: 0 }),
            presentations: Presentations::new(),
            state: StoredValue::new_local(Rc::default()),
            on_message: StoredValue::new_local(Rc::new(on_message)),
        };
        live.open();
        live.watch();
        live
    }

    /// Subscribes to a run from `since` on. The subscription survives reconnections and ends with [`Watch::leave`].
    pub(crate) fn watch_run(self, run: RunId, since: Cursor, on_update: impl Fn(RunUpdate) + 'static) -> Watch {
        let number = self.with_state(|state| {
            state.last_number += 1;
            state.watched.push(Watched {
                number: state.last_number,
                run: run.clone(),
                cursor: since,
                on_update: Rc::new(on_update),
            });
            state.last_number
        });
        self.send(&FromPage::WatchRun { run, since });
        Watch { live: self, number: number.unwrap_or(0) }
    }

    /// Adds runs to the list, which has only the newest and the current ones, or replaces what the list has of them.
    pub(crate) fn know(self, runs: impl IntoIterator<Item = RunSummary>) {
        let runs: Vec<RunSummary> = runs.into_iter().collect();
        self.with_state(|state| {
            state.known.retain(|known| runs.iter().all(|run| run.id != known.id));
            state.known.extend(runs.iter().cloned());
            let surplus = state.known.len().saturating_sub(KNOWN_RUNS);
            state.known.drain(..surplus);
        });
        self.lab.try_update(|lab| {
            let Some(lab) = lab else { return };
            for run in runs {
                match lab.runs.iter_mut().find(|known| known.id == run.id) {
                    Some(known) => *known = run,
                    None => lab.runs.push(run),
                }
            }
        });
    }

    /// Sets the state of the lab, with the known runs that the message does not contain.
    pub(crate) fn show_lab(self, mut lab: LabState) {
        if lab.counts.total() > lab.runs.len() as u64 {
            let listed: HashSet<RunId> = lab.runs.iter().map(|run| run.id.clone()).collect();
            let known = self.with_state(|state| state.known.clone()).unwrap_or_default();
            lab.runs.extend(known.into_iter().filter(|run| !listed.contains(&run.id)));
        }
        self.lab.set(Some(lab));
    }

    /// Keeps a known run up to date with its stream.
    fn follow_known(self, summary: &RunSummary) {
        self.with_state(|state| {
            if let Some(known) = state.known.iter_mut().find(|known| known.id == summary.id) {
                known.clone_from(summary);
            }
        });
    }

    /// Whether the list of runs leaves some out.
    pub(crate) fn is_partial(self) -> bool {
        self.lab.read().as_ref().is_some_and(|lab| (lab.runs.len() as u64) < lab.counts.total())
    }

    /// Sets the inspections that this page requests from a run; an empty list ends them.
    pub(crate) fn inspect(self, run: RunId, inspections: Vec<Inspection>) {
        let requested = (!inspections.is_empty()).then(|| (run.clone(), inspections.clone()));
        self.with_state(|state| state.inspections = requested);
        self.send(&FromPage::Inspect { run, inspections });
    }

    /// `None` once the component that opened the socket is gone.
    fn with_state<T>(self, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.state.try_with_value(|state| act(&mut state.borrow_mut()))
    }

    /// Sends a message. While there is no connection this does nothing: all requests are sent when there is one.
    fn send(self, message: &FromPage) {
        let polls = |state: &mut State| {
            let polling = state.polling.as_mut();
            polling.map(|polling| polling.add(message.clone())).is_some()
        };
        if self.with_state(polls) == Some(true) {
            return;
        }
        let socket = self.with_state(|state| state.socket.as_ref().map(|socket| socket.socket.clone())).flatten();
        let Some(socket) = socket.filter(|socket| socket.ready_state() == WebSocket::OPEN) else { return };
        if let Ok(bytes) = encode::to_bytes(message) {
            // A socket that breaks now is reported by its close event.
            let _ = socket.send_with_u8_array(&bytes);
        }
    }

    /// The next attempt: a socket, or polls where sockets delivered nothing.
    fn attempt(self) {
        let fails = |state: &mut State| {
            let fails = state.failures >= FAILURES;
            if fails {
                // Should the polls fail too, the next attempt is a socket again.
                state.failures = 0;
            }
            fails
        };
        if self.with_state(fails) == Some(true) { self.poll() } else { self.open() }
    }

    /// Opens a socket and replaces the previous one.
    fn open(self) {
        let Some(fresh) = Socket::open(
            move || self.opened(),
            move |event| {
                self.with_state(|state| state.failures = 0);
                self.received(&event);
            },
            move || self.closed(),
        ) else {
            return;
        };
        let old = self.with_state(|state| {
            state.last_message_ms = now_ms();
            state.next_attempt = None;
            state.socket.replace(fresh)
        });
        // One of its closures may be running now: it is dropped after it has returned.
        later(move || drop(old));
    }

    /// Sends all requests.
    fn opened(self) {
        self.presentations.forget();
        self.connection.set(Connection::Open);
        for message in self.with_state(State::connected).unwrap_or_default() {
            self.send(&message);
        }
    }

    /// Polls until a poll fails, or a socket delivers messages again.
    fn poll(self) {
        self.presentations.forget();
        let page = (js_sys::Math::random() * 9e15) as u64;
        let begun = self.with_state(|state| {
            state.next_attempt = None;
            state.polling = Some(Polling { page, messages: state.connected() });
            state.socket.take()
        });
        later(move || drop(begun));
        spawn_local(async move {
            let mut begins = true;
            while let Some(messages) = self.messages_of(page) {
                match api::polling::poll(&Poll { page, begins, messages }).await {
                    // A socket may have taken over meanwhile; what it has sent is not repeated.
                    Ok(received) if self.polls(page) => received.into_iter().for_each(|message| self.take(message)),
                    Ok(_) => {}
                    Err(_) if self.polls(page) => {
                        self.with_state(|state| state.polling = None);
                        self.closed();
                    }
                    Err(_) => {}
                }
                if begins && self.polls(page) {
                    self.connection.set(Connection::Polling);
                    self.try_socket(page, FIRST_TRIAL_MS);
                }
                begins = false;
            }
        });
    }

    /// The messages for the next poll; `None` where the page does not poll any more under this number.
    fn messages_of(self, page: u64) -> Option<Vec<FromPage>> {
        self.with_state(|state| {
            let polling = state.polling.as_mut().filter(|polling| polling.page == page)?;
            Some(std::mem::take(&mut polling.messages))
        })
        .flatten()
    }

    /// Whether the page polls under this number.
    fn polls(self, page: u64) -> bool {
        self.with_state(|state| state.polling.as_ref().is_some_and(|polling| polling.page == page)).unwrap_or(false)
    }

    /// Opens a socket beside the polls after `wait_ms`. It takes over with its first message, which is a heartbeat.
    fn try_socket(self, page: u64, wait_ms: u32) {
        let trial = move || {
            if !self.polls(page) {
                return;
            }
            let takes_over = move || {
                if self.polls(page) {
                    self.with_state(|state| {
                        state.polling = None;
                        state.failures = 0;
                    });
                    later(move || self.open());
                }
            };
            let tried = Socket::open(|| {}, move |_| takes_over(), || {});
            // It is closed before the next trial; the socket that takes over is another one.
            let close = move || {
                drop(tried);
                self.try_socket(page, (wait_ms * 2).min(LAST_TRIAL_MS));
            };
            set_timeout(close, Duration::from_millis(SILENCE_MS as u64));
        };
        set_timeout(trial, Duration::from_millis(wait_ms.into()));
    }

    fn received(self, event: &MessageEvent) {
        let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() else { return };
        match encode::from_bytes::<ToPage>(&js_sys::Uint8Array::new(&buffer).to_vec()) {
            Ok(message) => self.take(message),
            Err(source) => self.show(format!(
                "A live message could not be read ({source}). Reload the page: it may be older than the server."
            )),
        }
    }

    fn take(self, message: ToPage) {
        self.with_state(|state| state.last_message_ms = now_ms());
        let Some(message) = self.presentations.take(message) else { return };
        match message {
            ToPage::Lab(lab) => self.show_lab(lab),
            ToPage::Rights => self.rights.update(|changes| *changes += 1),
            ToPage::Tick(tick) => {
                self.follow_known(&tick.summary);
                self.publish(tick);
            }
            ToPage::Resync { run } => self.publish_resync(&run),
            ToPage::Refused { message } => match message.strip_prefix(UNKNOWN).and_then(|run| run.parse().ok()) {
                // It was purged, or this page may not see it any more. Whoever watches it fetches it, which is answered with 404.
                Some(run) => self.publish_resync(&run),
                None => self.show(message),
            },
            // A heartbeat; presentations were taken above.
            _ => {}
        }
    }

    fn show(self, message: String) {
        self.on_message.try_with_value(|on_message| on_message(message));
    }

    fn publish(self, tick: Tick) {
        let listeners = self.with_state(|state| {
            let of_run = state
                .watched
                .iter_mut()
                .filter(|watched| watched.run == tick.run && is_next(watched.cursor, tick.cursor));
            of_run
                .map(|watched| {
                    watched.cursor = tick.cursor;
                    watched.on_update.clone()
                })
                .collect::<Vec<_>>()
        });
        for on_update in listeners.unwrap_or_default() {
            on_update(RunUpdate::Tick(Box::new(tick.clone())));
        }
    }

    fn publish_resync(self, run: &RunId) {
        let of_run = |state: &mut State| {
            state
                .watched
                .iter()
                .filter(|watched| watched.run == *run)
                .map(|watched| watched.on_update.clone())
                .collect::<Vec<_>>()
        };
        for on_update in self.with_state(of_run).unwrap_or_default() {
            on_update(RunUpdate::Resync);
        }
    }

    /// The socket is closed: plans the next attempt, each later than the previous one.
    fn closed(self) {
        let planned = self.with_state(|state| {
            if state.is_closed || state.next_attempt.is_some() {
                return None;
            }
            state.retry += 1;
            state.failures += 1;
            Some((state.retry, state.last_message_ms))
        });
        let Some((retry, last_message_ms)) = planned.flatten() else { return };
        // A socket does not say why it was closed. If this browser is no longer signed in, any request is answered with
        // 401, and the shell then shows the sign-in page.
        spawn_local(async { drop(api::me().await) });
        self.connection.update(|connection| {
            *connection = match *connection {
                Connection::Connecting { .. } => Connection::Connecting { retry },
                Connection::Open | Connection::Polling => Connection::Lost { retry, since_ms: last_message_ms as i64 },
                Connection::Lost { since_ms, .. } => Connection::Lost { retry, since_ms },
            }
        });
        let longest = (FIRST_WAIT_MS * 2f64.powi(retry.min(16) as i32 - 1)).min(LONGEST_WAIT_MS);
        // Many pages lose a server at the same time; they should not all reconnect at the same time.
        let wait_ms = longest * (0.6 + 0.4 * js_sys::Math::random());
        let next_attempt = set_timeout_with_handle(move || self.attempt(), Duration::from_millis(wait_ms as u64)).ok();
        self.with_state(|state| state.next_attempt = next_attempt);
    }

    /// Tries now instead of after the wait.
    fn retry_now(self) {
        let is_needed = self.with_state(|state| {
            if let Some(waiting) = state.next_attempt.take() {
                waiting.clear();
                return true;
            }
            false
        });
        if is_needed == Some(true) {
            self.attempt();
        } else {
            self.close_silent(RETURN_SILENCE_MS);
        }
    }

    /// Closes a socket that has been silent for this long.
    fn close_silent(self, silence_ms: f64) {
        let dead = self.with_state(|state| {
            let is_silent = state.next_attempt.is_none() && now_ms() - state.last_message_ms > silence_ms;
            if is_silent { state.socket.take() } else { None }
        });
        if dead.flatten().is_some() {
            self.closed();
        }
    }

    /// Watches the heartbeat, and the moments at which the page becomes visible or online.
    fn watch(self) {
        let beat = set_interval_with_handle(move || self.close_silent(SILENCE_MS), Duration::from_secs(1)).ok();
        let online = window_event_listener_untyped("online", move |_| self.retry_now());
        let shown = window_event_listener_untyped("pageshow", move |_| self.retry_now());
        let on_sight = Closure::<dyn Fn()>::new(move || {
            if document().visibility_state() == web_sys::VisibilityState::Visible {
                self.retry_now();
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
            let socket = self.with_state(|state| {
                state.is_closed = true;
                state.polling = None;
                state.watched.clear();
                if let Some(waiting) = state.next_attempt.take() {
                    waiting.clear();
                }
                state.socket.take()
            });
            drop(socket);
        });
    }
}

impl Watch {
    /// Continues from another cursor, after the run was fetched again.
    pub(crate) fn go_on(self, since: Cursor) {
        let run = self.live.with_state(|state| {
            let watched = state.watched.iter_mut().find(|watched| watched.number == self.number)?;
            watched.cursor = since;
            Some(watched.run.clone())
        });
        if let Some(run) = run.flatten() {
            self.live.send(&FromPage::WatchRun { run, since });
        }
    }

    /// Ends the subscription.
    pub(crate) fn leave(self) {
        let run = self.live.with_state(|state| {
            let index = state.watched.iter().position(|watched| watched.number == self.number)?;
            let gone = state.watched.remove(index);
            state.watched.iter().all(|watched| watched.run != gone.run).then_some(gone.run)
        });
        if let Some(run) = run.flatten() {
            self.live.send(&FromPage::LeaveRun { run });
        }
    }
}

/// Whether a tick is newer than `seen`; one that was sent before the page subscribed again is not.
fn is_next(seen: Cursor, tick: Cursor) -> bool {
    seen.epoch == tick.epoch && tick.tick > seen.tick
}

fn later(act: impl FnOnce() + 'static) {
    set_timeout(act, Duration::ZERO);
}

fn now_ms() -> f64 {
    js_sys::Date::now()
}
