//! Continues a run with a past: from the newest intact checkpoint, with its live hyperparameters. The steps after the checkpoint are trained
//! again, with the changes of the journal applied, and events that were reported before are not reported twice.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use burn::tensor::Device;
use wire::control::checkpoint::CheckpointId;
use wire::control::event::{Event, EventRecord};
use wire::control::saved_schedule::SavedSchedule;
use wire::run::history::{Past, Reported};
use wire::{LiveHyperparameters, RunId, RunPlan};

use crate::error::EngineError;
use crate::model::params::{self, ParamSpec};
use crate::optim::checkpoint::{self, Checkpoint};
use crate::optim::loss_scale::SavedLossScale;
use crate::optim::noise_scale::NoiseScale;
use crate::optim::optimizer::State;

/// A state to continue from.
pub(super) struct Begin {
    pub(super) state: State,
    pub(super) live: LiveHyperparameters,
    pub(super) segment: u32,
    pub(super) best_valid: Option<f64>,
    pub(super) loss_valid: Option<f64>,
    pub(super) noise_scale: NoiseScale,
    pub(super) loss_scale: Option<SavedLossScale>,
    /// The checkpoint; `None` for a start from the seed.
    pub(super) checkpoint: Option<CheckpointId>,
    /// Damaged checkpoints that were skipped, each with its error.
    pub(super) damaged: Vec<String>,
    pub(super) replay: Replay,
}

/// The journal after the state was saved: changes to apply again, and events not to report again.
pub(super) struct Replay {
    changes: VecDeque<EventRecord>,
    reported: BTreeSet<Reported>,
    recorded: u64,
    is_paused: bool,
}

/// Loads the newest intact checkpoint, or starts from the seed.
///
/// # Errors
/// A fork has no intact checkpoint.
pub(super) fn begin(
    run: &RunId,
    plan: &RunPlan,
    past: &Past,
    root: Option<&Path>,
    specs: &[ParamSpec],
    device: &Device,
) -> Result<Begin, EngineError> {
    let mut damaged = vec![];
    let mut found = None;
    for candidate in root.iter().flat_map(|_| &past.checkpoints) {
        let dir = checkpoint::folder(root.unwrap_or(Path::new("")), &candidate.at.run, candidate.at.checkpoint);
        match checkpoint::open(&dir).and_then(|saved| fits(saved, specs, &dir)) {
            Ok(saved) => {
                found = Some((saved, candidate));
                break;
            }
            Err(source) => damaged.push(source.to_string()),
        }
    }
    let mut live = plan.live();
    let (state, changes, segment, saved) = match &found {
        Some((saved, candidate)) => {
            let own = candidate.at.run == *run;
            let segment = if own { candidate.at.checkpoint.segment } else { 0 };
            (saved.state(device)?, candidate.changes as usize, segment, Some(&saved.manifest))
        }
        None if plan.origin.is_some() => {
            let path = root.unwrap_or(Path::new("")).join(run.as_str());
            let message = format!("the checkpoint from which the fork starts is damaged: {}", damaged.join("; "));
            return Err(EngineError::checkpoint(&path, message));
        }
        None => (State::new(params::initial_on(specs, plan.seed, device)), 0, 0, None),
    };
    let (before, after) = past.changes.split_at(changes.min(past.changes.len()));
    before.iter().for_each(|record| live.apply(&record.event, record.step));
    Ok(Begin {
        state,
        live,
        segment,
        best_valid: saved.and_then(|saved| saved.info.best_valid),
        loss_valid: saved.and_then(|saved| saved.info.loss_valid),
        noise_scale: saved.map(|saved| saved.noise_scale).unwrap_or_default(),
        loss_scale: saved.and_then(|saved| saved.loss_scale),
        checkpoint: found.as_ref().map(|(_, candidate)| candidate.at.checkpoint),
        damaged,
        replay: Replay {
            changes: after.iter().cloned().collect(),
            reported: past.reported.iter().cloned().collect(),
            recorded: past.recorded,
            is_paused: past.is_paused,
        },
    })
}

fn fits(saved: Checkpoint, specs: &[ParamSpec], dir: &Path) -> Result<Checkpoint, EngineError> {
    match saved.specs() == specs {
        true => Ok(saved),
        false => Err(EngineError::checkpoint(dir, "it is a checkpoint of another model")),
    }
}

impl Replay {
    /// The next change that took effect at or before `step`.
    pub(super) fn next(&mut self, step: u64) -> Option<EventRecord> {
        self.changes.front().filter(|record| record.step <= step)?;
        self.changes.pop_front()
    }

    /// Whether a change of the mix that took effect at this step is still to be applied.
    pub(super) fn changes_mix_at(&self, step: u64) -> bool {
        let is_of_mix = |event: &Event| matches!(event, Event::ScheduleChanged { new: SavedSchedule::Mix(_), .. });
        self.changes.iter().any(|record| record.step == step && is_of_mix(&record.event))
    }

    /// Whether an event has been reported already.
    pub(super) fn is_reported(&self, event: &Event, segment: u32, step: u64) -> bool {
        Reported::new(event, segment, step).is_some_and(|event| self.reported.contains(&event))
    }

    /// The step up to which the run trains steps again; `None` after it.
    pub(super) fn catching_up(&self, step: u64) -> Option<u64> {
        let last = self.changes.back().map_or(0, |record| record.step + 1).max(self.recorded);
        (step < last).then_some(last)
    }

    /// Whether the run must pause now because it was paused when its worker ended. Returns true once.
    pub(super) fn pauses(&mut self, step: u64) -> bool {
        let pauses = self.is_paused && self.catching_up(step).is_none();
        self.is_paused &= !pauses;
        pauses
    }
}
