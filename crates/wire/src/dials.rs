//! The dials of a run as they stand, and the one place where a change is checked and made: the worker turns them by it, and the
//! journal replayed through it gives the same dials.

use serde::{Deserialize, Serialize};

use crate::command::{Command, Redraw, SetField};
use crate::course::{MixCourse, MixPoint, Stairs};
use crate::edit;
use crate::encode::exact;
use crate::event::Event;
use crate::plan::{Cadence, RunPlan};
use crate::schedule::{Bend, Schedule, Turn};

/// All numbers that can be changed while a run trains. A pure function of the plan and of the changes on the run's path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dials {
    /// Schedule with its turns.
    pub schedule: Schedule,
    /// Steps at which the run ends.
    pub steps: u64,
    /// Weights of the texts over steps.
    pub mix: MixCourse,
    /// Passes of a step whose gradients are summed, over steps: the batch is rows x passes.
    pub passes: Stairs,
    /// Bound on the gradient norm; 0 for none.
    pub clip: f64,
    /// Decay of matrices.
    pub weight_decay: f64,
    /// Steps between validation losses; 0 for never.
    pub eval_every: u64,
    /// Steps between samples; 0 for never.
    pub sample_every: u64,
    /// Steps between checkpoints; 0 for none on a cadence.
    pub checkpoint_every: u64,
    /// Batches left out so far, on purpose: step s reads the batch of step s + this.
    pub skipped: u64,
    /// How that grew: (first step, batches left out from it on), in order.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
    pub skips: Vec<(u64, u64)>,
    /// Changes made on the run's path.
    pub changes: u32,
}

/// A course as a change found it and left it, from the step of the change on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Drawn {
    /// Turns of the rate, and the step at which the run ends.
    Rate {
        /// All turns.
        turns: Vec<Turn>,
        /// Last step.
        steps: u64,
    },
    /// Weights from the step on.
    Mix(Vec<MixPoint>),
    /// Passes from the step on: (first step, passes).
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
    Passes(Vec<(u64, u64)>),
}

impl Dials {
    /// As planned; a fork begins with its parent's.
    pub fn new(plan: &RunPlan) -> Self {
        if let Some(origin) = &plan.origin {
            return origin.dials.clone();
        }
        let Cadence { eval_every, sample_every, .. } = plan.recipe.cadence;
        let optimizer = &plan.recipe.optimizer;
        Self {
            schedule: plan.schedule(),
            steps: plan.steps,
            mix: MixCourse::level(plan.mix.iter().map(|part| part.weight).collect()),
            passes: Stairs::level(plan.recipe.batch.accumulation as u64),
            clip: optimizer.clip,
            weight_decay: optimizer.weight_decay,
            eval_every,
            sample_every,
            checkpoint_every: plan.recipe.keep.every,
            skipped: 0,
            skips: vec![],
            changes: 0,
        }
    }

    /// The value of a dial at `step`.
    pub fn get(&self, field: SetField, step: u64) -> f64 {
        match field {
            SetField::Rate => self.schedule.rate(step),
            SetField::Clip => self.clip,
            SetField::WeightDecay => self.weight_decay,
            SetField::EvalEvery => self.eval_every as f64,
            SetField::SampleEvery => self.sample_every as f64,
            SetField::CheckpointEvery => self.checkpoint_every as f64,
        }
    }

    fn set(&mut self, field: SetField, step: u64, value: f64) {
        match field {
            SetField::Rate => self.schedule.turn(step, value),
            SetField::Clip => self.clip = value,
            SetField::WeightDecay => self.weight_decay = value,
            SetField::EvalEvery => self.eval_every = value as u64,
            SetField::SampleEvery => self.sample_every = value as u64,
            SetField::CheckpointEvery => self.checkpoint_every = value as u64,
        }
    }

    /// The event that a change would be at `step`; nothing is turned yet. `None` where the command changes no dial.
    ///
    /// # Errors
    /// The sentence to refuse it with.
    pub fn change(&self, command: &Command, step: u64) -> Result<Option<Event>, String> {
        Ok(Some(match command {
            Command::Set { field, value, .. } => {
                field.check(*value)?;
                Event::Changed { field: *field, old: self.get(*field, step), new: exact(*value) }
            }
            Command::Redraw { course, .. } => {
                let mut after = self.clone();
                let (old, new) = after.redraw(course, step)?;
                Event::Redrawn { old, new }
            }
            _ => return Ok(None),
        }))
    }

