//! Saves checkpoints at their intervals and rolls back to one. [`crate::optim::checkpoint`] defines the files, [`super::checkpoint_writer`] the
//! thread that writes them.

use wire::control::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::control::command::NumberedCommand;
use wire::control::event::Event;
use wire::transport::link::Report;

use super::checkpoint_writer::{CheckpointWriter, Requester};
use super::commands::refuse;
use super::{Reporter, Session, now_ms};
use crate::error::EngineError;
use crate::optim::checkpoint::{self, HostState, Manifest};
use crate::optim::loss_scale::LossScale;
use crate::train::trainer::is_due;

/// Parameters up to which the run waits for the writer: with moments 48 MB, written in a fraction of a second.
const SMALL_PARAMETERS: u64 = 4_000_000;

impl Session {
    /// Applies the changes of the past at their steps, without reporting them again.
    pub(super) fn replay_changes(&mut self) {
        while let Some(record) = self.replay.next(self.steps()) {
            if let Event::RolledBack { best_valid, .. } = record.event {
                (self.segment, self.best_valid) = (record.segment, best_valid);
            }
            self.apply_change(&record.event, record.step);
        }
    }

    /// Loads a checkpoint and opens a segment.
    pub(super) fn roll_back(
        &mut self,
        numbered: &NumberedCommand,
        id: CheckpointId,
        skip_batches: u64,
        out: &mut dyn Reporter,
    ) -> Result<Event, EngineError> {
        self.wait_for_checkpoints(out);
        let Some(root) = &self.folders.checkpoints else {
            return Ok(refuse(numbered, "this run saves no checkpoints"));
        };
        let saved = match checkpoint::open(&checkpoint::folder(root, &self.run, id)) {
            Ok(saved) => saved,
            Err(source) => return Ok(refuse(numbered, &format!("checkpoint {id} cannot be loaded: {source}"))),
        };
        let state = saved.state(&self.trainer.device.burn)?;
        let Manifest { info, hyperparameters, noise_scale, loss_scale, .. } = saved.manifest;
        let CheckpointInfo { loss_train, loss_valid, best_valid, .. } = info;
        let event = Event::RolledBack {
            checkpoint: id,
            from_segment: self.segment,
            from_step: self.steps(),
            skip_batches,
            best_valid,
        };
        (self.trainer.state, self.trainer.live, self.newest_stats) = (state, hyperparameters, None);
        self.noise_scale = noise_scale;
        self.trainer.restore_loss_scale(loss_scale);
        self.last_segment += 1;
        self.segment = self.last_segment;
        self.inspections.skip_snapshot((self.segment, id.step));
        (self.loss_train, self.loss_valid, self.best_valid) = (loss_train, loss_valid, best_valid);
        self.trainer.live.apply(&event, id.step);
        self.count_data();
        Ok(event)
    }

    /// Copies the state to the host and queues it for the writer.
    pub(super) fn checkpoint(&mut self, cause: Cause, requester: Requester) -> Result<(), EngineError> {
        // The edited state is the checkpoint of this step plus an event of the journal; the edited state gets its own id from the next step on.
        if self.is_edited_here() {
            return Ok(());
        }
        let id = CheckpointId { segment: self.segment, step: self.steps() };
        let changes = self.trainer.live.changes;
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.needs(id, changes, cause)) else {
            return Ok(());
        };
        let trainer = &self.trainer;
        let state = HostState::take(&trainer.specs, &trainer.state, trainer.replicas.is_some())?;
        let info = CheckpointInfo {
            id,
            cause,
            at_ms: now_ms(),
            bytes: 0,
            hash: String::new(),
            changes,
            loss_train: self.loss_train,
            loss_valid: self.loss_valid,
            best_valid: self.best_valid,
        };
        let manifest = Manifest {
            format: checkpoint::FORMAT,
            run: self.run.clone(),
            info,
            plan: trainer.plan.clone(),
            hyperparameters: trainer.live.clone(),
            secs: self.secs,
            noise_scale: self.noise_scale,
            loss_scale: trainer.loss_scale.as_ref().map(LossScale::saved).transpose()?,
        };
        writer.write(state, manifest, requester);
        Ok(())
    }

    /// Saves the last checkpoint of a run that ends or is suspended, and reports it before the end.
    pub(super) fn save_last_checkpoint(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        self.checkpoint(Cause::End, Requester::system())?;
        self.wait_for_checkpoints(out);
        Ok(())
    }

    pub(super) fn wait_for_checkpoints(&mut self, out: &mut dyn Reporter) {
        let reports = self.writer.as_mut().map(CheckpointWriter::wait).unwrap_or_default();
        self.report_checkpoints(reports, out);
    }

    pub(super) fn report_written_checkpoints(&mut self, out: &mut dyn Reporter) {
        let reports = self.writer.as_mut().map(CheckpointWriter::written).unwrap_or_default();
        self.report_checkpoints(reports, out);
    }

    /// Reports checkpoints, except those that were reported before the worker ended and are written again.
    fn report_checkpoints(&self, reports: Vec<Report>, out: &mut dyn Reporter) {
        for report in reports {
            if report.command_id.is_some() || !self.replay.is_reported(&report.event, report.segment, report.step) {
                out.report(report);
            }
        }
    }

    /// Whether a checkpoint may be saved now. A large state waits until the writer is free, so that memory holds at most one copy; for a small
    /// one the run waits for the writer.
    pub(super) fn may_checkpoint(&self) -> bool {
        self.writer.as_ref().is_some_and(CheckpointWriter::is_free) || self.parameters() < SMALL_PARAMETERS
    }

    /// Saves the periodic checkpoint. If it must wait for the writer, it is saved after a later step.
    pub(super) fn checkpoint_if_due(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        self.is_checkpoint_due |= is_due(self.steps(), self.trainer.live.intervals.checkpoint_every);
        if self.is_checkpoint_due && self.may_checkpoint() {
            self.is_checkpoint_due = false;
            // The saved gradient noise scale includes all steps before.
            self.read_steps(out)?;
            // A GPU shows only now that a loss was not finite; that state replaces no checkpoint.
            if self.is_paused {
                return Ok(());
            }
            self.checkpoint(Cause::Interval, Requester::system())?;
        }
        Ok(())
    }
}
