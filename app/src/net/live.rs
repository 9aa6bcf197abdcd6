//! The only module that opens a socket: one WebSocket for the page, with the state of the lab and the stream of each
//! watched run. It reconnects, and the stream of a run then continues where it ended.
//!
//! The server sends a heartbeat each second. Without one for [`SILENCE_MS`] the socket counts as closed, because
//! after suspend a socket can stay open without a connection.
//!
//! Where no socket delivers a message, most likely because a proxy lets none pass, the page polls ([`polling`]): slower,
//! with the same messages. It goes on trying to open a socket, ever more rarely.
//!
//! Here are the requests of the page and the messages of the server. [`connection`] opens the [`socket`] and keeps it open; what belongs to
//! presentations is in [`presentations`].

mod connection;
mod polling;
mod presentations;
mod socket;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{MessageEvent, WebSocket};
use wire::inspect::request::Inspection;
use wire::run::Cursor;
use wire::transport::live::{FromPage, LabState, Tick, ToPage};
use wire::{RunId, RunSummary, encode};

pub(crate) use connection::Connection;
use polling::Polling;
use presentations::{Presentations, Requested};
use socket::Socket;

/// Time without a message after which the socket counts as closed.
const SILENCE_MS: f64 = 5_000.0;
/// Begin of the message that refuses a run.
const UNKNOWN: &str = "unknown run ";
/// Runs beside those of the live message that the page keeps, the newest answers last.
const KNOWN_RUNS: usize = 400;

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
