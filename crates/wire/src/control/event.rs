//! Everything that can happen in a run. Events are its journal: append-only, numbered, never edited.

use serde::{Deserialize, Serialize};

use crate::control::author::Author;
use crate::control::checkpoint::{Cause, CheckpointId, CheckpointInfo, CheckpointRef};
use crate::control::command::Command;
use crate::control::intervention::Intervention;
use crate::control::rule_change::RuleChange;
use crate::control::saved_schedule::SavedSchedule;
use crate::evaluation::WindowLosses;
use crate::hyperparameters::live_path::LivePath;
use crate::number::{brief, counted, grouped};
use crate::series::name;

/// Rules that the phrase of a change of their settings names; the others are counted.
const RULES_NAMED: usize = 3;

/// An event in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventRecord {
    /// Number in the run's journal, from 1; assigned by the store.
    pub number: u64,
    /// Segment of the run's history it belongs to.
    pub segment: u32,
    /// Step before which it took effect.
    pub step: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
    pub author: Author,
    /// The command it answers, if any.
    #[serde(default)]
    pub command_id: Option<u64>,
    /// Reason given by the author.
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(with = "crate::encode::json")]
    pub event: Event,
}

/// An event of a run. JSON: `{"kind": "changed", "path": "optimizer.learning_rate", "old": 0.001, "new": 0.0005}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The run was created and waits for a device.
    Queued,
    /// A worker took the run and is loading the dataset and the weights.
    Starting {
        /// Name of the device.
        device: String,
    },
    /// The run starts training.
    Started {
        /// Parameters of the model.
        parameters: u64,
    },
    /// The run pauses before the next step.
    Paused,
    /// The run continues.
    Resumed,
    /// The run trains some steps and pauses again.
    Stepping {
        /// Number of steps.
        steps: u64,
    },
    /// A hyperparameter changed.
    Changed {
        /// Path of the hyperparameter.
        path: LivePath,
        /// Value before.
        old: f64,
        /// Value from this step on.
        new: f64,
    },
    /// A schedule was overridden.
    ScheduleChanged {
        /// Schedule from this step on before the change.
        old: SavedSchedule,
        /// Schedule from this step on after the change.
        new: SavedSchedule,
    },
    /// The weights were edited.
    WeightsEdited {
        /// Components and their factors.
        interventions: Vec<Intervention>,
    },
    /// The settings of the run's rules were changed: which are muted, their thresholds, and which may act.
    RulesChanged {
        /// One for each rule whose settings differ, in the order of their ids.
        changes: Vec<RuleChange>,
    },
    /// A checkpoint is complete on disk.
    Checkpointed {
        /// Its description.
        checkpoint: CheckpointInfo,
    },
    /// A checkpoint could not be written or read; training continues.
    CheckpointFailed {
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// The error, with a hint.
        message: String,
    },
    /// The run returned to a checkpoint. This event opens a segment; the segment after the checkpoint is an abandoned branch.
    RolledBack {
        /// Checkpoint that it continues from.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// Segment that was left.
        from_segment: u32,
        /// Step at which it was left.
        from_step: u64,
        /// Number of batches skipped from the next step on.
        skip_batches: u64,
        /// Lowest validation loss up to the checkpoint.
        best_valid: Option<f64>,
    },
    /// The run was imported, with every event before this one.
    Imported {
        /// Description of the source.
        from: String,
    },
    /// The run starts from a checkpoint of another run.
    Forked {
        /// Parent and checkpoint.
        from: CheckpointRef,
    },
    /// The run continues from a checkpoint after its worker ended; steps up to `recorded` are trained again and not reported twice.
    Continued {
        /// Checkpoint; `None` starts from the first step.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        checkpoint: Option<CheckpointId>,
        /// Number of steps that had been reported.
        recorded: u64,
        /// Checkpoints that were skipped because they are damaged, with the reason.
        damaged: Vec<String>,
    },
    /// The run saved a checkpoint and released its device.
    Suspended,
    /// A budget is exhausted.
    BudgetReached {
        /// The budget, with its value.
        what: String,
    },
    /// The validation loss was evaluated.
    Evaluated {
        /// Mean loss, nats per token.
        loss_nats: f64,
        /// Mean loss, bits per byte of text.
        bits_per_byte: f64,
        /// Losses by validation window. Only on its way from the worker to the store, which keeps them apart from the journal, and in
        /// archives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(ignore))]
        windows: Option<Box<WindowLosses>>,
    },
    /// A sample was generated.
    Sampled {
        prompt: String,
        /// Generated text.
        text: String,
        /// Sampling temperature.
        temperature: f64,
    },
    /// A note was added.
    Annotated {
        /// The note.
        text: String,
    },
    /// A loss or gradient norm was not finite; the run pauses, except for a validation loss.
    NonFinite {
        /// The value.
        what: String,
    },
    /// A command was refused; nothing changed.
    Refused {
        command: Command,
        /// Reason and hint.
        message: String,
    },
    /// All steps are done.
    Finished,
    /// A command stopped the run before its last step.
    Stopped,
    /// Ended by an error.
    Failed {
        /// What failed, the value, and what to do.
        message: String,
    },
    /// The worker stopped reporting; everything that it reported is stored.
    Lost {
        /// The last known state and the reason.
        message: String,
    },
    /// A checkpoint was scored on an evaluation task.
    Scored {
        /// Name of the task.
        task: String,
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// The main value, such as `accuracy 0.83`.
        score: String,
    },
}

