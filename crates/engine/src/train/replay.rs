//! Where a run goes on: the newest whole checkpoint of its past, the dials that it holds, and what is left to be repeated in silence.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use burn::tensor::Device;
use wire::checkpoint::CheckpointId;
use wire::event::{Event, EventRecord};
use wire::history::{Past, Told};
use wire::{Dials, RunId, RunPlan};

use crate::checkpoint::{self, Saved};
use crate::error::EngineError;
use crate::optimizer::State;
use crate::params::{self, ParamSpec};

/// A state to go on from.
pub(super) struct Begin {
    pub(super) state: State,
    pub(super) dials: Dials,
    pub(super) segment: u32,
    pub(super) best_valid: Option<f64>,
    pub(super) loss_valid: Option<f64>,
    /// Whence; none for a start from the seed.
    pub(super) checkpoint: Option<CheckpointId>,
    /// Checkpoints that were passed over, with what is wrong.
    pub(super) damaged: Vec<String>,
    pub(super) replay: Replay,
}

/// What happened after the state was saved, to be done again and not told again.
pub(super) struct Replay {
    changes: VecDeque<EventRecord>,
    told: BTreeSet<Told>,
    recorded: u64,
    is_paused: bool,
}

/// Loads the newest whole checkpoint, or starts from the seed.
///
/// # Errors
/// A fork none of whose checkpoints is whole.
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
    let mut dials = Dials::new(plan);
    let (state, changes, segment, saved) = match &found {
        Some((saved, candidate)) => {
            let own = candidate.at.run == *run;
            let segment = if own { candidate.at.checkpoint.segment } else { 0 };
            (saved.state(device)?, candidate.changes as usize, segment, Some(&saved.manifest.info))
        }
        None if plan.origin.is_some() => {
            let path = root.unwrap_or(Path::new("")).join(run.as_str());
            let message = format!("a fork needs the state it begins with, and it is not whole: {}", damaged.join("; "));
            return Err(EngineError::Checkpoint { path, message });
        }
        None => {
            let upload = |values| params::upload(values, device);
            (State::new(params::initial(specs, plan.seed).into_iter().map(upload).collect()), 0, 0, None)
        }
    };
    let (before, after) = past.changes.split_at(changes.min(past.changes.len()));
    before.iter().for_each(|record| dials.apply(&record.event, record.step));
    Ok(Begin {
        state,
        dials,
        segment,
        best_valid: saved.and_then(|info| info.best_valid),
        loss_valid: saved.and_then(|info| info.loss_valid),
        checkpoint: found.as_ref().map(|(_, candidate)| candidate.at.checkpoint),
        damaged,
        replay: Replay {
            changes: after.iter().cloned().collect(),
            told: past.told.iter().cloned().collect(),
            recorded: past.recorded,
            is_paused: past.is_paused,
        },
    })
}

fn fits(saved: Saved, specs: &[ParamSpec], dir: &Path) -> Result<Saved, EngineError> {
    match saved.specs() == specs {
        true => Ok(saved),
        false => Err(EngineError::Checkpoint { path: dir.to_owned(), message: "it is of another model".into() }),
    }
}

impl Replay {
    /// The next change that took effect at or before `step`.
    pub(super) fn next(&mut self, step: u64) -> Option<EventRecord> {
        self.changes.front().filter(|record| record.step <= step)?;
        self.changes.pop_front()
    }

    /// Whether a line is known already.
    pub(super) fn knows(&self, event: &Event, segment: u32, step: u64) -> bool {
        Told::new(event, segment, step).is_some_and(|told| self.told.contains(&told))
    }

    /// The step up to which it repeats what is known, while it does.
    pub(super) fn catching_up(&self, step: u64) -> Option<u64> {
        let last = self.changes.back().map_or(0, |record| record.step + 1).max(self.recorded);
        (step < last).then_some(last)
    }

    /// Whether the run is to hold now, since it held before its worker ended; true once.
    pub(super) fn holds(&mut self, step: u64) -> bool {
        let holds = self.is_paused && self.catching_up(step).is_none();
        self.is_paused &= !holds;
        holds
    }
}
