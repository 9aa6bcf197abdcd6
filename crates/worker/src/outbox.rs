//! The reports of one run between the training thread and the link: the spool behind a lock, and a signal for the link.
//!
//! The training thread takes the lock for one write and never waits for the network. When the disk is full or fails, reports wait in
//! memory, and `blocked` says why; the run pauses until they are written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::transport::link::{Item, Report};
use wire::{RunId, RunState};

use crate::spool::{Limit, Spool, SpoolError};

/// Work between two steps that takes less is not shown.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// Wakes the link when the training thread has something to send.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Notified when there is something to send or to do.
    pub(crate) notified: Notify,
    /// An event was reported, which users wait for: the link sends it without collecting more.
    pub(crate) is_urgent: AtomicBool,
}

impl Signal {
    pub(crate) fn notify(&self, is_urgent: bool) {
        if is_urgent {
            self.is_urgent.store(true, Ordering::Release);
        }
        self.notified.notify_one();
    }
}

/// The reports of one run that are to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) run: RunId,
    spool: Mutex<Spool>,
    signal: Arc<Signal>,
    /// The newest update of each inspection, by its key.
    updates: Mutex<BTreeMap<String, InspectionUpdate>>,
    /// Requested inspections, until the training has taken them.
    requested: Mutex<Option<Vec<Inspection>>>,
    /// What the run does between two steps, and since when.
    activity: Mutex<Option<(Instant, String)>>,
    acked: AtomicU64,
    is_over: AtomicBool,
    is_paused: AtomicBool,
    is_abandoned: AtomicBool,
    is_asked_to_end: AtomicBool,
}

