//! The server's end of a worker's socket: it answers Hello, stores reports before it acknowledges them, and passes commands on. Reading,
//! storing and writing are separate tasks, so that a slow disk delays only the acknowledgements of one worker: not its heartbeats, and no
//! other worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use store::{Ingested, StoreError};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::control::author::Author;
use wire::control::command::NumberedCommand;
use wire::inspect::update::InspectionUpdate;
use wire::transport::link::{FromServer, FromWorker, Item, PROTOCOL};
use wire::{Command, DeviceId, Event, RunId, RunState, RunSummary, Slot, encode};

use super::Workers;
use super::fleet::{Connection, DeviceTaken, TO_WORKER};
use super::notes::{self, Notes};
use crate::error::ApiError;
use crate::live::access_changes::AccessWatch;

/// A worker that has sent nothing for so long is disconnected; it sends a heartbeat each second.
const SILENCE: Duration = Duration::from_secs(15);
/// Maximum size of a worker's message, bytes: a batch of reports, or an inspection of a large model.
pub const MESSAGE_BYTES: usize = 64 << 20;
/// Messages that are read and not yet stored.
const TO_STORE: usize = 16;

/// The reason for the end of a connection.
#[derive(Debug, thiserror::Error)]
enum LinkEnd {
    #[error("the connection was closed")]
    Closed,
    #[error("nothing was received for {} s", SILENCE.as_secs())]
    Silent,
    #[error("the connection failed: {0}")]
    Socket(#[from] axum::Error),
    #[error("a message cannot be decoded: {0}")]
    Undecodable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the worker speaks version {0} of the link protocol and this server version {PROTOCOL}: run the same version of kindling on both \
         machines"
    )]
    OtherProtocol(u32),
    #[error("the first message must be Hello")]
    NoHello,
    #[error("Hello was sent twice")]
    SecondHello,
    #[error(transparent)]
    DeviceTaken(#[from] DeviceTaken),
    #[error(
        "its token belongs to no worker: the worker was removed, or was added by an earlier version; join again with `kindling join` and a \
         join token"
    )]
    NoWorker,
    #[error("its token is that of the worker of {own}, and it names the device {named}")]
    OtherDevice { own: DeviceId, named: DeviceId },
    #[error("its token was revoked")]
    Revoked,
    #[error("reports could not be stored: {0}")]
    Storage(#[from] StoreError),
    #[error("a run could not be published: {0}")]
    Publish(#[from] ApiError),
}

impl LinkEnd {
    /// Whether the worker is sent the reason before the connection closes.
    fn is_told(&self) -> bool {
        !matches!(self, Self::Closed | Self::Silent | Self::Socket(_))
    }
}

/// Serves one worker until it disconnects, or until its token is revoked.
pub async fn serve(workers: Workers, socket: WebSocket, token_id: i64, access: AccessWatch) {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let (sink, mut stream) = socket.split();
    let (to_worker, outgoing) = mpsc::channel(TO_WORKER);
    let writer = tokio::spawn(write(sink, outgoing));
    let notes = Arc::new(Notes::default());
    let token = LinkToken { id: token_id, access };
    let mut link = match greet(&workers, &mut stream, number, &to_worker, &notes, token).await {
        Ok(link) => link,
        Err(end) => {
            tracing::warn!("a worker was refused: {end}");
            refuse(&to_worker, &end).await;
            drop(to_worker);
            let _ = writer.await;
            return;
        }
    };
    tracing::info!("the worker of {} connected", link.slot);
    let (read, to_store) = mpsc::channel(TO_STORE);
    let reader = tokio::spawn(read_all(stream, read, workers.clone(), link.slot.clone(), notes));
    let stored = link.store_all(to_store).await;
    let end = match stored {
        Err(end) => {
            // A worker whose token is revoked may leave its end of the socket open.
            reader.abort();
            end
        }
        Ok(()) => reader.await.unwrap_or(LinkEnd::Closed),
    };
    workers.fleet.leave(&link.slot, number);
    link.note_seen().await;
    workers.feed.wake_queue();
    tracing::info!("the worker of {} disconnected: {end}", link.slot);
    refuse(&to_worker, &end).await;
    drop((to_worker, link));
    let _ = writer.await;
}

async fn refuse(to_worker: &mpsc::Sender<FromServer>, end: &LinkEnd) {
    if end.is_told() {
        // A worker that does not receive this notices that the socket closes.
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
    // The connection ends here either way.
    let _ = sink.close().await;
}

/// The next binary message; the notes before it are read.
async fn next(stream: &mut SplitStream<WebSocket>, notes: &Notes) -> Result<Bytes, LinkEnd> {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Err(_) => return Err(LinkEnd::Silent),
            Ok(None | Some(Ok(Message::Close(_)))) => return Err(LinkEnd::Closed),
            Ok(Some(Err(source))) => return Err(source.into()),
            Ok(Some(Ok(Message::Binary(bytes)))) => return Ok(bytes),
            Ok(Some(Ok(Message::Text(note)))) => notes.take(&note),
            Ok(Some(Ok(_))) => {}
        }
    }
}

