//! The WebSocket of a page. Each topic that a page watches is a task with its own cursor. The tasks share the socket through a short
//! queue, so that a page that reads slowly delays only its own tasks.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use store::Identity;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use wire::inspect::request::Inspection;
use wire::run::Cursor;
use wire::transport::live::{FromPage, ToPage};
use wire::{RunId, RunSummary, encode};

use super::access_changes::AccessChanges;
use super::audience::Audience;
use super::clock::now_ms;
use super::feed::Feed;
use super::hub::{Behind, Hub};
use super::lab_state::{LAB_EVERY, LabStates};
use super::presenting::page::PresentingPage;
use super::presenting::{Presentations, PresentingError};
use super::subscriptions::{RunKeys, Subscriber, Subscriptions};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// A page that accepts nothing for so long is disconnected.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Messages that wait for the socket of one page, and ticks that are taken from a ring at a time.
pub(super) const TO_PAGE: usize = 8;
const TICKS_AT_ONCE: usize = 32;
/// Runs that one page may watch.
const RUNS: usize = 64;

/// The parts of the lab that the socket of a page uses.
#[derive(Clone)]
pub struct PageContext {
    /// Runs and their streams.
    pub feed: Feed,
    /// Requested inspections.
    pub subscriptions: Subscriptions,
    /// State of the lab.
    pub lab: Arc<LabStates>,
    /// Pages that others follow.
    pub presentations: Presentations,
    /// Changes of rights.
    pub access: AccessChanges,
}

/// Serves one page until it leaves, or until its token is revoked or expires. What it may see follows each change of its rights.
pub async fn serve(context: PageContext, socket: WebSocket, identity: Identity) {
    let (sink, mut stream) = socket.split();
    let (to_page, outgoing) = mpsc::channel(TO_PAGE);
    let mut writer = tokio::spawn(write(sink, outgoing));
    let mut access = context.access.watch(identity.token_id, identity.person);
    let mut page = Page::new(context, to_page, identity);
    // Its rights may have changed while the socket was opened.
    if !page.follow_rights().await {
        return;
    }
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => page.receive(&bytes).await,
                None | Some(Err(_) | Ok(Message::Close(_))) => break,
                Some(Ok(_)) => {}
            },
            _ = &mut writer => break,
            () = access.changed() => if !page.follow_rights().await { break },
            () = expiry(page.identity.expires_ms) => if !page.follow_rights().await { break },
        }
    }
}

/// Waits until a token, or a link that it has opened, expires.
async fn expiry(at_ms: Option<i64>) {
    match at_ms {
        Some(at_ms) => sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()).max(0) as u64)).await,
        None => pending().await,
    }
}

/// Sends the messages of the topics, and a heartbeat each second.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<Bytes>) {
    let mut heartbeat = interval(HEARTBEAT_EVERY);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let bytes = tokio::select! {
            message = outgoing.recv() => match message {
                Some(bytes) => bytes,
                None => return,
            },
            _ = heartbeat.tick() => encoded(&ToPage::Heartbeat { at_ms: now_ms() }),
        };
        if !matches!(timeout(SEND_WITHIN, sink.send(Message::Binary(bytes))).await, Ok(Ok(()))) {
            return;
        }
    }
}

pub(super) fn encoded(message: &ToPage) -> Bytes {
    // Plain data of known types; should it fail, the page drops an empty message.
    encode::to_bytes(message).map(Bytes::from).unwrap_or_default()
}

/// One page and what it watches; its tasks end when it is dropped.
pub(super) struct Page {
    context: PageContext,
    /// Who opened it, and what they reach.
    identity: Identity,
    to_page: mpsc::Sender<Bytes>,
    lab: Option<AbortHandle>,
    runs: HashMap<RunId, AbortHandle>,
    /// The inspections that it requests; they end with the page.
    subscriber: Subscriber,
    /// The presentation that it shows to others, and the one that it follows.
    presenting: PresentingPage,
}

impl Page {
    /// A page that watches nothing yet. Its messages are sent into `to_page`.
    pub(super) fn new(context: PageContext, to_page: mpsc::Sender<Bytes>, identity: Identity) -> Self {
        let subscriber = context.subscriptions.subscriber();
        let (presentations, store) = (context.presentations.clone(), context.feed.store.clone());
        let access = context.access.watch(identity.token_id, identity.person);
        let presenting = PresentingPage::new(presentations, store, identity.token_id, access, to_page.clone());
        Self { context, identity, to_page, lab: None, runs: HashMap::new(), subscriber, presenting }
    }

    /// Reads what the token reaches now. False once it reaches nothing; a store that does not answer disconnects nobody.
    async fn follow_rights(&mut self) -> bool {
        match self.context.feed.store.identity(self.identity.token_id).await {
            Ok(Some(identity)) => self.admit(identity).await,
            Ok(None) => return false,
            Err(error) => {
                tracing::error!("the rights of a page could not be read: {error}");
                // Not at once again, should its token have expired.
                self.identity.expires_ms = Some(now_ms() + 1000);
            }
        }
        true
    }

    /// Takes the present rights of the page, and ends what it may not watch any more. The runs are checked also where the rights are the
    /// same, because a run may have moved to another project.
    pub(super) async fn admit(&mut self, identity: Identity) {
        let has_changed = identity.grants != self.identity.grants;
        self.identity = identity;
        if has_changed {
            // A page that has left receives no answer.
            let _ = self.to_page.send(encoded(&ToPage::Rights)).await;
        }
        let watched: HashSet<RunId> = self.runs.keys().cloned().chain(self.subscriber.runs()).collect();
        for run in watched {
            if self.is_hidden(&run).await {
                self.leave(&run);
                self.refuse(format!("unknown run {run}")).await;
            }
        }
        if has_changed && self.lab.is_some() {
            self.watch_lab();
        }
    }

