//! Parts that entries and decisions share: values before and after, and the name of the agent.

use leptos::prelude::*;
use wire::proposal::Proposal;

use super::plan::Row;
use crate::components::isolated;

/// `tuner (claude-code 2.1, model opus, conversation 7f3a)`
pub(super) fn agent(proposal: &Proposal) -> String {
    isolated(&proposal.origin.name(&proposal.agent))
}

/// A table of values before and after.
#[component]
pub(super) fn Rows(rows: Vec<Row>, label: &'static str) -> impl IntoView {
    let rows: Vec<AnyView> = rows
        .into_iter()
        .map(|Row { label, now, then }| {
            let now = now.map(|now| view! { <del>{now}</del>" → " });
            view! { <tr><th scope="row"><code>{label}</code></th><td class="wrap">{now}<ins>{then}</ins></td></tr> }
                .into_any()
        })
        .collect();
    (!rows.is_empty()).then(|| view! { <table class="approval-diff" aria-label=label><tbody>{rows}</tbody></table> })
}