impl Event {
    /// Whether charts show a marker for it; other events are only in the journal.
    pub fn is_marker(&self) -> bool {
        !matches!(
            self,
            Self::Queued
                | Self::Starting { .. }
                | Self::Evaluated { .. }
                | Self::Sampled { .. }
                | Self::Refused { .. }
                | Self::Checkpointed { .. }
                | Self::Scored { .. }
                | Self::RulesChanged { .. }
        )
    }

    /// Whether it changes hyperparameters, weights, or the run's path.
    pub fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Changed { .. } | Self::ScheduleChanged { .. } | Self::WeightsEdited { .. } | Self::RolledBack { .. }
        )
    }

    /// Whether the run is paused by it. A validation loss that is not finite pauses no run: its step is not trained with it.
    pub fn pauses(&self) -> bool {
        match self {
            Self::Paused => true,
            Self::NonFinite { .. } => self.non_finite_series() != Some(name::VALID),
            _ => false,
        }
    }

    /// The series of a value that was not finite; `None` for other events, and for values without a series.
    pub fn non_finite_series(&self) -> Option<&'static str> {
        let Self::NonFinite { what } = self else { return None };
        let known =
            [("training loss", name::TRAIN), ("gradient norm", name::GRAD_NORM), ("validation loss", name::VALID)];
        known.into_iter().find(|(begin, _)| what.starts_with(begin)).map(|(_, series)| series)
    }

    /// A short phrase for markers and lists: `learning rate 0.001 → 0.0005`.
    pub fn phrase(&self) -> String {
        match self {
            Self::Queued => "queued".into(),
            Self::Starting { device } => format!("starting on {device}"),
            Self::Started { parameters } => format!("started, {}", counted(*parameters, "parameter")),
            Self::Paused => "paused".into(),
            Self::Resumed => "resumed".into(),
            Self::Stepping { steps } => {
                format!("trained {}", counted(*steps, "step"))
            }
            Self::Changed { path, old, new } => {
                format!("{} {} → {}", path.row().label.to_lowercase(), brief(*old), brief(*new))
            }
            Self::ScheduleChanged {
                new: SavedSchedule::LearningRate { steps, .. },
                old: SavedSchedule::LearningRate { steps: before, .. },
            } if steps != before => {
                format!("learning-rate schedule changed, last step {} instead of {}", grouped(*steps), grouped(*before))
            }
            Self::ScheduleChanged { new: SavedSchedule::LearningRate { .. }, .. } => {
                "learning-rate schedule changed".into()
            }
            Self::ScheduleChanged { new: SavedSchedule::Mix(_), .. } => "dataset mix changed".into(),
            Self::ScheduleChanged { new: SavedSchedule::Accumulation(changes), .. } => match changes.as_slice() {
                [(_, micro_batches)] => format!("gradient accumulation → {}", grouped(*micro_batches)),
                _ => "gradient accumulation changed".into(),
            },
            Self::WeightsEdited { interventions } => match interventions.as_slice() {
                [all @ .., last] if all.len() < 3 => {
                    all.iter().map(|one| format!("{one}, ")).chain([last.to_string()]).collect()
                }
                all => format!("weight edit of {}", counted(all.len() as u64, "component")),
            },
            Self::RulesChanged { changes } => {
                let named: Vec<String> = changes.iter().take(RULES_NAMED).map(ToString::to_string).collect();
                let more = match changes.len().saturating_sub(RULES_NAMED) {
                    0 => String::new(),
                    more => format!("; and {more} more"),
                };
                format!("rules changed: {}{more}", named.join("; "))
            }
            Self::Checkpointed { checkpoint } => {
                let cause = match checkpoint.cause {
                    Cause::Interval => "periodic",
                    Cause::Requested => "requested",
                    Cause::BeforeChange => "before a change",
                    Cause::Best => "best so far",
                    Cause::End => "at the end or a suspension",
                    Cause::Imported => "imported",
                };
                format!("checkpoint of step {}, {cause}", grouped(checkpoint.id.step))
            }
            Self::CheckpointFailed { checkpoint, message } => {
                format!("checkpoint of step {} failed: {message}", grouped(checkpoint.step))
            }
            Self::RolledBack { checkpoint, from_step, skip_batches, .. } => {
                let skipped = match skip_batches {
                    0 => String::new(),
                    1 => ", 1 batch skipped".to_owned(),
                    batches => format!(", {} batches skipped", grouped(*batches)),
                };
                format!("rolled back from step {} to step {}{skipped}", grouped(*from_step), grouped(checkpoint.step))
            }
            Self::Imported { from } => format!("imported from {from}"),
            Self::Forked { from } => format!("forked from {} at step {}", from.run, grouped(from.checkpoint.step)),
            Self::Continued { checkpoint: Some(id), .. } => {
                format!("continued from the checkpoint of step {}", grouped(id.step))
            }
            Self::Continued { checkpoint: None, .. } => "continued from the first step".into(),
            Self::Suspended => "suspended".into(),
            Self::BudgetReached { what } => format!("limit reached: {what}"),
            Self::Evaluated { loss_nats, .. } => format!("validation loss {loss_nats:.3} nats/token"),
            Self::Sampled { .. } => "sample generated".into(),
            Self::Annotated { text } => text.clone(),
            Self::NonFinite { what } => format!("{what} is not finite{}", if self.pauses() { ": paused" } else { "" }),
            Self::Refused { message, .. } => format!("refused: {message}"),
            Self::Finished => "finished".into(),
            Self::Stopped => "stopped".into(),
            Self::Failed { message } => format!("failed: {message}"),
            Self::Lost { message } => format!("lost: {message}"),
            Self::Scored { task, checkpoint, score } => {
                format!("{task} after step {}: {score}", grouped(checkpoint.step))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_both_encodings() {
        let record = EventRecord {
            number: 7,
            segment: 0,
            step: 41,
            at_ms: 1,
            author: Author::Person("ada".into()),
            command_id: Some(3),
            reason: None,
            event: Event::Refused { command: Command::Step { steps: 0 }, message: "no".into() },
        };
        let bytes = crate::encode::to_bytes(&record).unwrap();
        assert_eq!(crate::encode::from_bytes::<EventRecord>(&bytes).unwrap(), record);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""kind":"refused""#), "{text}");
        assert_eq!(serde_json::from_str::<EventRecord>(&text).unwrap(), record);
    }

    #[test]
    fn a_validation_loss_that_is_not_finite_pauses_no_run() {
        let of = |what: &str| Event::NonFinite { what: what.into() };
        let known = |what: &str| (of(what).pauses(), of(what).non_finite_series(), of(what).phrase());
        let paused = |what: &str| format!("{what} is not finite: paused");
        assert_eq!(known("training loss (NaN)"), (true, Some(name::TRAIN), paused("training loss (NaN)")));
        assert_eq!(known("gradient norm (inf)"), (true, Some(name::GRAD_NORM), paused("gradient norm (inf)")));
        assert_eq!(known("validation loss"), (false, Some(name::VALID), "validation loss is not finite".to_owned()));
        assert_eq!(known("loss"), (true, None, paused("loss")));
        assert!(Event::Paused.pauses() && !Event::Resumed.pauses());
    }

    #[test]
    fn a_change_of_the_rules_names_the_first_of_them() {
        let change = |label: &str| RuleChange {
            rule: label.to_lowercase(),
            label: label.into(),
            old: "only reports".into(),
            new: "muted".into(),
        };
        let phrase = |labels: &[&str]| {
            Event::RulesChanged { changes: labels.iter().map(|label| change(label)).collect() }.phrase()
        };
        assert_eq!(phrase(&["Plateau"]), "rules changed: Plateau: only reports → muted");
        assert!(phrase(&["A", "B", "C", "D", "E"]).ends_with("C: only reports → muted; and 2 more"));
    }
}
