//! Reports that wait for the next transaction, oldest first.

use std::collections::VecDeque;
use std::mem::{replace, take};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::reports::{Committed, NewReports};

/// Points that fill a transaction, bytes. Those of all workers that return after an outage would make a very large one.
const GROUP_BYTES: usize = 4 << 20;

/// Where the outcome of reports is sent.
pub(crate) type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// Reports that wait, and where their outcome is sent.
pub(crate) type Waiting = (NewReports, Answer);

/// Shared by all runs of a store.
#[derive(Default)]
pub(crate) struct CommitQueue(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether a task stores them.
    has_task: bool,
}

impl CommitQueue {
    /// Adds reports. Returns whether a task must be started that stores them.
    pub(crate) fn add(&self, reports: NewReports, answer: Answer) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back((reports, answer));
        !replace(&mut queue.has_task, true)
    }

    /// Whether reports wait. Without any, the task ends, and the next reports need another one.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut queue = self.lock();
        queue.has_task = !queue.waiting.is_empty();
        queue.has_task
    }

    /// The oldest reports, as many as fit into a transaction.
    pub(crate) fn next_group(&self) -> Vec<Waiting> {
        let mut queue = self.lock();
        let mut bytes = 0;
        let fits = |(reports, _): &&Waiting| {
            let is_first = bytes == 0;
            bytes += reports.bytes();
            is_first || bytes <= GROUP_BYTES
        };
        let count = queue.waiting.iter().take_while(fits).count();
        queue.waiting.drain(..count).collect()
    }

    /// The task ended early: whoever waits is answered that nothing was stored, and the next reports need another task.
    pub(crate) fn abandon(&self) {
        let mut queue = self.lock();
        queue.has_task = false;
        let waiting = take(&mut queue.waiting);
        drop(queue);
        drop(waiting);
    }

    // Nothing panics under this lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
