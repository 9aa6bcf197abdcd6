//! Everything anyone can ask of a run. Commands take effect between two optimizer steps, and each comes back as an event.

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointId;
use crate::course::MixPoint;
use crate::edit::Edit;
use crate::event::Author;
use crate::schedule::Bend;

/// What can be asked of a run, while it trains and while it is paused.
///
/// JSON: `{"kind": "set", "field": "rate", "value": 3e-4, "reason": "loss is flat"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Hold before the next step, with the model still loaded.
    Pause {
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Go on after a pause.
    Resume {
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Train this many steps and hold again.
    Step {
        /// How many; one unless told.
        #[serde(default = "one")]
        steps: u64,
    },
    /// End the run here, keeping all it has recorded.
    Stop {
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Change one dial from the next step on.
    Set {
        /// Which dial.
        field: SetField,
        /// Its new value, in the dial's unit.
        value: f64,
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Give the rate, the mix or the batch another course from the next step on.
    Redraw {
        /// Which, and how.
        course: Redraw,
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Multiply what parts of the model say, once, in the weights: the training goes on from there, and may learn it anew. The optimizer's
    /// moments stay.
    Edit {
        /// The parts and their factors, one after the other.
        edits: Vec<Edit>,
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Save the state now.
    Checkpoint {
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Go back to a checkpoint; what came after it stays as a ghost.
    Rollback {
        /// Which.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// Leave out this many batches from there on (PaLM, section 5.1).
        #[serde(default)]
        skip_batches: u64,
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Let go of the device, with a checkpoint; resuming takes it back.
    Release {
        /// Why, in the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Undo a line of the journal: by its inverse from here, or by going back to just before it.
    Undo {
        /// Number of the line; the last that can be undone unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<u64>,
        /// How.
        #[serde(default)]
        way: UndoWay,
    },
    /// Measure the validation loss now.
    Evaluate,
    /// Write a text now, on the current weights.
    Sample {
        /// What the text starts with; the plan's prompt unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        /// How many tokens to add; the plan's number unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<u32>,
        /// 0 takes the likeliest token each time; the plan's value unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
    },
    /// Put a note on the curve at the current step.
    Annotate {
        /// The note.
        text: String,
    },
}

fn one() -> u64 {
    1
}

/// How something is undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UndoWay {
    /// The opposite change from here on; what was learned meanwhile stays.
    #[default]
    Inverse,
    /// Back to the checkpoint taken just before; what was learned meanwhile becomes a ghost.
    Rollback,
}

/// A course drawn ahead, from the next step on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Redraw {
    /// The learning rate, and where the run ends.
    Rate {
        /// The new course.
        bend: Bend,
        /// Steps at which the run ends; as before unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        steps: Option<u64>,
    },
    /// Weights of the texts.
    Mix {
        /// In rising steps, from the next step on; straight lines between.
        points: Vec<MixPoint>,
    },
    /// Passes of a step: its batch is rows x passes.
    Passes {
        /// (first step, passes), in rising steps from the next step on.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
        stairs: Vec<(u64, u64)>,
    },
}

impl Command {
    /// The reason that came with it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pause { reason }
            | Self::Resume { reason }
            | Self::Stop { reason }
            | Self::Set { reason, .. }
            | Self::Redraw { reason, .. }
            | Self::Edit { reason, .. }
            | Self::Checkpoint { reason }
            | Self::Rollback { reason, .. }
            | Self::Release { reason } => reason.as_deref(),
            Self::Step { .. } | Self::Undo { .. } | Self::Evaluate | Self::Sample { .. } | Self::Annotate { .. } => {
                None
            }
        }
    }

    /// Whether it changes what is learned from here on, so that the state before it is worth keeping.
    pub fn is_risky(&self) -> bool {
        match self {
            Self::Set { field, .. } => {
                matches!(field, SetField::Rate | SetField::Clip | SetField::WeightDecay)
            }
            Self::Redraw { .. } | Self::Edit { .. } | Self::Rollback { .. } => true,
            _ => false,
        }
    }
}

/// The dials of a running training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SetField {
    /// Learning rate at the next step; the rest of the schedule is scaled with it.
    Rate,
    /// Bound on the global gradient norm; 0 turns clipping off.
    Clip,
    /// Decoupled weight decay of the matrices, per unit of rate.
    WeightDecay,
    /// Steps between validation losses; 0 turns them off.
    EvalEvery,
    /// Steps between samples; 0 turns them off.
    SampleEvery,
    /// Steps between checkpoints; 0 turns them off.
    CheckpointEvery,
}

impl SetField {
    /// All dials, in the order pages show them.
    pub const ALL: [Self; 6] =
        [Self::Rate, Self::Clip, Self::WeightDecay, Self::EvalEvery, Self::SampleEvery, Self::CheckpointEvery];

    /// Name, unit, and the sentence shown on hover.
    pub fn describe(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Rate => {
                ("rate", "per step", "Learning rate at the next step; the rest of the schedule is scaled with it.")
            }
            Self::Clip => (
                "clip",
                "gradient norm",
                "Gradients whose global norm is larger are scaled down to it; 0 turns clipping off.",
            ),
            Self::WeightDecay => ("weight decay", "per unit of rate", "Matrices shrink by rate x decay at each step."),
            Self::EvalEvery => ("evaluate every", "steps", "Steps between validation losses; 0 turns them off."),
            Self::SampleEvery => ("sample every", "steps", "Steps between text samples; 0 turns them off."),
            Self::CheckpointEvery => ("checkpoint every", "steps", "Steps between checkpoints; 0 turns them off."),
        }
    }

    /// Refuses a value the dial cannot take, with the sentence to show.
    pub fn check(self, value: f64) -> Result<(), String> {
        let (name, ..) = self.describe();
        let top = match self {
            Self::Rate => 10.0,
            Self::Clip => 1e6,
            Self::WeightDecay => 10.0,
            Self::EvalEvery | Self::SampleEvery | Self::CheckpointEvery => 1e9,
        };
        if !value.is_finite() || value < 0.0 || value > top {
            return Err(format!("{name} must be a number from 0 to {top}, not {value}"));
        }
        if matches!(self, Self::EvalEvery | Self::SampleEvery | Self::CheckpointEvery) && value.fract() != 0.0 {
            return Err(format!("{name} must be a whole number of steps, not {value}"));
        }
        Ok(())
    }
}

/// A command on its way to a worker: numbered by the server, signed by who asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandOrder {
    /// The server's number for it; the event that answers carries the same.
    pub command_id: u64,
    /// Who asked.
    pub author: Author,
    /// What.
    #[serde(with = "crate::encode::json")]
    pub command: Command,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Part;

    #[test]
    fn commands_read_as_people_write_them() {
        let check = |text: &str, expected: Command| {
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), expected, "{text}")
        };
        check(r#"{"kind":"pause"}"#, Command::Pause { reason: None });
        check(r#"{"kind":"step"}"#, Command::Step { steps: 1 });
        check(r#"{"kind":"evaluate"}"#, Command::Evaluate);
        check(
            r#"{"kind":"set","field":"rate","value":3e-4,"reason":"flat"}"#,
            Command::Set { field: SetField::Rate, value: 3e-4, reason: Some("flat".into()) },
        );
        check(
            r#"{"kind":"rollback","checkpoint":"0-300","skip_batches":200}"#,
            Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 300 }, skip_batches: 200, reason: None },
        );
        check(
            r#"{"kind":"redraw","course":{"rate":{"bend":{"points":[[500,1e-4]]}}}}"#,
            Command::Redraw {
                course: Redraw::Rate { bend: Bend::Points(vec![(500, 1e-4)]), steps: None },
                reason: None,
            },
        );
        check(
            r#"{"kind":"edit","edits":[{"part":{"head":{"layer":0,"head":1}},"factor":0}]}"#,
            Command::Edit { edits: vec![Edit { part: Part::Head { layer: 0, head: 1 }, factor: 0.0 }], reason: None },
        );
        for bad in [
            r#"{"kind":"explode"}"#,
            r#"{"kind":"edit","edits":[{"part":{"soul":{}},"factor":0}]}"#,
            r#"{"kind":"rollback","checkpoint":"../1"}"#,
            r#"{"kind":"redraw","course":{"mood":{}}}"#,
            r#"{"kind":"set","field":"rate"}"#,
            r#"{"kind":"pause","x":1}"#,
            r#"{"kind":"set","field":"mood","value":1}"#,
        ] {
            assert!(serde_json::from_str::<Command>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dials_refuse_what_they_cannot_take() {
        assert!(SetField::Rate.check(1e-3).is_ok() && SetField::EvalEvery.check(100.0).is_ok());
        for (field, value) in [
            (SetField::Rate, f64::NAN),
            (SetField::Rate, -1.0),
            (SetField::Clip, f64::INFINITY),
            (SetField::EvalEvery, 0.5),
        ] {
            assert!(field.check(value).is_err(), "{field:?} {value}");
        }
    }
}
