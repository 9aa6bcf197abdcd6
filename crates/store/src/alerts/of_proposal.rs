//! The alert that a new proposal of an agent raises. Pure.

use wire::alert::{AlertContent, AlertKind};
use wire::proposal::Proposal;

use crate::database::alerts::NewAlert;

/// The alert of a proposal that waits for a decision.
pub(crate) fn of_proposal(proposal: &Proposal) -> NewAlert {
    let Proposal { id, agent, tool, reason, .. } = proposal;
    let content = AlertContent {
        kind: AlertKind::Proposal,
        is_urgent: false,
        phrase: format!("proposal of {agent}"),
        text: format!("The agent {agent:?} proposes {tool}: {reason}\nDecide about it on the page Approvals."),
        device: None,
        step: None,
        project: Some(proposal.project.clone()),
    };
    NewAlert { source: format!("proposal/{id}"), at_ms: proposal.created_ms, run: proposal.run.clone(), content }
}
