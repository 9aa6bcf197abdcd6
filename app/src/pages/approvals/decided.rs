//! The newest proposals that wait no more: who decided, and what came of them.

use leptos::prelude::*;
use wire::proposal::{Proposal, ProposalState};

use super::Queue;
use super::diff::{Rows, agent};
use super::plan::{edits, message, tool_words};
use crate::components::number::ago;
use crate::components::{isolated, run_name, says, shows, visible};
use crate::net::live::Live;
use crate::route::run_path;

#[component]
pub(super) fn DecidedList() -> impl IntoView {
    let queue = expect_context::<Queue>();
    shows(move || {
        let decided = queue.decided.get();
        (!decided.is_empty()).then(|| {
            let lines = decided.into_iter().map(|proposal| view! { <Line proposal /> }).collect_view();
            view! {
                <section class="stack">
                    <h2>"Decided"</h2>
                    <ul class="sheet list" aria-label="Decided proposals">{lines}</ul>
                </section>
            }
        })
    })
}

#[component]
fn Line(proposal: Proposal) -> impl IntoView {
    let live = expect_context::<Live>();
    let run = proposal.run.clone().map(|run| {
        let href = run_path(&run);
        view! { <a class="wrap" href=href title="Open the run">{says(move || run_name(live, &run))}</a> }
    });
    let changes = proposal.edited.as_ref().map(|edited| edits(&proposal.arguments, edited)).unwrap_or_default();
    let reason = proposal.decided.as_ref().and_then(|decided| decided.reason.clone());
    let by = agent(&proposal);
    view! {
        <li>
            <div class="row">
                <strong>{tool_words(&proposal.tool)}</strong>
                {run}
                <span class="grow"></span>
                <span class="small dim wrap">{by}</span>
            </div>
            <p class="small">{decision(&proposal)}</p>
            {reason.map(|reason| view! { <p class="small approval-reason">{visible(&reason).into_owned()}</p> })}
            <Rows rows=changes label="Changes to the proposal" />
        </li>
    }
}

/// `Approved with changes by ada, 5 min ago. It was carried out.`
fn decision(proposal: &Proposal) -> String {
    let word = match proposal.state {
        ProposalState::Pending => "Waiting",
        ProposalState::Approved => "Approved",
        ProposalState::Edited => "Approved with changes",
        ProposalState::Rejected => "Rejected",
        ProposalState::Expired => {
            return "Expired: nobody decided in time, or the token of the agent has ended.".into();
        }
        ProposalState::Withdrawn => "Withdrawn",
    };
    let by = proposal
        .decided
        .as_ref()
        .map(|decided| format!(" by {}, {}", isolated(&decided.by), ago(decided.at_ms as f64)));
    let outcome = match &proposal.outcome {
        Some(outcome) if outcome.is_done => " It was carried out.".to_owned(),
        Some(outcome) => format!(" It was refused: {}", message(&outcome.answer)),
        None if proposal.state.is_approved() => " It is being carried out.".to_owned(),
        None => String::new(),
    };
    format!("{word}{}.{outcome}", by.unwrap_or_default())
}
