//! Another dataset for a fork. It is offered if the tokenizer of the parent does not depend on a dataset; an imported
//! model has no dataset and needs one.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::CorpusId;
use wire::data::corpus::CorpusInfo;

use super::RunContext;
use crate::components::{dataset_name, is_usable};
use crate::net::api;

/// The choice; nothing if the tokenizer was trained on the parent's dataset.
#[component]
pub(super) fn ForkDataset(chosen: RwSignal<Option<CorpusId>>) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let (is_bound, is_without) = context.run.with_untracked(|run| {
        let plan = &run.view.plan;
        (plan.tokenizer.is_trained_on_corpus(), plan.mix.is_empty())
    });
    let datasets = RwSignal::new(Vec::<CorpusInfo>::new());
    let project = context.summary.with_untracked(|summary| summary.project.clone());
    spawn_local(async move {
        // Without the list the dataset of the parent stays, and the server says what is missing.
        let found = api::datasets::list().await.unwrap_or_default();
        let found: Vec<CorpusInfo> = found.into_iter().filter(|info| is_usable(info, &project)).collect();
        if is_without {
            chosen.try_set(found.first().map(|info| info.id.clone()));
        }
        datasets.try_set(found);
    });
    (!is_bound).then(|| {
        view! {
            <label title="Dataset that the fork trains on. Default: that of this run.">
                "Dataset"
                <select on:change:target=move |event| chosen.set(event.target().value().parse().ok())>
                    {(!is_without).then(|| view! { <option value="">"the parent's dataset"</option> })}
                    {move || datasets.read().iter().map(|info| view! {
                        <option value=info.id.to_string()>{dataset_name(&datasets.read(), info)}</option>
                    }).collect_view()}
                </select>
            </label>
        }
    })
}