/// Locks. After a panic in another thread the value is used as it is: no operation under the lock leaves it incomplete.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    /// The outbox of a run in training, or (`is_over`) of reports that an earlier process left.
    pub(crate) fn new(run: RunId, spool: Spool, signal: Arc<Signal>, is_over: bool) -> Self {
        Self {
            run,
            spool: Mutex::new(spool),
            signal,
            updates: Mutex::default(),
            requested: Mutex::default(),
            activity: Mutex::default(),
            acked: AtomicU64::new(0),
            is_over: AtomicBool::new(is_over),
            is_paused: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            is_asked_to_end: AtomicBool::new(false),
        }
    }

    // Called on the training thread.

    /// Stores a report. Waits only while the disk cannot be written and the memory for pending reports is full.
    pub(crate) fn put(&self, item: Item) {
        if self.is_abandoned() {
            return;
        }
        let is_event = matches!(item, Item::Event(_));
        if let Item::Event(Report { state: Some(state), .. }) = &item {
            self.is_paused.store(*state == RunState::Paused, Ordering::Release);
        }
        // Over or suspended: the last report of this training.
        let is_last = matches!(&item, Item::Event(report)
            if report.state.is_some_and(|state| state.is_over() || state == RunState::Suspended));
        {
            let mut spool = locked(&self.spool);
            if let Err(source) = spool.append(&item) {
                tracing::error!(run = %self.run, "a report cannot be encoded: {source}");
            }
        }
        self.is_over.fetch_or(is_last, Ordering::AcqRel);
        self.signal.notify(is_event);
        while locked(&self.spool).is_full() && !self.is_abandoned() {
            sleep(Duration::from_millis(100));
            locked(&self.spool).flush();
        }
    }

    /// The reason why reports currently cannot be written to disk, if they cannot.
    pub(crate) fn blocked(&self) -> Option<String> {
        if self.is_abandoned() {
            return None;
        }
        let spool = locked(&self.spool);
        let failure = spool.failure()?;
        Some(format!(
            "reports cannot be written to {} ({failure}); once the cause is removed, training continues by itself. No report is lost: they wait in memory",
            spool.path().display()
        ))
    }

    /// Replaces the previous update of the same inspection.
    pub(crate) fn put_update(&self, update: InspectionUpdate) {
        if !self.is_abandoned() {
            locked(&self.updates).insert(update.key(), update);
            self.signal.notify(false);
        }
    }

    /// Sets what the run does between two steps; the same work keeps its beginning while its progress changes.
    pub(crate) fn set_activity(&self, what: Option<String>) {
        let mut activity = locked(&self.activity);
        let since = activity.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *activity = what.map(|what| (since, what));
    }

    /// The requested inspections, if the training has not taken them yet.
    pub(crate) fn take_requested(&self) -> Option<Vec<Inspection>> {
        locked(&self.requested).take()
    }

    // Called by the link and the timer.

    /// Sets the requested inspections. Results of inspections that are no longer requested are not sent.
    pub(crate) fn request(&self, inspections: Vec<Inspection>) {
        let keys: Vec<String> = inspections.iter().map(Inspection::key).collect();
        let is_requested = |update: &InspectionUpdate| {
            matches!(update, InspectionUpdate::Result { .. } | InspectionUpdate::Failed { .. })
        };
        locked(&self.updates).retain(|key, update| !is_requested(update) || keys.contains(key));
        *locked(&self.requested) = Some(inspections);
    }

    /// What the run has been doing between two steps for at least [`SHOWN_AFTER`].
    pub(crate) fn long_activity(&self) -> Option<String> {
        let activity = locked(&self.activity);
        activity.as_ref().filter(|(since, _)| since.elapsed() >= SHOWN_AFTER).map(|(_, what)| what.clone())
    }

    /// Called each second: writes pending reports, and syncs the file.
    pub(crate) fn sync(&self) {
        let file = {
            let mut spool = locked(&self.spool);
            spool.flush();
            spool.unsynced()
        };
        if let Some(source) = file.and_then(|file| file.sync_data().err()) {
            tracing::warn!(run = %self.run, "cannot sync the spool: {source}");
        }
    }

    /// Reports from number `from` on up to `limit`, with the number of the first, which is larger than `from` only if numbers were skipped.
    pub(crate) fn read(&self, from: u64, limit: Limit) -> Result<Option<(u64, Vec<Item>)>, SpoolError> {
        let (records, path) = {
            let mut spool = locked(&self.spool);
            (spool.read(from, limit)?, spool.path().to_owned())
        };
        records.map(|records| Ok((records.first_seq, records.decode(&path)?))).transpose()
    }

    pub(crate) fn take_updates(&self) -> Vec<InspectionUpdate> {
        std::mem::take(&mut *locked(&self.updates)).into_values().collect()
    }

    pub(crate) fn last(&self) -> u64 {
        locked(&self.spool).last()
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// The server has stored everything up to `seq`. A smaller number than before is ignored.
    pub(crate) fn acknowledge(&self, seq: u64) {
        self.acked.fetch_max(seq, Ordering::AcqRel);
        locked(&self.spool).skip_to(seq);
    }

    /// Sets the number of the last stored report at the start of a connection, also to a smaller one than before.
    pub(crate) fn start_from(&self, stored: u64) {
        self.acked.store(stored, Ordering::Release);
        locked(&self.spool).skip_to(stored);
    }

    /// Whether no more reports will be added.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether the run is paused, by its last report of a state.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Acquire)
    }

    /// Whether the server has stored all reports, and no more will be added.
    pub(crate) fn is_delivered(&self) -> bool {
        self.is_over() && self.acked() >= self.last()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// The server has released this run: reports are dropped from now on.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
    }

    /// Whether a command to stop or suspend the run was sent to its training.
    pub(crate) fn is_asked_to_end(&self) -> bool {
        self.is_asked_to_end.load(Ordering::Acquire)
    }

    /// Notes that a command to stop or suspend the run was sent to its training, which may still fetch what it needs.
    pub(crate) fn ask_to_end(&self) {
        self.is_asked_to_end.store(true, Ordering::Release);
    }

    pub(crate) fn remove(&self) {
        if let Err(source) = locked(&self.spool).remove() {
            tracing::warn!(run = %self.run, "{source}");
        }
    }
}
