//! Conditions on metrics: a person states a threshold of a time series, and a value beyond it raises an alert.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::id::RunId;
use crate::series::{NAME_CHARS, is_series, name};

/// The side of the threshold on which a value meets a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ThresholdSide))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Above,
    Below,
}

impl Side {
    /// The word in JSON and in sentences.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether a value lies on this side of a threshold. The threshold itself does not.
    pub fn has(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
        }
    }
}

/// A condition to create. It holds for one run, for the runs of a project, or, with neither, for all runs of the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = NewAlertCondition))]
#[serde(deny_unknown_fields)]
pub struct NewCondition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Name of the series, such as `eval/tales-holder/accuracy` or `loss.valid`.
    pub series: String,
    pub side: Side,
    pub threshold: f64,
    /// Whether its alerts are urgent.
    #[serde(default)]
    pub is_urgent: bool,
}

impl NewCondition {
    /// # Errors
    /// A run and a project, a series that no run can have, a threshold that is not finite.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.run.is_some() && self.project.is_some() {
            return Err(
                PlanError::new("project", "the condition names a run and a project").hint("leave one of them out")
            );
        }
        if !is_series(&self.series) {
            let shown: String = self.series.chars().take(NAME_CHARS).collect();
            let hint = format!("give a name such as {}, {} or {}TASK/METRIC", name::VALID, name::GRAD_NORM, name::EVAL);
            return Err(PlanError::new("series", format!("no run has a series {shown:?}")).hint(hint));
        }
        match self.threshold.is_finite() {
            true => Ok(()),
            false => {
                Err(PlanError::new("threshold", "the threshold is not a finite number")
                    .hint("give a number such as 0.9"))
            }
        }
    }
}

/// Values in a row that do not meet a condition until it can raise another alert. A score or a validation loss is computed seldom, so one is
/// enough; a metric of each step moves back and forth across a threshold that it is near.
pub fn values_to_recover(series: &str) -> u32 {
    let is_seldom = series.starts_with(name::EVAL) || series == name::VALID || series.starts_with(name::VALID_OF);
    if is_seldom { 1 } else { 10 }
}

/// A condition as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertCondition))]
pub struct ConditionView {
    pub id: i64,
    /// The run for which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// As pages call this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_name: Option<String>,
    /// The project for whose runs it holds, or that of its run. Without one it holds for all runs of the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    pub series: String,
    pub side: Side,
    pub threshold: f64,
    /// Whether its alerts are urgent.
    pub is_urgent: bool,
    /// Name of its creator.
    pub created_by: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
}

/// The part of the list of conditions that a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default)]
pub struct ConditionQuery {
    /// Only the conditions that hold for this run: its own, those of its project, and those of the lab.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub run: Option<RunId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(series: &str, threshold: f64) -> NewCondition {
        let (series, side) = (series.to_owned(), Side::Above);
        NewCondition { run: None, project: None, series, side, threshold, is_urgent: false }
    }

    #[test]
    fn only_series_that_a_run_can_have_are_watched() {
        for good in ["loss.train", "loss.valid/tales", "eval/tales-holder/accuracy", "attention_entropy/0.1"] {
            condition(good, 0.5).check().unwrap();
        }
        for bad in ["", "loss.unknown", "eval/", "loss.train ", "eval/a\n"] {
            assert_eq!(condition(bad, 0.5).check().unwrap_err().field, "series", "{bad:?}");
        }
        assert_eq!(condition("loss.train", f64::NAN).check().unwrap_err().field, "threshold");
        let of_both = NewCondition {
            run: Some("amber-fox".parse().unwrap()),
            project: Some("vision".to_owned()),
            ..condition("loss.train", 1.0)
        };
        assert_eq!(of_both.check().unwrap_err().field, "project");
    }

    #[test]
    fn the_threshold_itself_lies_on_neither_side() {
        assert!(Side::Above.has(0.6, 0.5) && !Side::Above.has(0.5, 0.5) && !Side::Above.has(0.4, 0.5));
        assert!(Side::Below.has(0.4, 0.5) && !Side::Below.has(0.5, 0.5) && !Side::Below.has(0.6, 0.5));
        assert!(!Side::Above.has(f64::NAN, 0.5) && !Side::Below.has(f64::NAN, 0.5));
    }

    #[test]
    fn a_condition_is_json_without_what_it_leaves_out() {
        let text = r#"{"series":"loss.valid","side":"above","threshold":2.5,"is_urgent":false}"#;
        let read: NewCondition = serde_json::from_str(text).unwrap();
        assert_eq!(read, condition("loss.valid", 2.5));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
