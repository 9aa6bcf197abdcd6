//! Everything that can happen in a run. Events are its journal: append-only, numbered, never edited.

use serde::{Deserialize, Serialize};

use crate::checkpoint::{Cause, CheckpointId, CheckpointInfo, CheckpointRef};
use crate::command::{Command, SetField};
use crate::dials::Drawn;
use crate::edit::Edit;

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// Someone signed in, by the name of their token.
    Person(String),
    /// A rule of the lab.
    Rule(String),
    /// A model in the second chair.
    Model(String),
    /// The lab itself: the loop, the scheduler, the store.
    Lab,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventRecord {
    /// Place in the run's journal, from 1; given by the store.
    pub number: u64,
    /// Segment of the run's history it belongs to.
    pub segment: u32,
    /// Step before which it took effect.
    pub step: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// Who.
    pub author: Author,
    /// The command it answers, if any.
    #[serde(default)]
    pub command_id: Option<u64>,
    /// Why, in the author's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// What.
    #[serde(with = "crate::encode::json")]
    pub event: Event,
}

/// What can happen. JSON: `{"kind": "changed", "field": "rate", "old": 0.001, "new": 0.0005}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The run was asked for and waits for a device.
    Queued,
    /// A worker took it and is loading text and weights.
    Starting {
        /// The device, in words.
        device: String,
    },
    /// The first step is about to be taken.
    Started {
        /// Trained numbers in the model.
        parameters: u64,
    },
    /// It holds before the next step.
    Paused,
    /// It goes on.
    Resumed,
    /// It was told to take some steps and hold again.
    Stepping {
        /// How many.
        steps: u64,
    },
    /// A dial was turned.
    Changed {
        /// Which.
        field: SetField,
        /// Value before.
        old: f64,
        /// Value from this step on.
        new: f64,
    },
    /// A course was drawn anew.
    Redrawn {
        /// From this step on as it was.
        old: Drawn,
        /// From this step on as it is.
        new: Drawn,
    },
    /// Parts of the model were multiplied by hand, in the weights.
    Edited {
        /// Which, and by what.
        edits: Vec<Edit>,
    },
    /// The state is on disk, whole.
    Checkpointed {
        /// What is known of it.
        checkpoint: CheckpointInfo,
    },
    /// A checkpoint could not be written, or read; training goes on.
    CheckpointFailed {
        /// Which.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// What failed, and the way out.
        message: String,
    },
    /// It went back to a checkpoint; this line opens a segment, and what came after the checkpoint is a ghost.
    RolledBack {
        /// Whence it goes on.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        checkpoint: CheckpointId,
        /// Segment that was left.
        from_segment: u32,
        /// Step at which it was left.
        from_step: u64,
        /// Batches left out from here on.
        skip_batches: u64,
        /// Lowest validation loss up to the checkpoint.
        best_valid: Option<f64>,
    },
    /// It came from elsewhere, with all that stands before this line.
    Imported {
        /// Whence, in words.
        from: String,
    },
    /// The run begins with another run's state.
    Forked {
        /// Whose.
        from: CheckpointRef,
    },
    /// It goes on from a saved state after its worker ended; steps up to `recorded` are trained again and not told twice.
    Continued {
        /// Whence; the first step where there is none.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        checkpoint: Option<CheckpointId>,
        /// Steps that had been told of.
        recorded: u64,
        /// Checkpoints that were passed over because they are damaged, with what is wrong.
        damaged: Vec<String>,
    },
    /// It let go of its device and waits with a checkpoint.
    Released,
    /// A budget is used up.
    BudgetReached {
        /// Which, in words.
        what: String,
    },
    /// The validation loss was measured.
    Evaluated {
        /// Mean loss, nats per token.
        loss_nats: f64,
        /// The same in bits per byte of text.
        bits_per_byte: f64,
    },
    /// A text was written.
    Sampled {
        /// What it starts with.
        prompt: String,
        /// What the model added.
        text: String,
        /// Temperature it was drawn at.
        temperature: f64,
    },
    /// Someone left a note.
    Annotated {
        /// The note.
        text: String,
    },
    /// A loss or gradient norm was not a number; the run holds.
    NonFinite {
        /// Which value, in words.
        what: String,
    },
    /// A command could not be done; nothing changed.
    Refused {
        /// The command.
        command: Command,
        /// Why, and the way out.
        message: String,
    },
    /// All steps are done.
    Finished,
    /// Ended early, on request.
    Stopped,
    /// Ended by an error.
    Failed {
        /// What failed, with the value and the way out.
        message: String,
    },
    /// The worker went silent; what it had reported is kept.
    Lost {
        /// What is known.
        message: String,
    },
}

