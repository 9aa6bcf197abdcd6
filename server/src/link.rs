//! The server's end of a worker's socket: hello and welcome, reports stored before they are acknowledged, orders passed on.
//! Reading, storing and writing are tasks of their own, so that a slow disk delays the acknowledgements of one worker and
//! nothing else: not its signs of life, and no other worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use store::{Ingested, StoreError};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::command::CommandOrder;
use wire::event::Author;
use wire::frame::Frame;
use wire::link::{FromServer, FromWorker, Item, PROTOCOL};
use wire::{Command, DeviceId, RunId, RunState, encode};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::auth::WorkerSeat;
use crate::fleet::{Arrival, TO_WORKER};

/// A worker that has said nothing for so long is gone; it beats each second.
const SILENCE: Duration = Duration::from_secs(15);
/// Largest message of a worker: a batch of reports or a look at a large model.
const MESSAGE_BYTES: usize = 64 << 20;
/// How the sentence begins which a run shows while its reports cannot be stored.
const TROUBLE: &str = "its worker keeps its reports, since they cannot be stored:";
/// Messages read and not yet stored.
const TO_STORE: usize = 16;

/// The worker's socket.
#[utoipa::path(get, path = "/link", tag = "sockets", responses((status = 101, description = "Postcard messages: wire::link.")))]
pub async fn open_link(_: WorkerSeat, State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let upgrade = upgrade(request).await?;
    Ok(upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .on_upgrade(move |socket| serve(state, socket)))
}

/// The upgrade of a request to a socket, taken only after the role has been seen.
pub async fn upgrade(request: Request) -> Result<WebSocketUpgrade, ApiError> {
    let (mut parts, _) = request.into_parts();
    let found = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    found.map_err(|rejection| {
        ApiError::new(rejection.status(), "no_socket", rejection.body_text()).hint("open this address as a WebSocket")
    })
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum LinkEnd {
    #[error("it closed")]
    Closed,
    #[error("it has been silent for {} s", SILENCE.as_secs())]
    Silent,
    #[error("its message could not be read: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Refused(String),
    #[error("its reports could not be stored: {0}")]
    Unstored(String),
}

async fn serve(state: AppState, socket: WebSocket) {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let (sink, mut stream) = socket.split();
    let (to_worker, outgoing) = mpsc::channel(TO_WORKER);
    let writer = tokio::spawn(write(sink, outgoing));
    let mut link = match greet(&state, &mut stream, connection, &to_worker).await {
        Ok(link) => link,
        Err(end) => {
            tracing::warn!("a worker was turned away: {end}");
            refuse(&to_worker, &end).await;
            drop(to_worker);
            let _ = writer.await;
            return;
        }
    };
    tracing::info!("the worker of {} is here", link.device);
    let (read, to_store) = mpsc::channel(TO_STORE);
    let reader = tokio::spawn(read_on(stream, read, state.clone(), link.device.clone()));
    let stored = link.store_all(to_store).await;
    let end = match (stored, reader.is_finished()) {
        (Err(end), _) => end,
        (Ok(()), _) => reader.await.unwrap_or(LinkEnd::Closed),
    };
    state.fleet.leave(&link.device, connection);
    state.wake_scheduler();
    tracing::info!("the worker of {} is gone: {end}", link.device);
    refuse(&to_worker, &end).await;
    drop((to_worker, link));
    let _ = writer.await;
}

async fn refuse(to_worker: &mpsc::Sender<FromServer>, end: &LinkEnd) {
    if let LinkEnd::Refused(_) | LinkEnd::Unstored(_) | LinkEnd::Unreadable(_) = end {
        // A worker that hears no more notices the closed socket.
        let _ = to_worker.send(FromServer::Refused { message: end.to_string() }).await;
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<FromServer>) {
    while let Some(message) = outgoing.recv().await {
        let Ok(bytes) = encode::to_bytes(&message) else { continue };
        if !matches!(timeout(SILENCE, sink.send(Message::Binary(bytes.into()))).await, Ok(Ok(()))) {
            return;
        }
    }
    // The end of a connection: nothing is left to go wrong.
    let _ = sink.close().await;
}

async fn next(stream: &mut SplitStream<WebSocket>) -> Result<FromWorker, LinkEnd> {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Err(_) => return Err(LinkEnd::Silent),
            Ok(None | Some(Ok(Message::Close(_)))) => return Err(LinkEnd::Closed),
            Ok(Some(Err(source))) => return Err(LinkEnd::Unreadable(source.to_string())),
            Ok(Some(Ok(Message::Binary(bytes)))) => {
                return encode::from_bytes(&bytes).map_err(|source| LinkEnd::Unreadable(source.to_string()));
            }
            Ok(Some(Ok(_))) => {}
        }
    }
}

