//! Settings of the rules for one run: muted rules, changed thresholds, and rules that may act.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::control::rule_change::RuleChange;
use crate::number::counted;

/// The settings of a run's rules. The default mutes none, changes none, and lets none act.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosisSettings {
    /// Ids of rules that report nothing. They still read the series, so that they know them when they are no longer muted.
    pub muted: BTreeSet<String>,
    /// Values by rule and threshold: `{"loss_spike.alert_z": 9}`. All other thresholds have their defaults.
    pub thresholds: BTreeMap<String, f64>,
    /// What a rule does when it finds something urgent, by its id: `{"divergence": "pause"}`. Rules that are not named only report. A rule
    /// acts at an alert; one whose highest level is a note, at a note.
    pub acts: BTreeMap<String, Act>,
}

impl DiagnosisSettings {
    /// What differs between these settings and newer ones, by rule; `label` gives the label of a rule.
    pub fn changes(&self, newer: &Self, label: impl Fn(&str) -> String) -> Vec<RuleChange> {
        let rules: BTreeSet<&str> = self.rules().chain(newer.rules()).collect();
        let change = |rule: &str| {
            let (old, new) = (self.of_rule(rule), newer.of_rule(rule));
            (old != new).then(|| RuleChange { rule: rule.to_owned(), label: label(rule), old, new })
        };
        rules.into_iter().filter_map(change).collect()
    }

    /// The ids of the rules that are named, some of them several times.
    fn rules(&self) -> impl Iterator<Item = &str> {
        let with_threshold = self.thresholds.keys().filter_map(|name| Some(name.split_once('.')?.0));
        self.muted.iter().map(String::as_str).chain(with_threshold).chain(self.acts.keys().map(String::as_str))
    }

    /// The settings of a rule in words: `only reports`, `muted`, `pauses the run, alert_z 9`.
    fn of_rule(&self, rule: &str) -> String {
        let is_muted = self.muted.contains(rule);
        let act = self.acts.get(rule).map(|act| act.phrase());
        let first = match (is_muted, act) {
            (false, None) => "only reports".to_owned(),
            (false, Some(act)) => act,
            (true, None) => "muted".to_owned(),
            (true, Some(act)) => format!("muted, {act}"),
        };
        let thresholds = self.thresholds.iter().filter_map(|(name, value)| {
            let (of, key) = name.split_once('.')?;
            (of == rule).then(|| format!(", {key} {value}"))
        });
        thresholds.fold(first, |words, one| words + &one)
    }
}

/// What a rule does about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Pauses the run before the next step.
    Pause,
    /// Returns to the newest checkpoint on the path before the fault began, and skips batches from there. That is the one before the change
    /// of the run that may have caused it, or else before the window in which the rule saw it.
    RollBackAndSkip {
        /// Without such a change the checkpoint is at least this many steps before the finding, 1 to 1,000,000.
        steps: u64,
        /// Batches that are skipped, 0 to 1,000,000.
        batches: u64,
    },
    /// Ends the run and saves a checkpoint.
    Stop,
}

impl Act {
    /// What the rule does, after its name: `pauses the run`.
    pub fn phrase(self) -> String {
        match self {
            Self::Pause => "pauses the run".into(),
            Self::Stop => "stops the run".into(),
            Self::RollBackAndSkip { steps, batches } => {
                format!("rolls back {} and skips {}", counted(steps, "step"), counted(batches, "batch"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_short_json() {
        let text = r#"{"muted":["plateau"],"acts":{"divergence":"pause","loss_spike":{"roll_back_and_skip":{"steps":100,"batches":200}}}}"#;
        let settings: DiagnosisSettings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.acts["divergence"], Act::Pause);
        assert_eq!(settings.acts["loss_spike"], Act::RollBackAndSkip { steps: 100, batches: 200 });
        for bad in [r#"{"mute":[]}"#, r#"{"acts":{"divergence":"explode"}}"#, r#"{"acts":{"divergence":{"stop":1}}}"#] {
            assert!(serde_json::from_str::<DiagnosisSettings>(bad).is_err(), "{bad}");
        }
        let newer = DiagnosisSettings {
            muted: ["slow_steps".to_owned()].into(),
            thresholds: [("loss_spike.alert_z".to_owned(), 9.0)].into(),
            acts: settings.acts.clone(),
        };
        let changes = settings.changes(&newer, str::to_uppercase);
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let expected = [
            "LOSS_SPIKE: rolls back 100 steps and skips 200 batches → rolls back 100 steps and skips 200 batches, alert_z 9",
            "PLATEAU: muted → only reports",
            "SLOW_STEPS: only reports → muted",
        ];
        assert_eq!(changes, expected);
        assert!(newer.changes(&newer, str::to_owned).is_empty());
        let once = Act::RollBackAndSkip { steps: 1, batches: 1 };
        assert_eq!(once.phrase(), "rolls back 1 step and skips 1 batch");
        let binary = crate::encode::to_bytes(&settings).unwrap();
        assert_eq!(crate::encode::from_bytes::<DiagnosisSettings>(&binary).unwrap(), settings);
    }
}
