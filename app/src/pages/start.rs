//! A new run: text, tokenizer, model, length and place, every number on request, and beside it what it will cost. What is
//! typed is a [`wire::RunSpec`] and nothing else; the same code that the server decides by resolves it here as one types.

mod draft;
mod field;
mod model;
mod numbers;
mod preview;
mod text;
mod training;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::parts::{Failure, Skeleton, Toasts};
use crate::route::Router;
use draft::Draft;
use model::ModelChoice;
use numbers::Numbers;
use preview::Preview;
use text::TextChoice;
use training::TrainingChoice;

/// The page.
#[component]
pub(crate) fn StartPage() -> impl IntoView {
    let router = expect_context::<Router>();
    let toasts = expect_context::<Toasts>();
    let draft = Draft::new();
    provide_context(draft);
    let query = (router.query("from"), router.query("text"));
    spawn_local(async move {
        match query {
            (Some(from), _) => match from.parse() {
                Ok(run) => match api::run(&run).await {
                    Ok(view) => draft.begin_from(view),
                    Err(failure) => toasts.fail("That run could not be copied", &failure),
                },
                Err(error) => toasts.say(format!("That run could not be copied: {error}")),
            },
            (None, Some(text)) => draft.set(|spec| spec.corpus = text.parse().ok()),
            _ => {}
        }
    });
    view! {
        <main class="page start">
            <div class="stack roomy">
                <header class="stack">
                    <h1>"New run"</h1>
                    {move || draft.copied_from().map(|name| view! {
                        <p class="dim">"A copy of "<strong>{name}</strong>"; what you change here is changed in the new run only."</p>
                    })}
                </header>
                {move || match &*draft.texts.read() {
                    None => view! { <Skeleton rows=4 class="tall" /> }.into_any(),
                    Some(Err(failure)) => view! {
                        <Failure what="The lab's texts could not be listed" failure=failure.clone() retry=move || draft.fetch_texts() />
                    }.into_any(),
                    Some(Ok(_)) => ().into_any(),
                }}
                <Show when=move || matches!(&*draft.texts.read(), Some(Ok(_)))>
                    <TextChoice />
                    <ModelChoice />
                    <TrainingChoice />
                    <Numbers />
                </Show>
            </div>
            <aside class="preview" aria-label="What it will be">
                <Preview />
            </aside>
        </main>
    }
}
