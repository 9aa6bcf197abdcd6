//! The checkpoint writer: the training thread copies a state to the host, and a thread of the writer hashes, writes and syncs it.
//!
//! One checkpoint is written at a time, and one may be queued. A checkpoint that is complete on disk is reported between two steps, with its own step.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use wire::control::author::Author;
use wire::control::checkpoint::{Cause, CheckpointId};
use wire::control::event::Event;
use wire::run::RunState;
use wire::transport::link::Report;

use super::now_ms;
use crate::error::EngineError;
use crate::optim::checkpoint::{HostState, Manifest};

/// The request of a checkpoint, which is answered when the checkpoint is complete on disk.
#[derive(Debug, Clone)]
pub(super) struct Requester {
    pub(super) command_id: Option<u64>,
    pub(super) author: Author,
    pub(super) reason: Option<String>,
}

impl Requester {
    pub(super) fn system() -> Self {
        Self { command_id: None, author: Author::System, reason: None }
    }
}

struct Job {
    state: HostState,
    manifest: Manifest,
    requester: Requester,
}

struct Done {
    id: CheckpointId,
    requester: Requester,
    outcome: Result<Manifest, EngineError>,
}

/// Writes checkpoints of one run. Dropping it waits for the pending checkpoints.
pub(super) struct CheckpointWriter {
    /// `None` only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    done: Receiver<Done>,
    /// Checkpoints that are queued or written and not yet reported.
    pending: usize,
    /// The newest checkpoint, with the number of changes that it includes.
    newest: Option<(CheckpointId, u32)>,
}

impl CheckpointWriter {
    /// Starts a writer under `root`.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(super) fn start(root: PathBuf) -> Result<Self, EngineError> {
        let (jobs, received) = sync_channel::<Job>(1);
        let (report, done) = channel();
        let write = {
            let root = root.clone();
            move || {
                for Job { state, manifest, requester } in received {
                    let id = manifest.info.id;
                    let outcome = state.write(&root, manifest);
                    // Sending fails if the run has ended without waiting; the checkpoint stays on disk.
                    let _ = report.send(Done { id, requester, outcome });
                }
            }
        };
        let thread = thread::Builder::new()
            .name("checkpoint-writer".into())
            .spawn(write)
            .map_err(|source| EngineError::checkpoint(&root, source))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), done, pending: 0, newest: None })
    }

    /// Whether a checkpoint for this cause is needed: not if the same state is saved already, nor, before a change, if it would replace an
    /// older checkpoint of the same weights.
    pub(super) fn needs(&self, id: CheckpointId, changes: u32, cause: Cause) -> bool {
        match (self.newest, cause) {
            (_, Cause::Requested) => true,
            (Some((newest, _)), Cause::BeforeChange) => newest != id,
            (newest, _) => newest != Some((id, changes)),
        }
    }

    /// Whether no checkpoint is pending, so that a new one is the only copy of a state in memory.
    pub(super) fn is_free(&self) -> bool {
        self.pending == 0
    }

    /// Queues a state for the writer thread. Blocks while one checkpoint is being written and another is queued.
    pub(super) fn write(&mut self, state: HostState, manifest: Manifest, requester: Requester) {
        self.newest = Some((manifest.info.id, manifest.info.changes));
        // The thread ends only with this writer, so it receives every job.
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { state, manifest, requester }).is_ok());
        self.pending += usize::from(sent);
    }

    /// Whether a checkpoint is still to be reported.
    pub(super) fn is_busy(&self) -> bool {
        self.pending > 0
    }

    /// The reports of checkpoints that were completed, or failed, since the last call.
    pub(super) fn written(&mut self) -> Vec<Report> {
        let done: Vec<Done> = self.done.try_iter().collect();
        self.pending -= done.len().min(self.pending);
        done.into_iter().map(report).collect()
    }

    /// Waits until every pending checkpoint is complete or has failed.
    pub(super) fn wait(&mut self) -> Vec<Report> {
        let mut reports = vec![];
        while self.pending > 0 {
            match self.done.recv_timeout(Duration::from_secs(600)) {
                Ok(done) => {
                    self.pending -= 1;
                    reports.push(report(done));
                }
                Err(_) => self.pending = 0,
            }
        }
        reports
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        self.jobs = None;
        // A thread that panicked writes nothing more.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn report(Done { id, requester, outcome }: Done) -> Report {
    let event = match outcome {
        Ok(manifest) => Event::Checkpointed { checkpoint: manifest.info },
        Err(source) => Event::CheckpointFailed { checkpoint: id, message: source.to_string() },
    };
    Report {
        segment: id.segment,
        step: id.step,
        at_ms: now_ms(),
        author: requester.author,
        command_id: requester.command_id,
        reason: requester.reason,
        event,
        state: None::<RunState>,
    }
}
