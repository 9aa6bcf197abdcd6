//! Rules that stop trials before their last step; `research::stopping` has their formulas.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;

/// A rule that stops trials early, with its thresholds. It looks at each value of the metric of a trial when it is reported.
///
/// JSON: `{"rule": "median"}`, `{"rule": "asha", "eta": 3}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum StoppingRule {
    /// Stops a trial whose best value is above a percentile of those of the others at the same step.
    Median {
        /// Percentile of the other trials, 1 to 99; 50 is the median. A smaller one stops more trials.
        #[serde(default = "percentile")]
        percentile: f64,
        /// Other trials that have reached the step; with fewer, none is stopped.
        #[serde(default = "min_trials")]
        min_trials: usize,
        /// Fraction of the steps of a trial before which it is not stopped.
        #[serde(default = "from")]
        from: f64,
        /// Fraction of the steps of a trial after which it is not stopped.
        #[serde(default = "until")]
        until: f64,
        /// This number of the best trials at a step is never stopped.
        #[serde(default = "protect")]
        protect: usize,
    },
    /// Asynchronous successive halving: of the trials that reach a rung, the best 1 / eta go on.
    Asha {
        /// Each rung has eta times the steps of the one below; 2 to 10.
        #[serde(default = "eta")]
        eta: u32,
        /// The first rung as a fraction of the steps of a trial.
        #[serde(default = "min_fraction")]
        min_fraction: f64,
    },
    /// Several ASHA with first rungs at different steps; each trial belongs to one of them.
    Hyperband {
        /// Each rung has eta times the steps of the one below; 2 to 10.
        #[serde(default = "hyperband_eta")]
        eta: u32,
        /// Number of ASHA, 2 to 8. The first rung of the first is at 1 / eta^(brackets - 1) of the steps; the last stops none.
        #[serde(default = "brackets")]
        brackets: u32,
    },
}

fn percentile() -> f64 {
    50.0
}

fn min_trials() -> usize {
    3
}

fn from() -> f64 {
    0.2
}

fn until() -> f64 {
    0.9
}

fn protect() -> usize {
    3
}

fn eta() -> u32 {
    4
}

fn min_fraction() -> f64 {
    0.01
}

fn hyperband_eta() -> u32 {
    3
}

fn brackets() -> u32 {
    4
}

impl StoppingRule {
    /// The median rule with its default thresholds.
    pub fn median() -> Self {
        Self::Median {
            percentile: percentile(),
            min_trials: min_trials(),
            from: from(),
            until: until(),
            protect: protect(),
        }
    }

    /// ASHA with its default thresholds.
    pub fn asha() -> Self {
        Self::Asha { eta: eta(), min_fraction: min_fraction() }
    }

    /// Hyperband with its default thresholds.
    pub fn hyperband() -> Self {
        Self::Hyperband { eta: hyperband_eta(), brackets: brackets() }
    }

    /// Its name with its threshold: `ASHA, eta 4`.
    pub fn label(&self) -> String {
        match self {
            Self::Median { percentile, .. } if *percentile == 50.0 => "median".to_owned(),
            Self::Median { percentile, .. } => format!("percentile {percentile}"),
            Self::Asha { eta, .. } => format!("ASHA, eta {eta}"),
            Self::Hyperband { eta, brackets } => format!("Hyperband, eta {eta}, {brackets} brackets"),
        }
    }

    /// Checks the thresholds.
    ///
    /// # Errors
    /// A threshold out of its range; its name is the field.
    pub fn check(&self) -> Result<(), PlanError> {
        let within = |field: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(PlanError::new(field, format!("{field} {value} is out of range"))
                .hint(format!("enter {low} to {high}"))),
        };
        match self {
            Self::Median { percentile, min_trials, from, until, protect } => {
                within("percentile", *percentile, 1.0, 99.0)?;
                within("min_trials", *min_trials as f64, 2.0, 1000.0)?;
                within("protect", *protect as f64, 0.0, 1000.0)?;
                within("from", *from, 0.0, 1.0)?;
                within("until", *until, *from, 1.0)
            }
            Self::Asha { eta, min_fraction } => {
                within("eta", f64::from(*eta), 2.0, 10.0)?;
                within("min_fraction", *min_fraction, 1e-4, 0.5)
            }
            Self::Hyperband { eta, brackets } => {
                within("eta", f64::from(*eta), 2.0, 10.0)?;
                within("brackets", f64::from(*brackets), 2.0, 8.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_short_json_and_ranges() {
        let read = |text: &str| serde_json::from_str::<StoppingRule>(text);
        assert_eq!(read(r#"{"rule": "median"}"#).unwrap(), StoppingRule::median());
        assert_eq!(read(r#"{"rule": "asha", "eta": 4}"#).unwrap(), StoppingRule::asha());
        assert_eq!(read(r#"{"rule": "hyperband"}"#).unwrap(), StoppingRule::hyperband());
        assert!(read(r#"{"rule": "asha", "percentile": 4}"#).is_err());
        for rule in [StoppingRule::median(), StoppingRule::asha(), StoppingRule::hyperband()] {
            rule.check().unwrap();
        }
        for (text, field) in [
            (r#"{"rule": "median", "percentile": 0}"#, "percentile"),
            (r#"{"rule": "median", "from": 0.5, "until": 0.4}"#, "until"),
            (r#"{"rule": "asha", "eta": 1}"#, "eta"),
            (r#"{"rule": "asha", "min_fraction": 0}"#, "min_fraction"),
            (r#"{"rule": "hyperband", "brackets": 1}"#, "brackets"),
        ] {
            assert_eq!(read(text).unwrap().check().unwrap_err().field, field);
        }
    }
}