impl Event {
    /// Whether pages mark it on the curves (the rest is only in the journal).
    pub fn is_mark(&self) -> bool {
        !matches!(
            self,
            Self::Queued
                | Self::Starting { .. }
                | Self::Evaluated { .. }
                | Self::Sampled { .. }
                | Self::Refused { .. }
                | Self::Checkpointed { .. }
        )
    }

    /// Whether it turns a dial, lays a hand on the weights, or leads the run's path elsewhere.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::Redrawn { .. } | Self::Edited { .. } | Self::RolledBack { .. })
    }

    /// One short phrase, for marks and lists: `rate 0.001 -> 0.0005`.
    pub fn phrase(&self) -> String {
        match self {
            Self::Queued => "queued".into(),
            Self::Starting { device } => format!("starting on {device}"),
            Self::Started { parameters } => format!("started, {parameters} parameters"),
            Self::Paused => "paused".into(),
            Self::Resumed => "resumed".into(),
            Self::Stepping { steps } => format!("{steps} step{}", if *steps == 1 { "" } else { "s" }),
            Self::Changed { field, old, new } => format!("{} {} → {}", field.describe().0, brief(*old), brief(*new)),
            Self::Redrawn { new: Drawn::Rate { steps, .. }, old: Drawn::Rate { steps: before, .. } }
                if steps != before =>
            {
                format!("rate redrawn, end at {steps} instead of {before}")
            }
            Self::Redrawn { new: Drawn::Rate { .. }, .. } => "rate redrawn".into(),
            Self::Redrawn { new: Drawn::Mix(_), .. } => "mix redrawn".into(),
            Self::Redrawn { new: Drawn::Passes(stairs), .. } => match stairs.as_slice() {
                [(_, passes)] => format!("passes per step → {passes}"),
                _ => "batch redrawn".into(),
            },
            Self::Edited { edits } => match edits.as_slice() {
                [all @ .., last] if all.len() < 3 => {
                    all.iter().map(|edit| format!("{edit}, ")).chain([last.to_string()]).collect()
                }
                edits => format!("{} parts of the model changed by hand", edits.len()),
            },
            Self::Checkpointed { checkpoint } => match checkpoint.cause {
                Cause::Cadence => format!("checkpoint {}", checkpoint.id),
                Cause::Asked => format!("checkpoint {}, asked for", checkpoint.id),
                Cause::BeforeChange => format!("checkpoint {}, before a change", checkpoint.id),
                Cause::Best => format!("checkpoint {}, best so far", checkpoint.id),
                Cause::End => format!("checkpoint {}, at the end", checkpoint.id),
                Cause::Imported => format!("checkpoint {}, brought in", checkpoint.id),
            },
            Self::CheckpointFailed { checkpoint, message } => format!("checkpoint {checkpoint} failed: {message}"),
            Self::RolledBack { checkpoint, skip_batches: 0, .. } => format!("rolled back to step {}", checkpoint.step),
            Self::RolledBack { checkpoint, skip_batches, .. } => {
                format!("rolled back to step {}, {skip_batches} batches left out", checkpoint.step)
            }
            Self::Imported { from } => format!("brought in: {from}"),
            Self::Forked { from } => format!("forked from {} at step {}", from.run, from.checkpoint.step),
            Self::Continued { checkpoint: Some(id), .. } => {
                format!("continued from the checkpoint at step {}", id.step)
            }
            Self::Continued { checkpoint: None, .. } => "continued from the first step".into(),
            Self::Released => "device released".into(),
            Self::BudgetReached { what } => format!("budget reached: {what}"),
            Self::Evaluated { loss_nats, .. } => format!("validation loss {loss_nats:.3} nats"),
            Self::Sampled { .. } => "sample".into(),
            Self::Annotated { text } => text.clone(),
            Self::NonFinite { what } => format!("{what} is not a number: held"),
            Self::Refused { message, .. } => format!("refused: {message}"),
            Self::Finished => "finished".into(),
            Self::Stopped => "stopped".into(),
            Self::Failed { message } => format!("failed: {message}"),
            Self::Lost { message } => format!("lost: {message}"),
        }
    }
}

/// Three significant digits, with an exponent where the number is far from 1.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (0.01..100_000.0).contains(&size) {
        let digits = if size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 5) as usize };
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.2e}")
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
    fn numbers_are_brief() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.0006, "6.00e-4"),
            (2.3149, "2.31"),
            (200.0, "200"),
            (0.1, "0.1"),
            (12345.0, "12345"),
        ] {
            assert_eq!(brief(value), text);
        }
    }
}
