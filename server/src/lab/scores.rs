//! The scores that wait, the one that is computed, and those that failed since the start of the server.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use wire::control::author::Author;
use wire::task::TaskName;
use wire::task::lab::{FailedScore, WaitingScore};
use wire::{CheckpointId, RunId};

use crate::error::ApiError;
use crate::live::clock::now_ms;

/// Scores that may wait.
const WAITING: usize = 100;
/// Failed scores that are listed.
const FAILED: usize = 200;

/// The score of a checkpoint on a task, and who requested it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub run: RunId,
    pub task: TaskName,
    pub checkpoint: CheckpointId,
    pub author: Author,
}

impl Request {
    fn is_of(&self, run: &RunId, task: &TaskName, checkpoint: CheckpointId) -> bool {
        self.run == *run && self.task == *task && self.checkpoint == checkpoint
    }

    fn is_same(&self, other: &Self) -> bool {
        self.is_of(&other.run, &other.task, other.checkpoint)
    }

    fn view(&self, is_running: bool) -> WaitingScore {
        WaitingScore { task: self.task.clone(), checkpoint: self.checkpoint, is_running }
    }
}

/// The scores of a server; cloning shares them.
#[derive(Clone, Default)]
pub struct Scores(Arc<Parts>);

#[derive(Default)]
struct Parts {
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    running: Option<Running>,
    failed: VecDeque<(RunId, FailedScore)>,
    /// Scores that no schedule asks for again: they failed or were cancelled, and were not computed since.
    given_up: HashSet<(RunId, TaskName, CheckpointId)>,
}

struct Running {
    request: Request,
    /// Dropped to cancel it.
    _cancel: oneshot::Sender<()>,
}

impl Scores {
    /// Adds a score. One that waits or is computed already is not added again.
    ///
    /// # Errors
    /// 429 if too many wait.
    pub fn add(&self, request: Request) -> Result<WaitingScore, ApiError> {
        let mut state = self.lock();
        if state.running.as_ref().is_some_and(|running| running.request.is_same(&request)) {
            return Ok(request.view(true));
        }
        let view = request.view(false);
        if !state.waiting.iter().any(|known| known.is_same(&request)) {
            if state.waiting.len() >= WAITING {
                return Err(ApiError::busy(format!("{WAITING} scores wait already, which is the maximum"))
                    .hint("try again later, or cancel some"));
            }
            state.waiting.push_back(request);
        }
        drop(state);
        self.wake();
        Ok(view)
    }

    /// Cancels a score that waits or is computed; whether there was one.
    pub fn cancel(&self, run: &RunId, task: &TaskName, checkpoint: CheckpointId) -> bool {
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.retain(|known| !known.is_of(run, task, checkpoint));
        let is_running = state.running.as_ref().is_some_and(|known| known.request.is_of(run, task, checkpoint));
        if is_running {
            state.running = None;
        }
        is_running || state.waiting.len() < before
    }

    /// Begins the first score that waits. The receiver ends when it is cancelled.
    pub fn next(&self) -> Option<(Request, oneshot::Receiver<()>)> {
        let request = self.lock().waiting.pop_front()?;
        self.begin(request)
    }

    /// Begins a score. The receiver ends when it is cancelled.
    pub fn begin(&self, request: Request) -> Option<(Request, oneshot::Receiver<()>)> {
        let (cancel, cancelled) = oneshot::channel();
        self.lock().running = Some(Running { request: request.clone(), _cancel: cancel });
        Some((request, cancelled))
    }

    /// Ends a score. A failure replaces an earlier one of the same score.
    pub fn end(&self, request: &Request, error: Option<ApiError>) {
        let Request { run, task, checkpoint, .. } = request;
        let mut state = self.lock();
        state.running = None;
        let is_same =
            |(of, failed): &(RunId, FailedScore)| of == run && failed.task == *task && failed.checkpoint == *checkpoint;
        state.failed.retain(|known| !is_same(known));
        let key = (run.clone(), task.clone(), *checkpoint);
        match error.is_some() {
            true => state.given_up.insert(key),
            false => state.given_up.remove(&key),
        };
        if let Some(error) = error {
            if state.failed.len() >= FAILED {
                state.failed.pop_front();
            }
            let (task, checkpoint, at_ms, error) = (task.clone(), *checkpoint, now_ms(), *error.body);
            state.failed.push_back((run.clone(), FailedScore { task, checkpoint, at_ms, error }));
        }
    }