fn decode(bytes: &[u8]) -> Result<FromWorker, LinkEnd> {
    encode::from_bytes(bytes).map_err(|source| LinkEnd::Undecodable(source.into()))
}

/// The version of the protocol in a Hello of any version: its first field, after the number of the variant.
fn protocol_of(hello: &[u8]) -> Option<u32> {
    match encode::from_bytes::<(u32, u32)>(hello) {
        Ok((0, protocol)) => Some(protocol),
        _ => None,
    }
}

/// Reads messages. Heartbeats are noted at once; reports wait until those before them are stored.
async fn read_all(
    mut stream: SplitStream<WebSocket>,
    to_store: mpsc::Sender<FromWorker>,
    workers: Workers,
    slot: Slot,
    notes: Arc<Notes>,
) -> LinkEnd {
    loop {
        match next(&mut stream, &notes).await.and_then(|bytes| decode(&bytes)) {
            Ok(FromWorker::Heartbeat { load }) => {
                workers.heartbeat(&slot, load, &notes);
                workers.feed.lab_changed();
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

/// Answers Hello.
async fn greet(
    workers: &Workers,
    stream: &mut SplitStream<WebSocket>,
    number: u64,
    to_worker: &mpsc::Sender<FromServer>,
    notes: &Arc<Notes>,
    token: LinkToken,
) -> Result<Link, LinkEnd> {
    let first = next(stream, notes).await?;
    // The version is read first: the rest of another version's Hello may not decode.
    match protocol_of(&first) {
        None => return Err(LinkEnd::NoHello),
        Some(protocol) if protocol != PROTOCOL => return Err(LinkEnd::OtherProtocol(protocol)),
        Some(_) => {}
    }
    let FromWorker::Hello { worker, host, device, training, unsent, .. } = decode(&first)? else {
        return Err(LinkEnd::NoHello);
    };
    let record = workers.feed.store.worker_of_token(token.id).await?.ok_or(LinkEnd::NoWorker)?;
    let Some(slot) = Slot::of(&record.device, &device.id) else {
        return Err(LinkEnd::OtherDevice { own: record.device, named: device.id });
    };
    let worker_id = record.id;
    let (kept, release) = match training {
        Some(run) if may_continue(workers, &run, &slot).await? => (Some(run), false),
        Some(_) => (None, true),
        None => (None, false),
    };
    let (mut stored, mut unstored) = (vec![], BTreeMap::new());
    for (run, last) in kept.iter().map(|run| (run, 0)).chain(unsent.iter().map(|(run, last)| (run, *last))) {
        if let Some(seq) = stored_seq(workers, run).await? {
            stored.push((run.clone(), seq));
            unstored.extend((last > seq).then(|| (run.clone(), last)));
        }
    }
    let (to_worker, log) = (to_worker.clone(), Arc::clone(&notes.log));
    let link = Link {
        workers: workers.clone(),
        slot: slot.clone(),
        worker_id,
        host: host.clone(),
        token,
        to_worker: to_worker.clone(),
        notes: Arc::clone(notes),
        stopped: vec![],
    };
    let run = kept.clone();
    let joining = Connection { number, worker, slot, host, device, run, unstored, to_worker, record, log };
    let lost = workers.fleet.join(joining)?;
    // At once: a message that others send it before would not be the answer that the worker expects. The channel is empty, so there is room.
    let _ = link.to_worker.try_send(FromServer::Welcome { stored, release });
    link.note_seen().await;
    if let Some(lost) = lost {
        workers.unassign(lost).await?;
    }
    if let Some(run) = kept {
        workers.subscriptions.resend(&run);
        restore_state(workers, &run).await?;
    }
    workers.feed.wake_queue();
    Ok(link)
}

/// Whether a worker may continue the run that it trains: the run is known, not deleted, not suspended, was not resumed by another process, and
/// has not ended except by being lost.
async fn may_continue(workers: &Workers, run: &RunId, slot: &Slot) -> Result<bool, LinkEnd> {
    let summary = workers.feed.store.summary(run).await?;
    Ok(summary.is_some_and(|run| {
        let has_ended = run.state.is_over() && run.state != RunState::Lost;
        run.trained_by() == *slot && run.deleted_ms.is_none() && !has_ended && run.state != RunState::Suspended
    }))
}

/// Number of the last stored report of a run; `None` for a run that is not in this lab.
async fn stored_seq(workers: &Workers, run: &RunId) -> Result<Option<u64>, LinkEnd> {
    match workers.feed.store.stored_seq(run).await {
        Ok(seq) => Ok(Some(seq)),
        Err(StoreError::UnknownRun { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The worker of a run that was marked lost has reconnected: the run returns to the state that its journal had before.
async fn restore_state(workers: &Workers, run: &RunId) -> Result<(), LinkEnd> {
    let store = &workers.feed.store;
    let is_untrained = |run: &RunSummary| matches!(run.state, RunState::Lost | RunState::Queued);
    let Some(summary) = store.summary(run).await? else { return Ok(()) };
    if !is_untrained(&summary) {
        return Ok(());
    }
    let events = store.events(run, 0, 100_000).await?;
    let state = events.iter().rev().find_map(|record| state_after(&record.event)).unwrap_or(RunState::Starting);
    // Unless it was stopped meanwhile.
    if workers.feed.set_state_if(run, is_untrained, state, None).await? {
        tracing::info!("the worker of {run} reconnected");
        if let Some(sweep) = store.continue_lost_trial(run).await? {
            workers.feed.hub.trials.wake(sweep);
        }
    }
    Ok(())
}

/// The state of a run after an event that changes it, as its worker reports it.
fn state_after(event: &Event) -> Option<RunState> {
    match event {
        event if event.pauses() => Some(RunState::Paused),
        Event::Resumed | Event::Stepping { .. } | Event::Started { .. } | Event::Continued { .. } => {
            Some(RunState::Running)
        }
        Event::Starting { .. } => Some(RunState::Starting),
        _ => None,
    }
}

/// The token that opened a connection.
struct LinkToken {
    id: i64,
    /// Changes when it is revoked.
    access: AccessWatch,
}

/// An accepted connection.
struct Link {
    workers: Workers,
    /// The process at its other end.
    slot: Slot,
    /// Its worker in the store.
    worker_id: i64,
    host: String,
    token: LinkToken,
    to_worker: mpsc::Sender<FromServer>,
    notes: Arc<Notes>,
    /// Runs that are not in this lab or on another device, and that the worker was ordered to stop.
    stopped: Vec<RunId>,
}

impl Link {
    async fn store_all(&mut self, mut messages: mpsc::Receiver<FromWorker>) -> Result<(), LinkEnd> {
        let (notes, mut shown) = (Arc::clone(&self.notes), None);
        loop {
            let message = tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => message,
                    None => return Ok(()),
                },
                () = self.token.access.changed() => {
                    self.check_token().await?;
                    continue;
                }
                activity = notes.changed() => {
                    let before = std::mem::replace(&mut shown, activity.clone());
                    // The message only informs: the reports are stored without it too.
                    if let Err(error) = notes::show(&self.workers.feed, before, activity).await {
                        tracing::debug!("the message of a run could not be stored: {error}");
                    }
                    continue;
                }
            };
            match message {
                FromWorker::Items { run, first_seq, items } => self.store_items(run, first_seq, items).await?,
                FromWorker::Inspection { run, update } => self.take_update(&run, update).await,
                FromWorker::Heartbeat { .. } => {}
                FromWorker::Hello { .. } => return Err(LinkEnd::SecondHello),
            }
        }
    }

    async fn check_token(&self) -> Result<(), LinkEnd> {
        let owner = self.workers.feed.store.worker_of_token(self.token.id).await?;
        owner.map(drop).ok_or(LinkEnd::Revoked)
    }

    /// Stores that the worker connects or disconnects now. Only a list shows it, so the link works without it.
    async fn note_seen(&self) {
        if let Err(error) = self.workers.feed.store.worker_seen(self.worker_id, &self.host).await {
            tracing::debug!("the connection of {} could not be noted: {error}", self.slot);
        }
    }

    /// Stores reports, then publishes them, then acknowledges them.
    async fn store_items(&mut self, run: RunId, first_seq: u64, mut items: Vec<Item>) -> Result<(), LinkEnd> {
        self.notes.convert(&mut items);
        let last_seq = first_seq + items.len() as u64 - u64::from(!items.is_empty());
        let Workers { feed, fleet, .. } = &self.workers;
        let ingested = match fleet.trains_in(&self.slot, &run) {
            true => feed.store.ingest_from(&run, &self.slot, first_seq, items).await,
            // What it sends until it stops, under numbers that another worker may use now.
            false if self.stopped.contains(&run) => return self.send(FromServer::Stored { run, seq: last_seq }).await,
            // Left on its disk by itself or by another worker of its machine.
            false => feed.store.ingest(&run, first_seq, items).await,
        };
        match ingested {
            Ok(ingested) => {
                self.stopped.retain(|stopped| *stopped != run);
                self.publish(run, ingested).await
            }
            Err(StoreError::UnknownRun { .. }) => {
                self.order_stop(run, last_seq, "the run was deleted from the lab".to_owned()).await
            }
            Err(StoreError::OtherDevice { device, .. }) => {
                self.order_stop(run, last_seq, format!("the run was resumed on {device}")).await
            }
            Err(error) => {
                tracing::error!("reports of {run} could not be stored; its worker keeps them: {error}");
                self.show_storage_error(&run, &error).await;
                Err(error.into())
            }
        }
    }

    /// Stores the error as the message of the run, so that the page shows why its charts do not update. A run that trains has no other
    /// message, so the next stored report clears it.
    async fn show_storage_error(&self, run: &RunId, error: &StoreError) {
        let feed = &self.workers.feed;
        let Ok(Some(summary)) = feed.store.summary(run).await else { return };
        let message = format!("the server could not store reports of this run, and its worker keeps them: {error}");
        match feed.store.replace_message(run, summary.message.as_deref(), Some(message)).await {
            Ok(Some(summary)) => feed.hub.publish(summary, vec![], vec![], vec![]),
            Ok(None) => {}
            Err(error) => tracing::debug!("the message of {run} could not be stored: {error}"),
        }
    }

    async fn publish(
        &self,
        run: RunId,
        Ingested { stored_seq, rows, events, mut summary }: Ingested,
    ) -> Result<(), LinkEnd> {
        let Workers { feed, fleet, pending, diagnosis, .. } = &self.workers;
        let is_training = summary.state.is_live();
        // Only the message: something else may have changed the state since these reports were stored.
        if is_training
            && let Some(message) = &summary.message
            && let Some(without) = feed.store.replace_message(&run, Some(message), None).await?
        {
            summary = without;
        }
        fleet.reports_stored(&self.slot, &run, stored_seq);
        events.iter().for_each(|record| pending.answer(record));
        diagnosis.stored(&run, &rows, &events, is_training);
        if !rows.is_empty() || !events.is_empty() {
            feed.hub.publish(summary, rows, events, vec![]);
        }
        if !is_training {
            fleet.release(&run);
            pending.close(&run);
            feed.wake_queue();
        }
        self.send(FromServer::Stored { run, seq: stored_seq }).await
    }

    /// The run is no longer in this lab, or another device trains it: its reports are acknowledged and dropped, and the worker is ordered to
    /// stop it.
    async fn order_stop(&mut self, run: RunId, last_seq: u64, reason: String) -> Result<(), LinkEnd> {
        if !self.stopped.contains(&run) {
            self.stopped.push(run.clone());
            self.workers.fleet.release_from(&self.slot, &run);
            let command = Command::Stop { reason: Some(reason) };
            let command_id = self.workers.pending.expect(&run).command_id();
            let command = NumberedCommand { command_id, author: Author::System, command };
            self.send(FromServer::Command { run: run.clone(), command }).await?;
        }
        self.send(FromServer::Stored { run, seq: last_seq }).await
    }

    async fn take_update(&self, run: &RunId, update: InspectionUpdate) {
        let feed = &self.workers.feed;
        if matches!(update, InspectionUpdate::ParameterStats { .. }) {
            // For callers of the API; a page requests it as an inspection. The next update replaces one that could not be stored.
            if let Err(error) = feed.store.put_update(run, &update).await {
                tracing::debug!("parameter statistics of {run} were not stored: {error}");
            }
            return;
        }
        if !self.workers.subscriptions.is_requested(run, &update.key()) {
            return;
        }
        if let Ok(Some(summary)) = feed.store.summary(run).await {
            feed.hub.publish(summary, vec![], vec![], vec![update]);
        }
    }

    async fn send(&self, message: FromServer) -> Result<(), LinkEnd> {
        self.to_worker.send(message).await.map_err(|_| LinkEnd::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_of_a_hello_is_read_before_the_rest() {
        // An older Hello: variant 0, version 5, and fields that this version does not know.
        assert_eq!(protocol_of(&[0, 5, 3, b'o', b'l', b'd']), Some(5));
        assert_eq!(protocol_of(&[1, 5]), None);
        assert_eq!(protocol_of(&[]), None);
        let message = LinkEnd::OtherProtocol(5).to_string();
        assert!(message.contains("version 5") && message.contains(&PROTOCOL.to_string()), "{message}");
    }
}
