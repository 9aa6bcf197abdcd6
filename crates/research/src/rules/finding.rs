//! What a rule has seen, with the numbers that show it.

use serde::{Deserialize, Serialize};
use wire::number::{brief, grouped};

use super::table::{Level, Rule};

/// A condition that became true at a step. Values are computed from the series alone, so the same series give the same findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    pub level: Level,
    /// Step whose values completed the condition.
    pub step: u64,
    /// First step of the window that the rule looked at; the window ends at [`Self::step`].
    pub first_step: u64,
    /// Value found, in the unit of the rule; `None` if it is not a finite number.
    pub value: Option<f64>,
    /// Threshold that it passed, in the same unit.
    pub threshold: f64,
    /// Dataset, parameter, layer, head, or which quantity of the rule; empty if there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Series that show it.
    pub evidence: Vec<Evidence>,
}

/// A part of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// Name of the series; a prefix that ends in `/` names all series below it.
    pub series: String,
    pub first_step: u64,
    /// Last step, included.
    pub last_step: u64,
}

/// A finding that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Active {
    /// Id of the rule.
    pub rule: String,
    /// As in [`Finding::subject`].
    pub subject: String,
    /// The highest level since it began.
    pub level: Level,
    /// Step of the first finding.
    pub since_step: u64,
}

impl Finding {
    /// What was seen, as a sentence, by the template of the rule. An unknown rule (of another version) gives its id and the numbers.
    pub fn sentence(&self, rule: Option<&Rule>) -> String {
        let value = self.value.map_or_else(|| "not a finite number".to_owned(), brief);
        let Some(rule) = rule else {
            return format!(
                "{} at step {}: {value}, threshold {}.",
                self.rule,
                grouped(self.step),
                brief(self.threshold)
            );
        };
        [
            ("{value}", value),
            ("{threshold}", brief(self.threshold)),
            ("{step}", grouped(self.step)),
            ("{first}", grouped(self.first_step)),
            ("{last}", grouped(self.step)),
            ("{subject}", self.subject.clone()),
        ]
        .into_iter()
        .fold(rule.seen.to_owned(), |text, (name, value)| text.replace(name, &value))
    }
}
