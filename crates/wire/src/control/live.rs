//! The hyperparameters that are in force at a step, and the one place where a change is checked and applied. The worker uses it for
//! commands and the server for the changes of a fork; replaying the journal gives the same values.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::command::{Command, ScheduleChange};
use super::event::Event;
use super::intervention;
use super::saved_schedule::SavedSchedule;
use crate::encode::exact;
use crate::error::PlanError;
use crate::hyperparameters::accumulation::AccumulationSchedule;
use crate::hyperparameters::live_path::LivePath;
use crate::hyperparameters::mix::MixSchedule;
use crate::hyperparameters::recipe::{Intervals, Optimizer, Recipe};
use crate::hyperparameters::schedule::{self, Schedule, ScheduleCurve};
use crate::hyperparameters::table::pointer;
use crate::number::{counted, grouped};

/// The hyperparameters that can change while a run trains. A pure function of the plan and of the changes on the run's path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveHyperparameters {
    /// Learning-rate schedule with its overrides.
    pub schedule: Schedule,
    /// Step at which the run ends.
    pub steps: u64,
    /// Weights of the datasets over steps.
    pub mix: MixSchedule,
    /// Micro-batches per optimizer step, over steps.
    pub accumulation: AccumulationSchedule,
    /// Optimizer. Its `learning_rate` is the planned peak; the one in force is the schedule's.
    pub optimizer: Optimizer,
    pub intervals: Intervals,
    /// Batches skipped so far: step `s` reads the batch of index `s + skipped`.
    pub skipped: u64,
    /// Skips so far, in order: (first step, batches skipped in all from it on).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
    pub skips: Vec<(u64, u64)>,
    /// Changes on the run's path.
    pub changes: u32,
}

impl LiveHyperparameters {
    /// The hyperparameters of a plan before any change.
    pub fn planned(recipe: &Recipe, schedule: Schedule, weights: Vec<f64>) -> Self {
        Self {
            steps: schedule.steps,
            schedule,
            mix: MixSchedule::constant(weights),
            accumulation: AccumulationSchedule::constant(recipe.batch.accumulation as u64),
            optimizer: recipe.optimizer.clone(),
            intervals: recipe.intervals.clone(),
            skipped: 0,
            skips: vec![],
            changes: 0,
        }
    }

    /// The value of a hyperparameter at `step`.
    pub fn get(&self, path: LivePath, step: u64) -> f64 {
        if path == LivePath::LEARNING_RATE {
            return self.schedule.learning_rate(step);
        }
        let values = json!({ "optimizer": self.optimizer, "intervals": self.intervals });
        values.pointer(&pointer(path.as_str())).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// Sets a value that [`LivePath::check`] accepts.
    fn set(&mut self, path: LivePath, step: u64, value: f64) {
        if path == LivePath::LEARNING_RATE {
            return self.schedule.scale_to(step, value);
        }
        let (group, field) = path.as_str().split_once('.').unwrap_or_default();
        match group {
            "optimizer" => replace(&mut self.optimizer, field, value),
            _ => replace(&mut self.intervals, field, value),
        }
    }

    /// The event that a command would cause at `step`; nothing is changed yet. `None` if the command changes no hyperparameter.
    ///
    /// # Errors
    /// A value outside its range, or a schedule that cannot be followed.
    pub fn change(&self, command: &Command, step: u64) -> Result<Option<Event>, PlanError> {
        Ok(Some(match command {
            Command::Set { path, value, .. } => {
                path.check(*value)?;
                Event::Changed { path: *path, old: self.get(*path, step), new: exact(*value) }
            }
            Command::SetSchedule { schedule, .. } => {
                let old = self.saved(schedule, step);
                let mut after = self.clone();
                after.set_schedule(schedule, step)?;
                Event::ScheduleChanged { old, new: after.saved(schedule, step) }
            }
            _ => return Ok(None),
        }))
    }

    fn set_schedule(&mut self, change: &ScheduleChange, step: u64) -> Result<(), PlanError> {
        match change {
            ScheduleChange::LearningRate { curve, steps } => {
                Schedule::check_curve(curve, step)?;
                if let Some(steps) = steps.filter(|steps| *steps < step.max(1)) {
                    let message =
                        format!("the run is at step {} and cannot end at step {}", grouped(step), grouped(steps));
                    return Err(PlanError::new("steps", message)
                        .hint(format!("enter at least {}", counted(step.max(1), "step"))));
                }
                self.schedule.override_from(step, exact_curve(curve));
                self.steps = steps.unwrap_or(self.steps);
            }
            ScheduleChange::Mix { points } => {
                MixSchedule::check(points, step, self.mix.at(step).len())?;
                self.mix.override_from(step, points.clone());
            }
            ScheduleChange::Accumulation { changes } => {
                AccumulationSchedule::check(changes, step)?;
                self.accumulation.override_from(step, changes.clone());
            }
        }
        Ok(())
    }

    fn saved(&self, change: &ScheduleChange, step: u64) -> SavedSchedule {
        match change {
            ScheduleChange::LearningRate { .. } => {
                SavedSchedule::LearningRate { overrides: self.schedule.overrides.clone(), steps: self.steps }
            }
            ScheduleChange::Mix { .. } => SavedSchedule::Mix(self.mix.rest(step)),
            ScheduleChange::Accumulation { .. } => SavedSchedule::Accumulation(self.accumulation.rest(step)),
        }
    }

    /// Applies an event of the run's path that took effect before `step`.
    pub fn apply(&mut self, event: &Event, step: u64) {
        match event {
            Event::Changed { path, new, .. } => self.set(*path, step, *new),
            Event::ScheduleChanged { new: SavedSchedule::LearningRate { overrides, steps }, .. } => {
                self.schedule.overrides.clone_from(overrides);
                self.steps = *steps;
            }
            Event::ScheduleChanged { new: SavedSchedule::Mix(points), .. } => {
                self.mix.override_from(step, points.clone());
            }
            Event::ScheduleChanged { new: SavedSchedule::Accumulation(changes), .. } => {
                self.accumulation.override_from(step, changes.clone());
            }
            Event::RolledBack { skip_batches, .. } => {
                self.skipped += skip_batches;
                if *skip_batches > 0 {
                    self.skips.push((step, self.skipped));
                }
            }
            // A weight edit changes no hyperparameter, but it is counted as a change, because checkpoints before and
            // after it differ.
            Event::WeightsEdited { .. } => {}
            _ => return,
        }
        self.changes += 1;
    }

    /// Batches that had been skipped when `step` was taken.
    pub fn skipped_at(&self, step: u64) -> u64 {
        match self.skips.first() {
            Some(_) => self.skips.iter().rev().find(|(from, _)| *from <= step).map_or(0, |(_, skipped)| *skipped),
            None => self.skipped,
        }
    }

    /// Tokens of all steps before `step`, if a micro-batch has `tokens_per_micro_batch`.
    pub fn tokens_before(&self, step: u64, tokens_per_micro_batch: u64) -> u64 {
        self.accumulation.sum_before(step).saturating_mul(tokens_per_micro_batch)
    }
}

/// Sets a numeric field by its name. A field that takes integers gets one; a value that does not fit leaves `group` as it was.
fn replace<T: Serialize + serde::de::DeserializeOwned>(group: &mut T, field: &str, value: f64) {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&*group) else { return };
    let is_integer = fields.get(field).is_some_and(|old| old.is_u64() || old.is_i64());
    let new = if is_integer { Value::from(value as u64) } else { Value::from(value) };
    fields.insert(field.to_owned(), new);
    if let Ok(changed) = serde_json::from_value(Value::Object(fields)) {
        *group = changed;
    }
}

