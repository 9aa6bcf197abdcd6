//! What a run keeps of itself while it trains, and how it goes back to it. Files are [`crate::checkpoint`]'s, the thread that writes
//! them is [`super::keeper`]'s.

use wire::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::command::CommandOrder;
use wire::event::Event;
use wire::link::Report;

use super::keeper::{Asker, Keeper};
use super::{Reporter, Training, is_due, now_ms, refuse};
use crate::checkpoint::{self, Manifest, Snapshot};
use crate::error::EngineError;

/// With moments 48 MB, written in a fraction of a second.
const SMALL_PARAMETERS: u64 = 4_000_000;

impl Training {
    /// Changes of the past take effect at their steps, in silence.
    pub(super) fn repeat_changes(&mut self) {
        while let Some(record) = self.replay.next(self.step()) {
            if let Event::RolledBack { best_valid, .. } = record.event {
                (self.segment, self.best_valid) = (record.segment, best_valid);
            }
            self.take_effect(&record.event, record.step);
        }
    }

    /// Loads a checkpoint; a new stretch of history begins with it.
    pub(super) fn roll_back(
        &mut self,
        order: &CommandOrder,
        id: CheckpointId,
        skip_batches: u64,
        out: &mut dyn Reporter,
    ) -> Result<Event, EngineError> {
        self.wait_for_checkpoints(out);
        let Some(root) = &self.folders.checkpoints else { return Ok(refuse(order, "this run keeps no checkpoints")) };
        let saved = match checkpoint::open(&checkpoint::folder(root, &self.run, id)) {
            Ok(saved) => saved,
            Err(source) => return Ok(refuse(order, &format!("the checkpoint {id} cannot be used: {source}"))),
        };
        let state = saved.state(&self.device.burn)?;
        let Manifest { info: CheckpointInfo { loss_train, loss_valid, best_valid, .. }, dials, .. } = saved.manifest;
        let event = Event::RolledBack {
            checkpoint: id,
            from_segment: self.segment,
            from_step: self.step(),
            skip_batches,
            best_valid,
        };
        (self.state, self.dials, self.newest_stats) = (state, dials, None);
        self.last_segment += 1;
        self.segment = self.last_segment;
        self.probes.skip((self.segment, id.step));
        (self.loss_train, self.loss_valid, self.best_valid) = (loss_train, loss_valid, best_valid);
        self.dials.apply(&event, id.step);
        self.count_epochs();
        Ok(event)
    }

    /// Takes the state off the device and gives it to the writer.
    pub(super) fn checkpoint(&mut self, cause: Cause, asker: Asker) -> Result<(), EngineError> {
        // The state with hands on it is the one before them and a line of the journal; from the next step on it has a name of its own.
        if self.has_hands_here() {
            return Ok(());
        }
        let (id, changes) = (CheckpointId { segment: self.segment, step: self.step() }, self.dials.changes);
        let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.wants(id, changes, cause)) else {
            return Ok(());
        };
        let snapshot = Snapshot::take(&self.specs, &self.state, self.cores.is_some())?;
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
            plan: self.plan.clone(),
            dials: self.dials.clone(),
            secs: self.secs,
        };
        keeper.give(snapshot, manifest, asker);
        Ok(())
    }

    /// The last one of a run that ends or lets go, told of before its end.
    pub(super) fn keep_the_end(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        self.checkpoint(Cause::End, Asker::lab())?;
        self.wait_for_checkpoints(out);
        Ok(())
    }

    pub(super) fn wait_for_checkpoints(&mut self, out: &mut dyn Reporter) {
        let reports = self.keeper.as_mut().map(Keeper::finish).unwrap_or_default();
        self.report_checkpoints(reports, out);
    }

    pub(super) fn tell_of_checkpoints(&mut self, out: &mut dyn Reporter) {
        let reports = self.keeper.as_mut().map(Keeper::told).unwrap_or_default();
        self.report_checkpoints(reports, out);
    }

    /// One that was told of before its worker ended, and is written again, is not told twice.
    pub(super) fn report_checkpoints(&self, reports: Vec<Report>, out: &mut dyn Reporter) {
        for report in reports {
            if report.command_id.is_some() || !self.replay.knows(&report.event, report.segment, report.step) {
                out.report(report);
            }
        }
    }

    /// A large state waits until nothing is under way, so that there is one copy at most; for a small one the writer is waited for.
    pub(super) fn may_keep(&self) -> bool {
        self.keeper.as_ref().is_some_and(Keeper::is_free) || self.parameters() < SMALL_PARAMETERS
    }

    /// On the cadence; where that must wait, before a later step.
    pub(super) fn checkpoint_if_due(&mut self) -> Result<(), EngineError> {
        self.is_checkpoint_due |= is_due(self.step(), self.dials.checkpoint_every);
        if self.is_checkpoint_due && self.may_keep() {
            self.is_checkpoint_due = false;
            self.checkpoint(Cause::Cadence, Asker::lab())?;
        }
        Ok(())
    }
}