/// Reads on; signs of life are noted at once, reports wait for their turn.
async fn read_on(
    mut stream: SplitStream<WebSocket>,
    to_store: mpsc::Sender<FromWorker>,
    state: AppState,
    device: DeviceId,
) -> LinkEnd {
    loop {
        match next(&mut stream).await {
            Ok(FromWorker::Beat { load }) => {
                state.fleet.beat(&device, load);
                state.lab_changed();
            }
            Ok(message) => {
                if to_store.send(message).await.is_err() {
                    return LinkEnd::Closed;
                }
            }
            Err(end) => return end,
        }
    }
}

/// Hello and welcome.
async fn greet(
    state: &AppState,
    stream: &mut SplitStream<WebSocket>,
    connection: u64,
    to_worker: &mpsc::Sender<FromServer>,
) -> Result<Link, LinkEnd> {
    let FromWorker::Hello { protocol, worker, host, device, holding, unsent, .. } = next(stream).await? else {
        return Err(LinkEnd::Refused("the first message must be hello".into()));
    };
    if protocol != PROTOCOL {
        return Err(LinkEnd::Refused(format!(
            "the worker speaks version {protocol} of the link and this server {PROTOCOL}; use the same kindling for both"
        )));
    }
    let id = device.id.clone();
    let (kept, let_go) = match &holding {
        Some(run) if is_welcome_back(state, run).await? => (Some(run.clone()), false),
        Some(_) => (None, true),
        None => (None, false),
    };
    let (mut stored, mut owed) = (vec![], BTreeMap::new());
    for (run, last) in holding.iter().map(|run| (run, 0)).chain(unsent.iter().map(|(run, last)| (run, *last))) {
        if let Some(seq) = stored_seq(state, run).await? {
            stored.push((run.clone(), seq));
            owed.extend((last > seq).then(|| (run.clone(), last)));
        }
    }
    let arrival = Arrival { worker, host, device, holding: kept.clone(), owed };
    state.fleet.join(arrival, connection, to_worker.clone()).map_err(LinkEnd::Refused)?;
    // The queue is empty, so there is room.
    let _ = to_worker.send(FromServer::Welcome { stored, let_go }).await;
    if let Some(run) = kept {
        state.probes.tell(&run);
        revive(state, &run).await?;
    }
    state.wake_scheduler();
    Ok(Link { state: state.clone(), device: id, to_worker: to_worker.clone(), told_to_stop: vec![] })
}

fn unstored(source: impl std::fmt::Display) -> LinkEnd {
    LinkEnd::Unstored(source.to_string())
}

/// Whether a run that a worker holds is still wanted: known, not deleted, not parked, and not over but for having been lost.
async fn is_welcome_back(state: &AppState, run: &RunId) -> Result<bool, LinkEnd> {
    let summary = state.store.summary(run).await.map_err(unstored)?;
    Ok(summary.is_some_and(|run| {
        let is_at_rest = run.state.is_over() && run.state != RunState::Lost || run.state == RunState::Parked;
        run.deleted_ms.is_none() && !is_at_rest
    }))
}

async fn stored_seq(state: &AppState, run: &RunId) -> Result<Option<u64>, LinkEnd> {
    match state.store.stored_seq(run).await {
        Ok(seq) => Ok(Some(seq)),
        Err(StoreError::UnknownRun { .. }) => Ok(None),
        Err(error) => Err(unstored(error)),
    }
}

/// A run that was given up is at work again: it stands as its journal last said before the loss.
async fn revive(state: &AppState, run: &RunId) -> Result<(), LinkEnd> {
    let Some(summary) = state.store.summary(run).await.map_err(unstored)? else { return Ok(()) };
    if summary.state != RunState::Lost && summary.state != RunState::Queued {
        return Ok(());
    }
    let events = state.store.events(run, 0, 100_000).await.map_err(unstored)?;
    let stands = events.iter().rev().find_map(|record| match record.event {
        wire::Event::Paused | wire::Event::NonFinite { .. } => Some(RunState::Paused),
        wire::Event::Resumed
        | wire::Event::Stepping { .. }
        | wire::Event::Started { .. }
        | wire::Event::Continued { .. } => Some(RunState::Running),
        wire::Event::Starting { .. } => Some(RunState::Starting),
        _ => None,
    });
    state.store.set_state(run, stands.unwrap_or(RunState::Starting), None).await.map_err(unstored)?;
    tracing::info!("{run} is back with its worker");
    crate::runs::announce(state, run).await.map(drop).map_err(|error| unstored(error.body.message))
}