/// The command that undoes a change from `step` on, given the values before it; `None` if only a rollback can.
pub(crate) fn inverse(event: &Event, before: &LiveHyperparameters, step: u64, reason: String) -> Option<Command> {
    let reason = Some(reason);
    Some(match event {
        Event::Changed { path: LivePath::LEARNING_RATE, .. } => {
            let curve = schedule::restoring(&before.schedule.overrides);
            Command::SetSchedule { schedule: ScheduleChange::LearningRate { curve, steps: None }, reason }
        }
        Event::Changed { path, old, .. } => Command::Set { path: *path, value: *old, reason },
        Event::ScheduleChanged { old, .. } => Command::SetSchedule { schedule: restoring(old, step), reason },
        Event::WeightsEdited { interventions } => {
            Command::EditWeights { interventions: intervention::inverse(interventions)?, reason }
        }
        _ => return None,
    })
}

fn exact_curve(curve: &ScheduleCurve) -> ScheduleCurve {
    match curve {
        ScheduleCurve::Scaled(rate) => ScheduleCurve::Scaled(exact(*rate)),
        ScheduleCurve::Points(points) => {
            ScheduleCurve::Points(points.iter().map(|(step, rate)| (*step, exact(*rate))).collect())
        }
        ScheduleCurve::Cosine { to_step, learning_rate } => {
            ScheduleCurve::Cosine { to_step: *to_step, learning_rate: exact(*learning_rate) }
        }
        ScheduleCurve::Refit { to_step } => ScheduleCurve::Refit { to_step: *to_step },
        ScheduleCurve::Restore(overrides) => ScheduleCurve::Restore(overrides.clone()),
    }
}

/// The change that restores a schedule.
fn restoring(old: &SavedSchedule, step: u64) -> ScheduleChange {
    match old {
        SavedSchedule::LearningRate { overrides, steps } => {
            ScheduleChange::LearningRate { curve: schedule::restoring(overrides), steps: Some(*steps) }
        }
        SavedSchedule::Mix(points) => ScheduleChange::Mix { points: MixSchedule { points: points.clone() }.rest(step) },
        SavedSchedule::Accumulation(changes) => {
            let schedule = AccumulationSchedule { changes: changes.clone() };
            ScheduleChange::Accumulation { changes: schedule.rest(step) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameters::schedule::Shape;
    use crate::run::preset;

    #[test]
    fn every_live_hyperparameter_can_be_set_and_read_back() {
        let recipe = preset::find("nanogpt-cpu", None).unwrap().recipe;
        let schedule = Schedule {
            shape: Shape::Constant,
            peak: 1e-3,
            warmup_steps: 0,
            steps: 100,
            final_fraction: 1.0,
            overrides: vec![],
        };
        let planned = LiveHyperparameters::planned(&recipe, schedule, vec![1.0]);
        for path in LivePath::all() {
            let value = if path.row().group() == "intervals" { 7.0 } else { 0.25 };
            let command = Command::Set { path, value, reason: None };
            let event = planned.change(&command, 10).unwrap().unwrap();
            let mut live = planned.clone();
            live.apply(&event, 10);
            assert_eq!((live.get(path, 10), live.changes), (value, 1), "{path}");
        }
    }
}
