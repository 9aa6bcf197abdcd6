//! Checkpoints while a run trains: the state is taken off the device on the training thread, and hashed, written and synced on another.
//!
//! One is written at a time and one may wait. What has become safe on disk is told between two steps, with the step it was taken at.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use wire::checkpoint::{Cause, CheckpointId};
use wire::event::{Author, Event};
use wire::link::Report;
use wire::run::RunState;

use crate::checkpoint::{Manifest, Snapshot};
use crate::error::EngineError;

/// Who asked for a checkpoint, to be answered when it is safe.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) command_id: Option<u64>,
    pub(super) author: Author,
    pub(super) reason: Option<String>,
}

impl Asker {
    pub(super) fn lab() -> Self {
        Self { command_id: None, author: Author::Lab, reason: None }
    }
}

struct Job {
    snapshot: Snapshot,
    manifest: Manifest,
    asker: Asker,
}

struct Done {
    id: CheckpointId,
    asker: Asker,
    outcome: Result<Manifest, EngineError>,
}

/// Writes checkpoints of one run. Dropped, it waits for what is under way.
pub(super) struct Keeper {
    /// None only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    writer: Option<thread::JoinHandle<()>>,
    done: Receiver<Done>,
    /// Given to the writer and not yet told of.
    under_way: usize,
    /// The newest taken, with the changes it holds.
    newest: Option<(CheckpointId, u32)>,
}

impl Keeper {
    /// A keeper that writes under `root`.
    ///
    /// # Errors
    /// A system without another thread.
    pub(super) fn start(root: PathBuf) -> Result<Self, EngineError> {
        let (jobs, received) = sync_channel::<Job>(1);
        let (tell, done) = channel();
        let write = {
            let root = root.clone();
            move || {
                for Job { snapshot, manifest, asker } in received {
                    let id = manifest.info.id;
                    let outcome = snapshot.write(&root, manifest);
                    // Nobody listens once the run has ended without waiting; what is on disk stays.
                    let _ = tell.send(Done { id, asker, outcome });
                }
            }
        };
        let writer = thread::Builder::new()
            .name("keep".into())
            .spawn(write)
            .map_err(|source| EngineError::Checkpoint { path: root, message: source.to_string() })?;
        Ok(Self { jobs: Some(jobs), writer: Some(writer), done, under_way: 0, newest: None })
    }

    /// Whether one for this cause is worth taking: not where the same state is kept already, nor, before a change, where an older
    /// one of the same weights would be lost for it.
    pub(super) fn wants(&self, id: CheckpointId, changes: u32, cause: Cause) -> bool {
        match (self.newest, cause) {
            (_, Cause::Asked) => true,
            (Some((newest, _)), Cause::BeforeChange) => newest != id,
            (newest, _) => newest != Some((id, changes)),
        }
    }

    /// Whether nothing is under way: one more is then the only copy of the state.
    pub(super) fn is_free(&self) -> bool {
        self.under_way == 0
    }

    /// Gives one to the writer; waits where two are under way.
    pub(super) fn give(&mut self, snapshot: Snapshot, manifest: Manifest, asker: Asker) {
        self.newest = Some((manifest.info.id, manifest.info.changes));
        // The writer ends only with this keeper, so every job is taken.
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { snapshot, manifest, asker }).is_ok());
        self.under_way += usize::from(sent);
    }

    /// Whether something is still to be told.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way > 0
    }

    /// What has become safe, or failed, since the last call.
    pub(super) fn told(&mut self) -> Vec<Report> {
        let done: Vec<Done> = self.done.try_iter().collect();
        self.under_way -= done.len().min(self.under_way);
        done.into_iter().map(report).collect()
    }

    /// Waits until all that is under way is safe or has failed.
    pub(super) fn finish(&mut self) -> Vec<Report> {
        let mut reports = vec![];
        while self.under_way > 0 {
            match self.done.recv_timeout(Duration::from_secs(600)) {
                Ok(done) => {
                    self.under_way -= 1;
                    reports.push(report(done));
                }
                Err(_) => self.under_way = 0,
            }
        }
        reports
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        // A writer that panicked has nothing more to write.
        let _ = self.writer.take().map(thread::JoinHandle::join);
    }
}

fn report(Done { id, asker, outcome }: Done) -> Report {
    let event = match outcome {
        Ok(manifest) => Event::Checkpointed { checkpoint: manifest.info },
        Err(source) => Event::CheckpointFailed { checkpoint: id, message: source.to_string() },
    };
    Report {
        segment: id.segment,
        step: id.step,
        at_ms: super::now_ms(),
        author: asker.author,
        command_id: asker.command_id,
        reason: asker.reason,
        event,
        state: None::<RunState>,
    }
}
