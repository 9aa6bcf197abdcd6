//! Settings of the rules for one run: muted rules, changed thresholds, and rules that may act.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The settings of a run's rules. The default mutes none, changes none, and lets none act.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosisSettings {
    /// Ids of rules that report nothing. They still read the series, so that they know them when they are no longer muted.
    pub muted: BTreeSet<String>,
    /// Values by rule and threshold: `{"loss_spike.alert_z": 9}`. Thresholds that are not named have their default.
    pub thresholds: BTreeMap<String, f64>,
    /// What a rule does when it finds something urgent, by its id: `{"divergence": "pause"}`. Rules that are not named only report. A rule
    /// acts at an alert; one whose highest level is a note, at a note.
    pub acts: BTreeMap<String, Act>,
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
        /// Without such a change the checkpoint is at least so many steps before the finding, 1 to 1,000,000.
        steps: u64,
        /// Batches that are skipped, 0 to 1,000,000.
        batches: u64,
    },
    /// Ends the run and saves a checkpoint.
    Stop,
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
        let binary = crate::encode::to_bytes(&settings).unwrap();
        assert_eq!(crate::encode::from_bytes::<DiagnosisSettings>(&binary).unwrap(), settings);
    }
}
