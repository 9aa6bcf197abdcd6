//! The reports of one run between the thread that trains and the link that sends: the spool behind a lock, a bell for the link,
//! and what is done when the disk refuses.
//!
//! The training thread takes the lock for one buffered write and never waits for the network. When the disk refuses, reports
//! wait in memory and the training is told that it is blocked, and why; it holds until the clock here has written them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use tokio::sync::Notify;
use wire::frame::Frame;
use wire::link::Item;
use wire::look::Look;
use wire::{RunId, RunState};

use crate::spool::{Most, Spool, SpoolError};

/// The bell between the training thread and the link.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Rung when there is something to send or to do.
    pub(crate) rung: Notify,
    /// Something is there which people wait for: send without gathering more.
    pub(crate) is_urgent: AtomicBool,
}

impl Bell {
    pub(crate) fn ring(&self, is_urgent: bool) {
        if is_urgent {
            self.is_urgent.store(true, Ordering::Release);
        }
        self.rung.notify_one();
    }
}

/// What waits to be sent of one run.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) run: RunId,
    spool: Mutex<Spool>,
    bell: Arc<Bell>,
    /// The latest look of each kind.
    looks: Mutex<BTreeMap<String, Frame>>,
    /// Looks that somebody watches, until the training has heard of them.
    wanted: Mutex<Option<Vec<Look>>>,
    acked: AtomicU64,
    is_over: AtomicBool,
    is_abandoned: AtomicBool,
}

/// A lock that a panicking thread left behind is as good as before: all that is done under it is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    /// Of a run in training, or (`is_over`) of one that an earlier process left.
    pub(crate) fn new(run: RunId, spool: Spool, bell: Arc<Bell>, is_over: bool) -> Self {
        Self {
            run,
            spool: Mutex::new(spool),
            bell,
            looks: Mutex::default(),
            wanted: Mutex::default(),
            acked: AtomicU64::new(0),
            is_over: AtomicBool::new(is_over),
            is_abandoned: AtomicBool::new(false),
        }
    }

    // From the training thread.

    /// Takes a report for good. Waits only where the disk has refused for so long that memory is no place either.
    pub(crate) fn put(&self, item: Item) {
        if self.is_abandoned() {
            return;
        }
        let is_event = matches!(item, Item::Event(_));
        // Ended, or parked: nothing more comes of this run from here.
        let is_last = matches!(&item, Item::Event(report)
            if report.state.is_some_and(|state| state.is_over() || state == RunState::Parked));
        {
            let mut spool = locked(&self.spool);
            if let Err(source) = spool.append(&item) {
                tracing::error!(run = %self.run, "a report cannot be encoded: {source}");
            }
        }
        self.is_over.fetch_or(is_last, Ordering::AcqRel);
        self.bell.ring(is_event);
        while locked(&self.spool).is_full() && !self.is_abandoned() {
            sleep(Duration::from_millis(100));
            locked(&self.spool).flush();
        }
    }

    /// Why reports cannot be kept on disk, while they cannot.
    pub(crate) fn blocked(&self) -> Option<String> {
        if self.is_abandoned() {
            return None;
        }
        let spool = locked(&self.spool);
        let failure = spool.failure()?;
        Some(format!(
            "reports cannot be written to {} ({failure}); make room, and training goes on by itself. None is lost: they wait in memory",
            spool.path().display()
        ))
    }

    /// Keeps the look if it is the newest of its kind.
    pub(crate) fn put_look(&self, frame: Frame) {
        if !self.is_abandoned() {
            locked(&self.looks).insert(frame.key(), frame);
            self.bell.ring(false);
        }
    }

    /// The looks that are watched now, where the training has not heard of them yet.
    pub(crate) fn take_wanted(&self) -> Option<Vec<Look>> {
        locked(&self.wanted).take()
    }

    // From the link and the clock.

    /// What is watched from now on. Looks that nobody watches any more are not sent.
    pub(crate) fn want(&self, looks: Vec<Look>) {
        let keys: Vec<String> = looks.iter().map(Look::key).collect();
        let is_asked_for = |frame: &Frame| matches!(frame, Frame::Seen { .. } | Frame::Unseen { .. });
        locked(&self.looks).retain(|key, frame| !is_asked_for(frame) || keys.contains(key));
        *locked(&self.wanted) = Some(looks);
    }

    /// Each second: what waits in memory is written, and what is written is synced.
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

    /// As many reports from `from` on as `most` allows, with the number of the first: a later one only where numbers leapt.
    pub(crate) fn read(&self, from: u64, most: Most) -> Result<Option<(u64, Vec<Item>)>, SpoolError> {
        let (records, path) = {
            let mut spool = locked(&self.spool);
            (spool.read(from, most)?, spool.path().to_owned())
        };
        records.map(|records| Ok((records.first_seq, records.decode(&path)?))).transpose()
    }

    pub(crate) fn take_looks(&self) -> Vec<Frame> {
        std::mem::take(&mut *locked(&self.looks)).into_values().collect()
    }

    pub(crate) fn last(&self) -> u64 {
        locked(&self.spool).last()
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// The server has everything up to `seq`: an answer on a living connection, which never takes back.
    pub(crate) fn acknowledge(&self, seq: u64) {
        self.acked.fetch_max(seq, Ordering::AcqRel);
        locked(&self.spool).skip_to(seq);
    }

    /// What the server says at the start of a connection counts, also where it says less than before.
    pub(crate) fn start_from(&self, stored: u64) {
        self.acked.store(stored, Ordering::Release);
        locked(&self.spool).skip_to(stored);
    }

    /// Whether no more reports will come.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether the server has all there will ever be.
    pub(crate) fn is_delivered(&self) -> bool {
        self.is_over() && self.acked() >= self.last()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// The lab wants nothing more of this run: reports are dropped from here on.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
    }

    pub(crate) fn remove(&self) {
        if let Err(source) = locked(&self.spool).remove() {
            tracing::warn!(run = %self.run, "{source}");
        }
    }
}
