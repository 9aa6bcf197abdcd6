//! The result of a comparison, and the sentence that says it.

use serde::{Deserialize, Serialize};
use wire::number::brief;

use super::conditions::Reason;
use super::difference::{Difference, Method, Variation};

/// The unit of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Independent of the tokenizer.
    BitsPerByte,
    /// Of one tokenizer.
    NatsPerToken,
}

impl Unit {
    /// As texts write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::BitsPerByte => "bits/byte",
            Self::NatsPerToken => "nats/token",
        }
    }
}

/// The conclusion of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Verdict {
    /// The interval excludes 0; the sign of the difference says which is better.
    Different,
    /// The interval contains 0.
    NoDetectableDifference {
        /// True difference that such data would show in 80 % of cases; `None` if it is unknown.
        detectable: Option<f64>,
    },
    /// There is no fair comparison.
    NotComparable {
        /// At least one.
        reasons: Vec<Reason>,
    },
}

/// A comparison of a change with a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    pub unit: Unit,
    /// Mean loss of the baseline; `None` if it is not finite.
    pub baseline: Option<f64>,
    /// Mean loss of the change; `None` if it is not finite.
    pub change: Option<f64>,
    /// Runs, or windows, of baseline and change.
    pub counts: (usize, usize),
    /// Change minus baseline; `None` if they cannot be compared.
    pub difference: Option<Difference>,
    /// The difference with an interval that stays valid while seeds are added and looked at; `None` for runs that are not paired.
    #[serde(default)]
    pub sequential: Option<Difference>,
    /// Two-sided p-value of a permutation test, for groups of at least 2 runs each. It assumes no distribution.
    pub permutation_p: Option<f64>,
    pub verdict: Verdict,
}

impl Comparison {
    /// The verdict in one or two sentences, with the difference, its interval, and the variation that the interval contains.
    pub fn sentence(&self) -> String {
        self.worded("", "the change")
    }

    /// [`Self::sentence`] with the names of baseline and change.
    pub fn sentence_of(&self, baseline: &str, change: &str) -> String {
        self.worded(baseline, change)
    }

    /// `baseline` may be empty.
    fn worded(&self, baseline: &str, change: &str) -> String {
        let (than, between) = match baseline {
            "" => (String::new(), String::new()),
            _ => (format!(" than that of {baseline}"), format!(" between {change} and {baseline}")),
        };
        match (&self.verdict, &self.difference) {
            (Verdict::NotComparable { reasons }, _) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                format!("Not comparable: {}.", reasons.join("; "))
            }
            (Verdict::Different, Some(difference)) => {
                let direction = if difference.estimate < 0.0 { "lower" } else { "higher" };
                let size = brief(difference.estimate.abs());
                format!(
                    "The loss of {change} is {direction} by {size} {}{than}. {}",
                    self.unit.word(),
                    self.interval(difference)
                )
            }
            (Verdict::NoDetectableDifference { detectable }, Some(difference)) => {
                let unit = self.unit.word();
                let smallest = detectable.map(|size| {
                    format!(" A true difference of {} {unit} would be found in 4 of 5 such comparisons.", brief(size))
                });
                format!(
                    "No detectable difference{between}. {}{}",
                    self.interval(difference),
                    smallest.unwrap_or_default()
                )
            }
            (_, None) => "There is no comparison.".to_owned(),
        }
    }

    fn interval(&self, difference: &Difference) -> String {
        let of = match difference.variation {
            Variation::Seeds => "seeds",
            Variation::ValidationWindows => "validation text, not over seeds",
        };
        let method = match difference.method {
            Method::Welch => format!("Welch's t, {} and {} runs", self.counts.0, self.counts.1),
            Method::PairedSeeds => format!("paired t, {} seeds", self.counts.0),
            Method::ConfidenceSequence => format!("confidence sequence, {} seeds", self.counts.0),
            Method::NoiseFloor => format!("noise floor, {} and {} runs", self.counts.0, self.counts.1),
            Method::BcaBootstrap => format!("bootstrap, {} windows", self.counts.0),
        };
        format!(
            "Change minus baseline is {} {}, {} % interval {} to {} over {of} ({method}).",
            brief(difference.estimate),
            self.unit.word(),
            brief(100.0 * difference.level),
            brief(difference.low),
            brief(difference.high),
        )
    }
}