/// One connection, once it is welcome.
struct Link {
    state: AppState,
    device: DeviceId,
    to_worker: mpsc::Sender<FromServer>,
    /// Runs that are unknown here and whose worker has been told.
    told_to_stop: Vec<RunId>,
}

impl Link {
    async fn store_all(&mut self, mut messages: mpsc::Receiver<FromWorker>) -> Result<(), LinkEnd> {
        while let Some(message) = messages.recv().await {
            match message {
                FromWorker::Items { run, first_seq, items } => self.take_items(run, first_seq, items).await?,
                FromWorker::Look { run, frame } => self.take_look(&run, frame).await,
                FromWorker::Beat { .. } => {}
                FromWorker::Hello { .. } => return Err(LinkEnd::Refused("hello was said before".into())),
            }
        }
        Ok(())
    }

    /// Stores first, tells the pages next, and acknowledges last.
    async fn take_items(&mut self, run: RunId, first_seq: u64, items: Vec<Item>) -> Result<(), LinkEnd> {
        let last_seq = first_seq + items.len() as u64 - u64::from(!items.is_empty());
        match self.state.store.ingest(&run, first_seq, items).await {
            Ok(ingested) => self.tell(run, ingested).await,
            Err(StoreError::UnknownRun { .. }) => self.let_go(run, last_seq).await,
            Err(error) => {
                tracing::error!("reports of {run} could not be stored; its worker keeps them: {error}");
                self.note_trouble(&run, &error).await;
                Err(unstored(error))
            }
        }
    }

    /// Says on the run itself why nothing new is seen of it, where even that can be stored.
    async fn note_trouble(&self, run: &RunId, error: &StoreError) {
        let Ok(Some(summary)) = self.state.store.summary(run).await else { return };
        let message = format!("{TROUBLE} {error}");
        if summary.message.as_ref() != Some(&message)
            && self.state.store.set_state(run, summary.state, Some(message)).await.is_ok()
        {
            let _ = crate::runs::announce(&self.state, run).await;
        }
    }

    async fn tell(
        &self,
        run: RunId,
        Ingested { stored_seq, rows, events, mut summary }: Ingested,
    ) -> Result<(), LinkEnd> {
        if summary.message.as_ref().is_some_and(|message| message.starts_with(TROUBLE)) {
            summary = self.state.store.set_state(&run, summary.state, None).await.map_err(unstored)?;
        }
        // Ended, or parked: whoever held it is free.
        let is_held = summary.state.is_live();
        self.state.fleet.settle(&self.device, &run, stored_seq);
        events.iter().for_each(|record| self.state.pending.answer(record));
        if !rows.is_empty() || !events.is_empty() {
            self.state.hub.publish(summary, rows, events, vec![]);
        }
        if !is_held {
            self.state.fleet.release(&run);
            self.state.pending.close(&run);
            self.state.wake_scheduler();
        }
        self.send(FromServer::Stored { run, seq: stored_seq }).await
    }

    /// The run is not here any more: its reports are taken off the worker's hands, and it is told to stop.
    async fn let_go(&mut self, run: RunId, last_seq: u64) -> Result<(), LinkEnd> {
        if !self.told_to_stop.contains(&run) {
            self.told_to_stop.push(run.clone());
            self.state.fleet.release(&run);
            let command = Command::Stop { reason: Some("the lab no longer holds this run".into()) };
            let order =
                CommandOrder { command_id: self.state.pending.expect(&run).command_id(), author: Author::Lab, command };
            self.send(FromServer::Order { run: run.clone(), order }).await?;
        }
        self.send(FromServer::Stored { run, seq: last_seq }).await
    }

    async fn take_look(&self, run: &RunId, frame: Frame) {
        if matches!(frame, Frame::Tensors { .. }) {
            // For those who ask by request; a page asks for a look. One that cannot be kept is no loss: the next replaces it.
            if let Err(error) = self.state.store.put_frame(run, &frame).await {
                tracing::debug!("a look at {run} was not kept: {error}");
            }
            return;
        }
        if !self.state.probes.is_wanted(run, &frame.key()) {
            return;
        }
        if let Ok(Some(summary)) = self.state.store.summary(run).await {
            self.state.hub.publish(summary, vec![], vec![], vec![frame]);
        }
    }

    async fn send(&self, message: FromServer) -> Result<(), LinkEnd> {
        self.to_worker.send(message).await.map_err(|_| LinkEnd::Closed)
    }
}