    /// The scores of a run that wait or are computed, in order.
    pub fn waiting(&self, run: &RunId) -> Vec<WaitingScore> {
        let state = self.lock();
        let running = state.running.iter().map(|running| (&running.request, true));
        let all = running.chain(state.waiting.iter().map(|request| (request, false)));
        all.filter(|(request, _)| request.run == *run).map(|(request, runs)| request.view(runs)).collect()
    }

    /// The scores of a run that failed, oldest first.
    pub fn failed(&self, run: &RunId) -> Vec<FailedScore> {
        self.lock().failed.iter().filter(|(of, _)| of == run).map(|(_, failed)| failed.clone()).collect()
    }

    /// Whether a score failed or was cancelled, and was not computed since.
    pub fn has_failed(&self, run: &RunId, task: &TaskName, checkpoint: CheckpointId) -> bool {
        self.lock().given_up.contains(&(run.clone(), task.clone(), checkpoint))
    }

    /// Wakes the task that computes scores.
    pub fn wake(&self) {
        self.0.woken.notify_one();
    }

    /// Waits for [`Self::wake`].
    pub async fn woken(&self) {
        self.0.woken.notified().await;
    }

    // Code that holds this lock only changes plain collections, which are consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(task: &str, step: u64) -> Request {
        let checkpoint = CheckpointId { segment: 0, step };
        Request { run: "r".parse().unwrap(), task: task.parse().unwrap(), checkpoint, author: Author::System }
    }

    #[test]
    fn a_score_waits_once_runs_and_can_be_cancelled() {
        let (scores, run) = (Scores::default(), "r".parse().unwrap());
        let waiting =
            || scores.waiting(&run).iter().map(|one| (one.checkpoint.step, one.is_running)).collect::<Vec<_>>();
        for step in [1, 2, 1] {
            scores.add(request("a", step)).unwrap();
        }
        assert_eq!(waiting(), [(1, false), (2, false)]);
        let (first, mut cancelled) = scores.next().unwrap();
        assert!(scores.add(request("a", 1)).unwrap().is_running, "the one that is computed is not added again");
        assert_eq!(waiting(), [(1, true), (2, false)]);
        let cancel = |step| scores.cancel(&run, &"a".parse().unwrap(), CheckpointId { segment: 0, step });
        assert!(cancel(2) && !cancel(2) && !cancel(3));
        assert!(cancelled.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert!(cancel(1) && cancelled.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        scores.end(&first, None);
        assert!(waiting().is_empty() && scores.next().is_none());
    }

    #[test]
    fn waiting_and_failed_scores_are_bounded_and_a_success_clears_a_failure() {
        let (scores, run) = (Scores::default(), "r".parse().unwrap());
        for step in 0..WAITING as u64 {
            scores.add(request("a", step)).unwrap();
        }
        assert_eq!(scores.add(request("a", 999)).unwrap_err().body.code, "busy");
        scores.add(request("a", 0)).unwrap();
        for step in 0..2 * FAILED as u64 {
            scores.end(&request("b", step), Some(ApiError::not_found("gone")));
        }
        assert_eq!(scores.failed(&run).len(), FAILED);
        let first = request("b", 0);
        assert!(scores.has_failed(&run, &first.task, first.checkpoint), "also one that is no longer listed");
        let last = request("b", 2 * FAILED as u64 - 1);
        assert!(scores.has_failed(&run, &last.task, last.checkpoint));
        scores.end(&last, None);
        assert!(!scores.has_failed(&run, &last.task, last.checkpoint));
    }
}