    /// What [`Dials::redraw`] would leave and find, where the course can be followed.
    fn redraw(&mut self, course: &Redraw, step: u64) -> Result<(Drawn, Drawn), String> {
        let words = |error: crate::error::PlanError| error.to_string();
        let old = self.drawn(course, step);
        match course {
            Redraw::Rate { bend, steps } => {
                Schedule::check_bend(bend, step).map_err(words)?;
                if let Some(steps) = steps.filter(|steps| *steps < step.max(1)) {
                    return Err(format!("the run is at step {step} and cannot end at {steps}; give a later step"));
                }
                self.schedule.bend(step, exact_bend(bend));
                self.steps = steps.unwrap_or(self.steps);
            }
            Redraw::Mix { points } => {
                MixCourse::check(points, step, self.mix.at(step).len()).map_err(words)?;
                self.mix.redraw(step, points.clone());
            }
            Redraw::Passes { stairs } => {
                Stairs::check(stairs, step).map_err(words)?;
                self.passes.redraw(step, stairs.clone());
            }
        }
        Ok((old, self.drawn(course, step)))
    }

    fn drawn(&self, course: &Redraw, step: u64) -> Drawn {
        match course {
            Redraw::Rate { .. } => Drawn::Rate { turns: self.schedule.turns.clone(), steps: self.steps },
            Redraw::Mix { .. } => Drawn::Mix(self.mix.rest(step)),
            Redraw::Passes { .. } => Drawn::Passes(self.passes.rest(step)),
        }
    }

    /// Turns the dials by an event of the run's path that took effect before `step`.
    pub fn apply(&mut self, event: &Event, step: u64) {
        match event {
            Event::Changed { field, new, .. } => self.set(*field, step, *new),
            Event::Redrawn { new: Drawn::Rate { turns, steps }, .. } => {
                self.schedule.turns.clone_from(turns);
                self.steps = *steps;
            }
            Event::Redrawn { new: Drawn::Mix(points), .. } => self.mix.redraw(step, points.clone()),
            Event::Redrawn { new: Drawn::Passes(stairs), .. } => self.passes.redraw(step, stairs.clone()),
            Event::RolledBack { skip_batches, .. } => {
                self.skipped += skip_batches;
                if *skip_batches > 0 {
                    self.skips.push((step, self.skipped));
                }
            }
            // Hands are laid on the weights: no dial is turned, but a state with them is another than one without.
            Event::Edited { .. } => {}
            _ => return,
        }
        self.changes += 1;
    }

    /// Batches that had been left out when `step` was taken.
    pub fn skipped_at(&self, step: u64) -> u64 {
        match self.skips.first() {
            Some(_) => self.skips.iter().rev().find(|(from, _)| *from <= step).map_or(0, |(_, skipped)| *skipped),
            None => self.skipped,
        }
    }

    /// Tokens of all steps before `step`, where a pass has `tokens_per_pass`.
    pub fn tokens_before(&self, step: u64, tokens_per_pass: u64) -> u64 {
        self.passes.sum_before(step) * tokens_per_pass
    }
}

/// The command that undoes a change from `step` on, given the dials before it; `None` where nothing but a rollback can.
pub(crate) fn inverse(event: &Event, before: &Dials, step: u64, reason: String) -> Option<Command> {
    let reason = Some(reason);
    Some(match event {
        Event::Changed { field: SetField::Rate, .. } => {
            let bend = Bend::Back(before.schedule.turns.clone());
            Command::Redraw { course: Redraw::Rate { bend, steps: None }, reason }
        }
        Event::Changed { field, old, .. } => Command::Set { field: *field, value: *old, reason },
        Event::Redrawn { old, .. } => Command::Redraw { course: back(old, step), reason },
        Event::Edited { edits } => Command::Edit { edits: edit::inverse(edits)?, reason },
        _ => return None,
    })
}

fn exact_bend(bend: &Bend) -> Bend {
    match bend {
        Bend::Scaled(rate) => Bend::Scaled(exact(*rate)),
        Bend::Points(points) => Bend::Points(points.iter().map(|(step, rate)| (*step, exact(*rate))).collect()),
        Bend::Cosine { to_step, rate } => Bend::Cosine { to_step: *to_step, rate: exact(*rate) },
        Bend::Back(turns) => Bend::Back(turns.clone()),
    }
}

/// The way back to a course as it was.
fn back(old: &Drawn, step: u64) -> Redraw {
    match old {
        Drawn::Rate { turns, steps } => Redraw::Rate { bend: Bend::Back(turns.clone()), steps: Some(*steps) },
        Drawn::Mix(points) => Redraw::Mix { points: MixCourse { points: points.clone() }.rest(step) },
        Drawn::Passes(stairs) => Redraw::Passes { stairs: Stairs { stairs: stairs.clone() }.rest(step) },
    }
}