    /// Whether this page may not see a run. A store that does not answer hides nothing.
    async fn is_hidden(&self, run: &RunId) -> bool {
        match self.context.feed.store.project_of_run(run).await {
            Ok(project) => project.is_none_or(|project| self.identity.grants.on_run(run, &project).is_none()),
            Err(error) => {
                tracing::error!("the project of {run} could not be read: {error}");
                false
            }
        }
    }

    /// The summary of a run that this page may see.
    async fn seen(&self, run: &RunId) -> Option<RunSummary> {
        let summary = self.context.feed.store.summary(run).await.ok().flatten()?;
        self.identity.grants.on_run(run, &summary.project).map(|_| summary)
    }

    fn watch_lab(&mut self) {
        let audience = Audience::of(&self.identity.grants);
        let task = tokio::spawn(watch_lab(self.context.clone(), audience, self.to_page.clone()));
        self.lab.replace(task.abort_handle()).iter().for_each(AbortHandle::abort);
    }

    fn leave(&mut self, run: &RunId) {
        self.subscriber.leave(run);
        self.runs.remove(run).iter().for_each(AbortHandle::abort);
    }

    async fn receive(&mut self, bytes: &[u8]) {
        match encode::from_bytes(bytes) {
            Ok(message) => self.take(message).await,
            Err(error) => self.refuse(format!("the message cannot be decoded ({error}); reload the page")).await,
        }
    }

    /// Does what a message of the page requests.
    pub(super) async fn take(&mut self, message: FromPage) {
        match message {
            FromPage::WatchLab => self.watch_lab(),
            FromPage::LeaveLab => self.lab.take().iter().for_each(AbortHandle::abort),
            FromPage::WatchRun { run, since } => self.watch_run(run, since).await,
            FromPage::LeaveRun { run } => self.leave(&run),
            FromPage::Inspect { run, inspections } => self.inspect(run, inspections).await,
            FromPage::Present { presentation, state } => {
                let presented = self.presenting.present(presentation, state).await;
                self.answer(presented).await;
            }
            FromPage::StopPresenting => self.presenting.stop(),
            FromPage::Follow { presentation } => {
                let followed = self.presenting.follow(presentation).await;
                self.answer(followed).await;
            }
            FromPage::Unfollow => self.presenting.unfollow(),
        }
    }

    async fn answer(&self, presented: Result<(), PresentingError>) {
        if let Err(error) = presented {
            self.refuse(error.to_string()).await;
        }
    }

    async fn watch_run(&mut self, run: RunId, since: Cursor) {
        self.runs.retain(|_, task| !task.is_finished());
        if self.runs.len() >= RUNS && !self.runs.contains_key(&run) {
            return self.refuse(format!("this page already watches {RUNS} runs; leave one first")).await;
        }
        if self.seen(&run).await.is_none() {
            return self.refuse(format!("unknown run {run}")).await;
        }
        let keys = self.subscriber.run_keys(&run);
        let hub = self.context.feed.hub.clone();
        let task = tokio::spawn(watch_run(hub, self.to_page.clone(), run.clone(), since, keys));
        self.runs.insert(run, task.abort_handle()).iter().for_each(AbortHandle::abort);
    }

    /// Requests inspections. Updates of those that other pages requested before are sent at once, because the worker of a paused run sends
    /// no newer ones.
    async fn inspect(&mut self, run: RunId, inspections: Vec<Inspection>) {
        let Some(summary) = self.seen(&run).await else {
            self.subscriber.leave(&run);
            return self.refuse(format!("unknown run {run}")).await;
        };
        let shared = match self.subscriber.request(&run, inspections) {
            Ok(shared) => shared,
            Err(error) => return self.refuse(error.to_string()).await,
        };
        if !shared.is_empty() {
            self.context.feed.hub.publish_again(summary, |key| shared.contains(key));
        }
    }

    async fn refuse(&self, message: String) {
        // A page that has left receives no answer.
        let _ = self.to_page.send(encoded(&ToPage::Refused { message })).await;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.lab.iter().chain(self.runs.values()).for_each(AbortHandle::abort);
    }
}

/// Sends the ticks of a run after `since`, until the page leaves or is too far behind.
async fn watch_run(hub: Hub, to_page: mpsc::Sender<Bytes>, run: RunId, since: Cursor, keys: RunKeys) {
    let mut last = hub.follow(&run);
    let mut cursor = since;
    loop {
        last.mark_unchanged();
        match hub.after(&run, cursor, TICKS_AT_ONCE) {
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
                    let tick = hub.with_updates(&run, cursor.tick, tick, |key| keys.contains(key));
                    if to_page.send(tick).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Sends the state of the lab whenever it has changed.
async fn watch_lab(context: PageContext, audience: Audience, to_page: mpsc::Sender<Bytes>) {
    let mut version = context.feed.hub.follow_lab();
    loop {
        let now = *version.borrow_and_update();
        let sent = match context.lab.encoded(&audience, now).await {
            Ok((sent, bytes)) => {
                if to_page.send(bytes).await.is_err() {
                    return;
                }
                sent
            }
            Err(error) => {
                tracing::error!("the state of the lab could not be read: {error}");
                now
            }
        };
        sleep(LAB_EVERY).await;
        if version.wait_for(|version| *version != sent).await.is_err() {
            return;
        }
    }
}
