//! The page's socket. Each topic a page watches is a task with its own cursor; together they share the socket through a
//! short queue, and a page that reads slowly makes only its own tasks wait.

use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use wire::live::{FromPage, ToPage};
use wire::look::Look;
use wire::run::Cursor;
use wire::{RunId, encode};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::auth::Viewer;
use crate::clock::now_ms;
use crate::devices;
use crate::link::upgrade;
use crate::live::Behind;
use crate::probes::{Eyes, Seer};

/// The lab's state goes out at most this often.
const LAB_EVERY: Duration = Duration::from_millis(250);
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A page that takes nothing for so long is gone.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Messages waiting for one page's socket, and ticks taken from a ring at a time.
const TO_PAGE: usize = 8;
const TICKS_AT_ONCE: usize = 32;
/// Runs one page may watch.
const RUNS: usize = 64;
/// Room for as many looks as a page may have, each at a text of its own.
const MESSAGE_BYTES: usize = 256 * 1024;

/// The page's socket.
#[utoipa::path(get, path = "/live", tag = "sockets", responses((status = 101, description = "Postcard messages: wire::live.")))]
pub async fn open_live(
    Viewer(identity): Viewer,
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, ApiError> {
    let upgrade = upgrade(request).await?;
    Ok(upgrade.max_message_size(MESSAGE_BYTES).on_upgrade(move |socket| serve(state, socket, identity.token_id)))
}

async fn serve(state: AppState, socket: WebSocket, token_id: i64) {
    let (sink, mut stream) = socket.split();
    let (to_page, outgoing) = mpsc::channel(TO_PAGE);
    let mut writer = tokio::spawn(write(sink, outgoing));
    let seer = state.probes.seer();
    let mut revoked = state.revoked.subscribe();
    let mut expiry = pin!(expiry(state.clone(), token_id));
    let mut page = Page { state, to_page, lab: None, runs: HashMap::new(), seer };
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => page.hear(&bytes).await,
                None | Some(Err(_) | Ok(Message::Close(_))) => break,
                Some(Ok(_)) => {}
            },
            _ = &mut writer => break,
            _ = revoked.changed() => if !page.may_watch(token_id).await { break },
            () = &mut expiry => break,
        }
    }
    page.leave();
}

/// Waits until a token opens nothing any more.
async fn expiry(state: AppState, token_id: i64) {
    // While the store cannot be asked, a page goes on, as it does at a revocation.
    let Ok(tokens) = state.store.tokens().await else { return pending().await };
    match tokens.into_iter().find(|token| token.id == token_id).map(|token| token.expires_ms) {
        Some(Some(at_ms)) => sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()).max(0) as u64)).await,
        Some(None) => pending().await,
        // It is gone already.
        None => {}
    }
}

/// Sends what the topics give, and a beat each second.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<Bytes>) {
    let mut beat = interval(BEAT_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let bytes = tokio::select! {
            message = outgoing.recv() => match message {
                Some(bytes) => bytes,
                None => return,
            },
            _ = beat.tick() => encoded(&ToPage::Beat { at_ms: now_ms() }),
        };
        if !matches!(timeout(SEND_WITHIN, sink.send(Message::Binary(bytes))).await, Ok(Ok(()))) {
            return;
        }
    }
}

fn encoded(message: &ToPage) -> Bytes {
    // Plain data of known types; should it fail, an empty message is dropped by the page.
    encode::to_bytes(message).map(Bytes::from).unwrap_or_default()
}

/// One page and what it watches.
struct Page {
    state: AppState,
    to_page: mpsc::Sender<Bytes>,
    lab: Option<AbortHandle>,
    runs: HashMap<RunId, AbortHandle>,
    /// What it looks at inside of runs; gone with the page.
    seer: Seer,
}

impl Page {
    async fn hear(&mut self, bytes: &[u8]) {
        match encode::from_bytes(bytes) {
            Ok(FromPage::WatchLab) => {
                let task = tokio::spawn(watch_lab(self.state.clone(), self.to_page.clone()));
                self.lab.replace(task.abort_handle()).iter().for_each(AbortHandle::abort);
            }
            Ok(FromPage::LeaveLab) => self.lab.take().iter().for_each(AbortHandle::abort),
            Ok(FromPage::WatchRun { run, since }) => self.watch_run(run, since).await,
            Ok(FromPage::LeaveRun { run }) => {
                self.seer.leave(&run);
                self.runs.remove(&run).iter().for_each(AbortHandle::abort);
            }
            Ok(FromPage::Probe { run, looks }) => self.probe(run, looks).await,
            Err(error) => self.refuse(format!("a message could not be read ({error}); reload the page")).await,
        }
    }

