//! Settings of the rules for one run: muted rules and changed thresholds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use wire::diagnosis::{Act, DiagnosisSettings};
use wire::number::counted;

use super::list::{RULES, rule};
use super::table::{Rule, Threshold};
use super::watch::RuleSettings;

/// Muted rules and changed thresholds. The default mutes none and changes none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Ids of rules that report nothing. They still read the series, so that they know them when they are no longer muted.
    pub muted: BTreeSet<String>,
    /// Values by rule and threshold: `loss_spike.alert_z`.
    pub thresholds: BTreeMap<String, f64>,
}

/// A setting that cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingError {
    /// No rule has this id.
    #[error("unknown rule {id:?}; choose one of {}", RULES.iter().map(|rule| rule.id).collect::<Vec<_>>().join(", "))]
    UnknownRule { id: String },
    /// The rule has no threshold of this name.
    #[error("rule {rule} has no threshold {key:?}; choose one of {known}")]
    UnknownThreshold { rule: &'static str, key: String, known: String },
    /// The value is outside its limits, or not finite.
    #[error("threshold {rule}.{key} is {value}; enter a number from {min} to {max}")]
    OutOfRange { rule: &'static str, key: &'static str, value: f64, min: f64, max: f64 },
    /// A threshold is named by rule and key.
    #[error("{name:?} is not the name of a threshold; write RULE.KEY, for example loss_spike.alert_z")]
    ThresholdName { name: String },
    /// The numbers of a rollback are outside their limits.
    #[error(
        "rule {rule} would roll back {} and skip {}; enter 1 to {MOST_STEPS} steps and 0 to {MOST_STEPS} batches",
        counted(*steps, "step"),
        counted(*batches, "batch")
    )]
    Rollback { rule: String, steps: u64, batches: u64 },
}

/// Most steps that a rule may roll back, and most batches that it may skip.
const MOST_STEPS: u64 = 1_000_000;

/// The part that concerns what is found; what a rule does about it is the caller's.
impl TryFrom<&DiagnosisSettings> for Settings {
    type Error = SettingError;

    fn try_from(settings: &DiagnosisSettings) -> Result<Self, SettingError> {
        let known = |id: &String| match rule(id) {
            Some(_) => Ok(()),
            None => Err(SettingError::UnknownRule { id: id.clone() }),
        };
        settings.muted.iter().chain(settings.acts.keys()).try_for_each(known)?;
        let mut checked = Self { muted: settings.muted.clone(), ..Self::default() };
        for (name, value) in &settings.thresholds {
            let (rule, key) = name.split_once('.').ok_or_else(|| SettingError::ThresholdName { name: name.clone() })?;
            checked.set(rule, key, *value)?;
        }
        for (rule, act) in &settings.acts {
            if let Act::RollBackAndSkip { steps, batches } = *act
                && (!(1..=MOST_STEPS).contains(&steps) || batches > MOST_STEPS)
            {
                return Err(SettingError::Rollback { rule: rule.clone(), steps, batches });
            }
        }
        Ok(checked)
    }
}

impl Settings {
    /// Sets a threshold.
    ///
    /// # Errors
    /// An unknown rule or threshold, or a value outside its limits.
    pub fn set(&mut self, rule_id: &str, key: &str, value: f64) -> Result<(), SettingError> {
        let rule = rule(rule_id).ok_or_else(|| SettingError::UnknownRule { id: rule_id.to_owned() })?;
        let threshold = rule.thresholds.iter().find(|threshold| threshold.key == key).ok_or_else(|| {
            let known = rule.thresholds.iter().map(|threshold| threshold.key).collect::<Vec<_>>().join(", ");
            SettingError::UnknownThreshold { rule: rule.id, key: key.to_owned(), known }
        })?;
        let (min, max) = (threshold.min, threshold.max);
        if !(min..=max).contains(&value) {
            return Err(SettingError::OutOfRange { rule: rule.id, key: threshold.key, value, min, max });
        }
        self.thresholds.insert(format!("{}.{key}", rule.id), value);
        Ok(())
    }

    /// The settings of every rule, in the order of the table. A value outside its limits, as an edited file may have, is ignored.
    pub(super) fn resolved(&self) -> Vec<RuleSettings> {
        RULES.iter().map(|rule| self.of(rule)).collect()
    }

    fn of(&self, rule: &Rule) -> RuleSettings {
        let value = |threshold: &Threshold| {
            let set = self.thresholds.get(&format!("{}.{}", rule.id, threshold.key)).copied();
            set.filter(|value| (threshold.min..=threshold.max).contains(value)).unwrap_or(threshold.default)
        };
        RuleSettings { is_muted: self.muted.contains(rule.id), thresholds: rule.thresholds.iter().map(value).collect() }
    }
}
