//! The commands to a run. A command takes effect between two optimizer steps and comes back as an event.

use serde::{Deserialize, Serialize};

use crate::control::author::Author;
use crate::control::checkpoint::CheckpointId;
use crate::control::intervention::Intervention;
use crate::hyperparameters::live_path::LivePath;
use crate::hyperparameters::mix::MixPoint;
use crate::hyperparameters::schedule::ScheduleCurve;

/// A command to a run that trains or is paused.
///
/// JSON: `{"kind": "set", "path": "optimizer.learning_rate", "value": 3e-4, "reason": "loss is flat"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Pause before the next step; the model stays loaded.
    Pause {
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Continue after a pause, or from a suspension.
    Resume {
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Train this many steps and pause again.
    Step {
        /// Number of steps; 1 by default.
        #[serde(default = "one")]
        steps: u64,
    },
    /// End the run and save a checkpoint, from which it can be resumed or forked.
    Stop {
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Change one hyperparameter from the next step on.
    Set {
        /// Path of the hyperparameter.
        path: LivePath,
        /// New value, in the unit of the table.
        value: f64,
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Override the learning-rate, mix or accumulation schedule from the next step on.
    SetSchedule {
        /// Which schedule, and how it continues.
        schedule: ScheduleChange,
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Edit the weights: multiply the outputs of components once, by scaling their output weights. Training continues from there and
    /// may undo the effect of the edit. The optimizer moments stay.
    EditWeights {
        /// Components and their factors, applied in order.
        interventions: Vec<Intervention>,
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Save a checkpoint now.
    Checkpoint {
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Return to a checkpoint; the segment after it stays visible as an abandoned branch.
    Rollback {
        /// Checkpoint to return to.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// Skip this many batches from there on (PaLM, section 5.1).
        #[serde(default)]
        skip_batches: u64,
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Save a checkpoint and release the device; a resumed run waits for a device again.
    Suspend {
        /// Reason given by the author.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Undo an event of the journal: by the inverse change from the next step on, or by a rollback to just before it.
    Undo {
        /// Number of the event; by default the last one that can be undone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<u64>,
        /// Inverse change or rollback.
        #[serde(default)]
        method: UndoMethod,
    },
    /// Evaluate the validation loss now.
    Evaluate,
    /// Generate a sample now with the current weights.
    Sample {
        /// Prompt; the plan's by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        /// Tokens to generate, 1 to 4096; the plan's number by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<u32>,
        /// Temperature; 0 takes the most likely token each time. 0.8 by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
    },
    /// Add a note at the current step.
    Annotate {
        /// The note.
        text: String,
    },
}

fn one() -> u64 {
    1
}

/// The method of undoing a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UndoMethod {
    /// The inverse change from the next step on; the training since then stays.
    #[default]
    Inverse,
    /// A rollback to the checkpoint saved just before; the training since then becomes an abandoned branch.
    Rollback,
}

/// A change of a schedule from the next step on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleChange {
    /// The learning rate, and optionally where the run ends.
    LearningRate {
        /// Curve from the next step on.
        curve: ScheduleCurve,
        /// Step at which the run ends; unchanged by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        steps: Option<u64>,
    },
    /// Weights of the datasets.
    Mix {
        /// In increasing steps from the next step on; linear between.
        points: Vec<MixPoint>,
    },
    /// Gradient accumulation.
    Accumulation {
        /// (first step, micro-batches), in increasing steps from the next step on.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
        changes: Vec<(u64, u64)>,
    },
}

impl Command {
    /// Its name in lists: `pause`, `set learning rate`.
    pub fn label(&self) -> String {
        let name = match self {
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Step { .. } => "step",
            Self::Stop { .. } => "stop",
            Self::Set { path, .. } => return format!("set {}", path.row().label.to_lowercase()),
            Self::SetSchedule { schedule: ScheduleChange::LearningRate { .. }, .. } => "learning-rate schedule",
            Self::SetSchedule { schedule: ScheduleChange::Mix { .. }, .. } => "mix schedule",
            Self::SetSchedule { schedule: ScheduleChange::Accumulation { .. }, .. } => "accumulation schedule",
            Self::EditWeights { .. } => "edit weights",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Rollback { .. } => "rollback",
            Self::Suspend { .. } => "suspend",
            Self::Undo { .. } => "undo",
            Self::Evaluate => "evaluate",
            Self::Sample { .. } => "sample",
            Self::Annotate { .. } => "note",
        };
        name.to_owned()
    }

    /// The reason given with it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pause { reason }
            | Self::Resume { reason }
            | Self::Stop { reason }
            | Self::Set { reason, .. }
            | Self::SetSchedule { reason, .. }
            | Self::EditWeights { reason, .. }
            | Self::Checkpoint { reason }
            | Self::Rollback { reason, .. }
            | Self::Suspend { reason } => reason.as_deref(),
            Self::Step { .. } | Self::Undo { .. } | Self::Evaluate | Self::Sample { .. } | Self::Annotate { .. } => {
                None
            }
        }
    }

    /// Whether it changes the training from the next step on, so that a checkpoint is saved before it.
    pub fn affects_learning(&self) -> bool {
        match self {
            Self::Set { path, .. } => path.affects_learning(),
            Self::SetSchedule { .. } | Self::EditWeights { .. } | Self::Rollback { .. } => true,
            _ => false,
        }
    }
}

/// A command on its way to a worker, with the number that the server gave it and its author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberedCommand {
    /// The server's number; the event that answers it carries the same.
    pub command_id: u64,
    pub author: Author,
    #[serde(with = "crate::encode::json")]
    pub command: Command,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::intervention::Component;

    #[test]
    fn commands_have_readable_json() {
        let check = |text: &str, expected: Command| {
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), expected, "{text}")
        };
        check(r#"{"kind":"pause"}"#, Command::Pause { reason: None });
        check(r#"{"kind":"step"}"#, Command::Step { steps: 1 });
        check(r#"{"kind":"evaluate"}"#, Command::Evaluate);
        check(
            r#"{"kind":"set","path":"optimizer.learning_rate","value":3e-4,"reason":"flat"}"#,
            Command::Set { path: LivePath::LEARNING_RATE, value: 3e-4, reason: Some("flat".into()) },
        );
        check(
            r#"{"kind":"rollback","checkpoint":"0-300","skip_batches":200}"#,
            Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 300 }, skip_batches: 200, reason: None },
        );
        check(
            r#"{"kind":"set_schedule","schedule":{"learning_rate":{"curve":{"points":[[500,1e-4]]}}}}"#,
            Command::SetSchedule {
                schedule: ScheduleChange::LearningRate { curve: ScheduleCurve::Points(vec![(500, 1e-4)]), steps: None },
                reason: None,
            },
        );
        check(
            r#"{"kind":"edit_weights","interventions":[{"component":{"head":{"layer":0,"head":1}},"factor":0}]}"#,
            Command::EditWeights {
                interventions: vec![Intervention { component: Component::Head { layer: 0, head: 1 }, factor: 0.0 }],
                reason: None,
            },
        );
        for bad in [
            r#"{"kind":"explode"}"#,
            r#"{"kind":"edit_weights","interventions":[{"component":{"soul":{}},"factor":0}]}"#,
            r#"{"kind":"rollback","checkpoint":"../1"}"#,
            r#"{"kind":"set_schedule","schedule":{"mood":{}}}"#,
            r#"{"kind":"set","path":"optimizer.learning_rate"}"#,
            r#"{"kind":"pause","x":1}"#,
            r#"{"kind":"set","field":"mood","value":1}"#,
        ] {
            assert!(serde_json::from_str::<Command>(bad).is_err(), "{bad}");
        }
    }
}
