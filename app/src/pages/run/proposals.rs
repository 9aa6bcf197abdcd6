//! The proposals of agents about the run that wait for a decision, in one line.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::RunContext;
use crate::base::at;
use crate::components::number::grouped;
use crate::components::{Icon, shows};
use crate::net::api::proposals;
use crate::net::live::Live;

#[component]
pub(super) fn PendingProposals() -> impl IntoView {
    let (context, live) = (expect_context::<RunContext>(), expect_context::<Live>());
    let found = RwSignal::new(0);
    let state = Memo::new(move |_| {
        live.lab.read().as_ref().map_or((0, 0), |lab| (lab.pending_proposals, lab.proposal_changes))
    });
    Effect::new(move || {
        if state.get().0 == 0 {
            return found.set(0);
        }
        spawn_local(async move {
            // Without an answer the line stays as it is; the next change asks again.
            if let Ok(pending) = proposals::list(true, Some(&context.id())).await {
                found.try_set(pending.len() as u64);
            }
        });
    });
    shows(move || {
        let pending = found.get();
        (pending > 0).then(|| {
            view! {
                <p class="row small run-proposals" role="status">
                    <Icon name="flag" />
                    <span>{waiting(pending)}</span>
                    <a href=at("/approvals") title="Approve, edit or reject them">"Open approvals"</a>
                </p>
            }
        })
    })
}

fn waiting(pending: u64) -> String {
    match pending {
        1 => "1 proposal by an agent for this run awaits a decision.".to_owned(),
        _ => format!("{} proposals by agents for this run await a decision.", grouped(pending)),
    }
}
