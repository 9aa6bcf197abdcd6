//! Diagnosis: what the rules of `research` see in a run, as the server stores and answers it.
//!
//! - [`finding`]: what a rule saw, and what the server knows about it. Their numbers are the [`Health`] of a run, and `health_line` names the
//!   gravest;
//! - [`rule`]: what `GET /rules` answers; [`settings`]: muted rules, thresholds, and rules that may act, per run;
//! - [`remedy`]: a change that may resolve a finding, as a command or a run that a client can send.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /rules` | all [`rule::RuleInfo`]s |
//! | `GET /runs/{id}/findings` | [`finding::Diagnosis`]: settings, and findings with their remedies for the run as it is now |
//! | `PUT /runs/{id}/rules` | replaces the [`settings::DiagnosisSettings`] and answers them |
//! | `POST /runs/{id}/findings/{finding}/dismiss` | dismisses a finding and answers it; `DELETE` undoes that |
//! | `PUT /runs/{id}/findings/{finding}/judgement` | marks a finding as correct or wrong and answers it |
//!
//! New and changed findings of a watched run arrive in [`Tick::findings`](crate::transport::live::Tick::findings).

pub mod finding;
mod health_line;
pub mod remedy;
pub mod rule;
pub mod settings;

pub use crate::run::health::Health;
pub use finding::{
    Active, Diagnosis, Evidence, Finding, FindingChange, FindingView, Judgement, Level, NewJudgement, RunFinding,
    TakenAction, UNSTABLE,
};
pub use remedy::{Remedy, RemedyAction};
pub use rule::{Calibration, FindingCounts, RuleInfo, ThresholdInfo};
pub use settings::{Act, DiagnosisSettings};
