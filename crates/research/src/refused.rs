//! Why there is no fit or no replay, as data: the runs do not determine it.

use serde::{Deserialize, Serialize};
use wire::number::{counted, grouped};

/// A refusal: its kind, for programs, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refused {
    pub reason: RefusedReason,
    /// What is missing, and what to do.
    pub sentence: String,
}

/// The kind of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefusedReason {
    /// Too few runs, sizes, numbers of tokens, steps or measurements.
    TooFew,
    /// More runs than are read for one answer.
    TooMany,
    /// The interval of a value is too wide to extrapolate.
    TooWide,
    /// The optimum is not among the runs.
    NoOptimum,
    /// The runs differ in tokenizer or datasets, so their losses cannot be compared.
    Unlike,
}

impl Refused {
    /// More runs than the `most` that are read for one answer.
    pub fn too_many(most: usize) -> Self {
        let most = counted(most as u64, "run");
        let sentence =
            format!("More than {most} are selected, and at most {most} are read. Choose fewer, for example by a tag.");
        Self { reason: RefusedReason::TooMany, sentence }
    }

    /// A run of `steps` steps, of which more than `most` are not read.
    pub fn too_long(steps: u64, most: u64) -> Self {
        let sentence = format!("The run has {}; at most {} are read.", counted(steps, "step"), grouped(most));
        Self { reason: RefusedReason::TooMany, sentence }
    }

    /// Runs that differ in tokenizer or datasets; `why` names two of them.
    pub fn unlike(why: &str) -> Self {
        let sentence = format!("{} Choose runs with one tokenizer and the same datasets.", sentence(why));
        Self { reason: RefusedReason::Unlike, sentence }
    }

    /// Fewer than 2 runs that a replay could read.
    pub fn too_few_for_replay(found: usize) -> Self {
        let runs = counted(found as u64, "run");
        let sentence = format!("A replay needs at least 2 runs that have ended and have values, and has {runs}.");
        Self { reason: RefusedReason::TooFew, sentence }
    }
}

/// A text with a capital at its beginning and a full stop at its end.
pub(crate) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence_with_a_kind() {
        let unlike = Refused::unlike("the losses of a and b cannot be compared");
        assert_eq!(unlike.reason, RefusedReason::Unlike);
        assert_eq!(
            unlike.sentence,
            "The losses of a and b cannot be compared. Choose runs with one tokenizer and the same datasets."
        );
        let json = serde_json::to_string(&Refused::too_many(200)).unwrap();
        assert!(json.starts_with(
            r#"{"reason":"too_many","sentence":"More than 200 runs are selected, and at most 200 runs are read."#
        ));
    }
}
