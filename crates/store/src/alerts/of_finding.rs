//! The alerts that findings of the rules raise. Pure.

use wire::RunId;
use wire::alert::{AlertContent, AlertKind};
use wire::diagnosis::{Level, RunFinding};

use crate::database::alerts::NewAlert;

/// The rule whose finding is an event of the journal too, which raises the alert ([`super::of_event`]).
const NON_FINITE: &str = "non_finite";

/// The alert of a new finding; a note raises none.
pub(crate) fn of_finding(run: &RunId, found: &RunFinding) -> Option<NewAlert> {
    let finding = &found.finding;
    if finding.level == Level::Note || finding.rule == NON_FINITE {
        return None;
    }
    let content = AlertContent {
        kind: AlertKind::Finding,
        is_urgent: true,
        phrase: found.name(),
        text: found.text.clone(),
        device: None,
        step: Some(finding.step),
        project: None,
    };
    let source = format!("finding/{run}/{}", found.id);
    Some(NewAlert { source, at_ms: found.at_ms, run: Some(run.clone()), content })
}
