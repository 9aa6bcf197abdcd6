//! Another text for a fork, where its parent's tokenizer knows every text: a model that came from elsewhere has none of its own.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::CorpusId;
use wire::corpus::CorpusInfo;

use super::Desk;
use crate::api;

/// The choice; nothing is shown where the tokenizer is made of the parent's text.
#[component]
pub(super) fn ForkText(chosen: RwSignal<Option<CorpusId>>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let (is_bound, is_without) = desk.run.with_untracked(|run| {
        let plan = &run.view.plan;
        (plan.tokenizer.is_of_its_texts(), plan.mix.is_empty())
    });
    let texts = RwSignal::new(vec![]);
    spawn_local(async move {
        // Without the list the parent's text stays, and the lab says what is missing.
        let found: Vec<CorpusInfo> = api::corpora().await.unwrap_or_default();
        if is_without {
            chosen.try_set(found.first().map(|info| info.id.clone()));
        }
        texts.try_set(found);
    });
    (!is_bound).then(|| view! {
        <label>
            "Text"
            <select on:change:target=move |event| chosen.set(event.target().value().parse().ok())>
                {(!is_without).then(|| view! { <option value="">"as its parent"</option> })}
                {move || texts.get().into_iter().map(|info| view! { <option value=info.id.to_string()>{info.name}</option> }).collect_view()}
            </select>
        </label>
    })
}
