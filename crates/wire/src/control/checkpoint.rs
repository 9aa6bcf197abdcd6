//! Checkpoints: saved states of a run, each in its own folder with everything that an exact resume needs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::id::RunId;

/// The id of a checkpoint in its run: `0-1200` is segment 0 before step 1200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckpointId {
    /// Segment of the run's history.
    pub segment: u32,
    /// Steps done when it was taken.
    pub step: u64,
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.segment, self.step)
    }
}

impl FromStr for CheckpointId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let plain = |part: &str| !part.is_empty() && part.len() < 20 && part.bytes().all(|b| b.is_ascii_digit());
        text.split_once('-')
            .filter(|(segment, step)| plain(segment) && plain(step))
            .and_then(|(segment, step)| Some(Self { segment: segment.parse().ok()?, step: step.parse().ok()? }))
            .ok_or_else(|| ParseError::new(text, "a checkpoint id: give segment and step, for example 0-1200"))
    }
}

impl TryFrom<String> for CheckpointId {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<CheckpointId> for String {
    fn from(id: CheckpointId) -> String {
        id.to_string()
    }
}

/// Why a checkpoint was saved; retention depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Interval,
    /// A command.
    Requested,
    /// A change was about to be applied; a rollback to it undoes the change.
    BeforeChange,
    /// The lowest validation loss so far.
    Best,
    /// The run ended or was suspended.
    End,
    /// An import.
    Imported,
}

/// The description of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointInfo {
    /// Segment and step.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: CheckpointId,
    /// Reason for saving it.
    pub cause: Cause,
    /// Time, ms since 1970.
    pub at_ms: i64,
    /// Size on disk, bytes.
    pub bytes: u64,
    /// BLAKE3 of the tensors' file.
    pub hash: String,
    /// Number of changes on the run's path before it; identifies which of several changes at the same step the
    /// checkpoint includes.
    pub changes: u32,
    /// Last training loss, nats per token.
    #[serde(default)]
    pub loss_train: Option<f64>,
    /// Last validation loss, nats per token.
    #[serde(default)]
    pub loss_valid: Option<f64>,
    /// Lowest validation loss up to here.
    #[serde(default)]
    pub best_valid: Option<f64>,
}

/// A checkpoint in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointView {
    /// Its description.
    pub info: CheckpointInfo,
    /// Pinned: never pruned.
    pub is_pinned: bool,
    /// Whether it has the lowest validation loss on its path: of all stored checkpoints, and of all evaluations up to it.
    pub is_best: bool,
    /// The newest sample before it.
    #[serde(default)]
    pub sample: Option<String>,
    /// Step of the evaluation that its validation loss is of; `None` if the run itself had none up to here.
    #[serde(default)]
    pub evaluated: Option<u64>,
    /// Whether its files are on the server. Those of a run on another machine are uploaded after they are saved; until then it cannot be
    /// used for completions, inspections and exports.
    #[serde(default = "is_on_server")]
    pub is_available: bool,
    /// Bytes of it that have been uploaded, while it is not available.
    #[serde(default)]
    pub uploaded_bytes: u64,
}

/// Servers of earlier versions did not say it.
fn is_on_server() -> bool {
    true
}

/// A checkpoint of any run of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointRef {
    /// The run that saved it.
    pub run: RunId,
    /// The checkpoint of that run.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_segment_and_step_and_nothing_else() {
        let id = CheckpointId { segment: 2, step: 1200 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"2-1200\"");
        for bad in ["", "-", "1", "1-", "-1", "1-2-3", "../1", "1-+2", "a-b", "99999999999-1", "1-99999999999999999999"]
        {
            assert!(bad.parse::<CheckpointId>().is_err(), "{bad}");
        }
    }
}