    async fn watch_run(&mut self, run: RunId, since: Cursor) {
        self.runs.retain(|_, task| !task.is_finished());
        if self.runs.len() >= RUNS && !self.runs.contains_key(&run) {
            return self.refuse(format!("{RUNS} runs are watched already; leave one first")).await;
        }
        if !matches!(self.state.store.summary(&run).await, Ok(Some(_))) {
            return self.refuse(format!("there is no run {run}")).await;
        }
        let eyes = self.seer.eyes(&run);
        let task = tokio::spawn(watch_run(self.state.clone(), self.to_page.clone(), run.clone(), since, eyes));
        self.runs.insert(run, task.abort_handle()).iter().for_each(AbortHandle::abort);
    }

    /// Whether the token that the socket was opened with still opens anything. A store that does not answer shuts nobody out.
    async fn may_watch(&self, token_id: i64) -> bool {
        self.state.store.tokens().await.map_or(true, |tokens| tokens.iter().any(|token| token.id == token_id))
    }

    /// Hears what the page wants to see. What others see already it is shown at once: while a run holds, its worker has nothing new to say.
    async fn probe(&mut self, run: RunId, looks: Vec<Look>) {
        let watched = match self.seer.want(&run, looks) {
            Ok(watched) => watched,
            Err(message) => return self.refuse(message).await,
        };
        match self.state.store.summary(&run).await {
            Ok(Some(summary)) => {
                let frames = self.state.hub.sights(&run, |key| watched.contains(key));
                if !frames.is_empty() {
                    self.state.hub.publish(summary, vec![], vec![], frames);
                }
            }
            _ => {
                self.seer.leave(&run);
                self.refuse(format!("there is no run {run}")).await;
            }
        }
    }

    async fn refuse(&self, message: String) {
        // Where the socket is gone there is nobody to tell.
        let _ = self.to_page.send(encoded(&ToPage::Refused { message })).await;
    }

    fn leave(&self) {
        self.lab.iter().chain(self.runs.values()).for_each(AbortHandle::abort);
    }
}

/// Sends a run's ticks from `since` on, until the page is gone or too far behind.
async fn watch_run(state: AppState, to_page: mpsc::Sender<Bytes>, run: RunId, since: Cursor, eyes: Eyes) {
    let mut last = state.hub.follow(&run);
    let mut cursor = since;
    loop {
        last.mark_unchanged();
        match state.hub.after(&run, cursor, TICKS_AT_ONCE) {
            Behind::TooFar => {
                let _ = to_page.send(encoded(&ToPage::Resync { run })).await;
                return;
            }
            Behind::Ticks(ticks) if ticks.is_empty() => {
                if last.changed().await.is_err() {
                    return;
                }
            }
            Behind::Ticks(ticks) => {
                for tick in ticks {
                    cursor.tick += 1;
                    let tick = state.hub.with_sights(&run, cursor.tick, tick, |key| eyes.want(key));
                    if to_page.send(tick).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The lab's state, encoded once for all pages that want it at about the same time.
#[derive(Default)]
pub struct LabCache(Mutex<Option<(u64, Instant, Bytes)>>);

impl LabCache {
    /// The state at `version` or a little before; with the version it shows.
    async fn get(&self, state: &AppState, version: u64) -> Result<(u64, Bytes), ApiError> {
        let mut made = self.0.lock().await;
        if let Some((shown, _, bytes)) =
            made.as_ref().filter(|(shown, at, _)| *shown == version || at.elapsed() < LAB_EVERY / 2)
        {
            return Ok((*shown, bytes.clone()));
        }
        let bytes = encoded(&ToPage::Lab(devices::lab(state).await?));
        *made = Some((version, Instant::now(), bytes.clone()));
        Ok((version, bytes))
    }
}

async fn watch_lab(state: AppState, to_page: mpsc::Sender<Bytes>) {
    let mut version = state.hub.follow_lab();
    loop {
        let now = *version.borrow_and_update();
        let shown = match state.lab_cache.get(&state, now).await {
            Ok((shown, bytes)) => {
                if to_page.send(bytes).await.is_err() {
                    return;
                }
                shown
            }
            Err(error) => {
                tracing::error!("the lab's state could not be read: {}", error.body.message);
                now
            }
        };
        sleep(LAB_EVERY).await;
        if version.wait_for(|version| *version != shown).await.is_err() {
            return;
        }
    }
}
