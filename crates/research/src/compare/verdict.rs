//! The result of a comparison, and the sentence that says it.

use serde::{Deserialize, Serialize};
use wire::number::{brief, in_sentence};

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

/// What a sentence calls the two sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    pub baseline: &'a str,
    pub change: &'a str,
    /// Runs of the noise floor; 0 if unknown.
    pub noise_runs: usize,
}

impl Comparison {
    /// The verdict in one or two sentences, with the difference, its interval, and the variation that the interval contains.
    pub fn sentence(&self) -> String {
        let text = self.sentence_of(&Names { baseline: "the baseline", change: "the change", noise_runs: 0 });
        let mut letters = text.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    /// [`Self::sentence`] with the names of both sides.
    pub fn sentence_of(&self, names: &Names<'_>) -> String {
        let Names { baseline, change, .. } = names;
        match (&self.verdict, &self.difference) {
            (Verdict::NotComparable { reasons }, _) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                // Reasons give the values of the baseline first.
                format!("{baseline} and {change} are not comparable: {}.", reasons.join("; "))
            }
            (Verdict::Different, Some(difference)) => {
                let direction = if difference.estimate < 0.0 { "lower" } else { "higher" };
                let size = brief(difference.estimate.abs());
                format!(
                    "The loss of {change} is {direction} by {size} {} than that of {baseline}. {}",
                    self.unit.word(),
                    self.interval(difference, names)
                )
            }
            (Verdict::NoDetectableDifference { detectable }, Some(difference)) => {
                let unit = self.unit.word();
                let smallest = detectable.map(|size| {
                    format!(" A true difference of {} {unit} would be found in 4 of 5 such comparisons.", brief(size))
                });
                format!(
                    "No detectable difference between {change} and {baseline}. {}{}",
                    self.interval(difference, names),
                    smallest.unwrap_or_default()
                )
            }
            (_, None) => "There is no comparison.".to_owned(),
        }
    }

    fn interval(&self, difference: &Difference, names: &Names<'_>) -> String {
        let of = match difference.variation {
            Variation::Seeds => "seeds",
            Variation::ValidationWindows => "validation text, not over seeds",
            Variation::Items => "items, not over seeds",
        };
        let method = match difference.method {
            Method::Welch => format!("Welch's t, {}", sides(self.counts)),
            Method::PairedSeeds => format!("paired t, {} seeds on each side", self.counts.0),
            Method::ConfidenceSequence => format!("confidence sequence, {} seeds", self.counts.0),
            Method::NoiseFloor if names.noise_runs == 0 => format!("noise floor, {}", sides(self.counts)),
            Method::NoiseFloor => format!("from the spread of {} seeds, {}", names.noise_runs, sides(self.counts)),
            Method::BcaBootstrap => format!("bootstrap, {} windows", self.counts.0),
            Method::Newcombe => format!("Newcombe's interval, {} items", self.counts.0),
        };
        format!(
            "The difference, {} minus {}, is {} {}, {} % interval {} to {} over {of} ({method}).",
            names.change,
            names.baseline,
            in_sentence(difference.estimate),
            self.unit.word(),
            brief(100.0 * difference.level),
            in_sentence(difference.low),
            in_sentence(difference.high),
        )
    }
}

/// The numbers of runs of baseline and change.
fn sides((baseline, change): (usize, usize)) -> String {
    match (baseline, change) {
        (1, 1) => "one run on each side".to_owned(),
        (a, b) if a == b => format!("{a} runs on each side"),
        (a, b) => format!("{a} and {b} runs"),
    }
}
