//! What a rule has seen, with the numbers that show it, and what the server knows about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::remedy::Remedy;
use super::settings::{Act, DiagnosisSettings};
use crate::run::health::Health;

/// The urgency of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing; the run can continue.
    Note,
    /// Needs action: the run is failing, its result is wrong, or it wastes much of its training.
    Alert,
}

/// Rules that find unstable training, the gravest first. Most other findings beside theirs are consequences.
pub const UNSTABLE: &[&str] = &["non_finite", "divergence", "learning_rate_high"];

impl Level {
    /// The word in JSON and in texts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Alert => "alert",
        }
    }
}

/// A condition that became true at a step. Values are computed from the series alone, so the same series give the same findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RuleFinding))]
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
    #[serde(default)]
    pub subject: String,
    /// Further numbers of its sentence, by name.
    #[serde(default)]
    pub details: BTreeMap<String, f64>,
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

/// Whether something was wrong with the run, as the rule says, in the judgement of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    Correct,
    Wrong,
}

impl Judgement {
    /// Its word in texts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong => "wrong",
        }
    }
}

/// The body of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewJudgement {
    /// `null` removes the judgement.
    pub judgement: Option<Judgement>,
}

/// A finding of a run, as it is stored. The same series give the same row again, never a second one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunFinding {
    /// Number in the run, from 1.
    pub id: u64,
    /// Segment of the run's history that it was found in.
    pub segment: u32,
    /// When the server found it, ms since 1970.
    pub at_ms: i64,
    pub finding: Finding,
    /// Label of its rule.
    pub label: String,
    /// What was seen, as a sentence with the values.
    pub text: String,
    /// Step from which on the condition was no longer true; `None` while it is true.
    pub ended_step: Option<u64>,
    /// The alert that this note became: one condition that became urgent, so it is shown and counted as that alert.
    pub became: Option<u64>,
    /// Whether the run has rolled back to before it, so that it belongs to an abandoned branch.
    pub is_abandoned: bool,
    /// Whether a person has dismissed it. It stays in the list and is not counted.
    pub is_dismissed: bool,
    /// Whether a person has marked it as correct or as wrong; the calibration of its rule counts both.
    #[serde(default)]
    pub judgement: Option<Judgement>,
    /// What its rule did about it, if it was allowed to act.
    pub action: Option<TakenAction>,
}

impl RunFinding {
    /// The label of its rule within a sentence: `loss spike`.
    pub fn name(&self) -> String {
        let mut letters = self.label.chars();
        letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    }

    /// Whether it counts in [`Health`]: on the present path, not dismissed, and not a note that became an alert.
    pub fn counts(&self) -> bool {
        !self.is_abandoned && !self.is_dismissed && self.became.is_none()
    }

    /// Whether its condition is still true on the present path.
    pub fn is_active(&self) -> bool {
        !self.is_abandoned && self.became.is_none() && self.ended_step.is_none()
    }
}

/// An action of a rule. Its command is an event of the journal with the author `rule`, and is undone as any other command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TakenAction {
    pub act: Act,
    /// The event that answered its command, or the event that made the command unnecessary (the run had paused by itself); `None` until then.
    pub event: Option<u64>,
    /// Why nothing was done, in a sentence: the run had ended, no checkpoint was left, or the command was refused.
    pub failure: Option<String>,
    /// Whether the event is not that of the command: the run had paused by itself, or somebody else had paused it.
    #[serde(default)]
    pub was_done_before: bool,
}

/// A finding with what can be done about it now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingView {
    /// Its text ends with the change, if there is one.
    pub found: RunFinding,
    /// The newest change of the run that came so shortly before that it may be the cause.
    #[serde(default)]
    pub change: Option<FindingChange>,
    /// What undoes the change, then in the order of the rule. Empty if the finding is of an abandoned branch.
    pub remedies: Vec<Remedy>,
}

/// A change of a run before a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingChange {
    /// Number of its event in the journal.
    pub event: u64,
    /// Step before which it took effect.
    pub step: u64,
    /// What was changed and when, in a sentence.
    pub text: String,
}

/// The findings of a run and the settings of its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnosis {
    pub health: Health,
    pub settings: DiagnosisSettings,
    /// Newest first, abandoned and dismissed ones too.
    pub findings: Vec<FindingView>,
    /// Last step that the rules have read; `None` before the first.
    pub checked_step: Option<u64>,
}
