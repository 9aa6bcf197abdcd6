//! The New run page: dataset, tokenizer, model, training, evaluation tasks, all hyperparameters, and a preview of the plan with its cost.
//! The form edits a [`wire::RunSpec`]; the code that the server uses resolves it to a plan with every change.

mod dataset;
mod draft;
mod field;
mod hyperparameters;
mod model;
mod preview;
mod tasks;
mod training;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::components::{Failure, Icon, Skeleton, run_name, sentence, visible};
use crate::net::live::Live;
use crate::route::Router;
use dataset::DatasetChoice;
use draft::Draft;
pub(super) use draft::copied;
use hyperparameters::AllHyperparameters;
use model::ModelChoice;
use preview::Preview;
use tasks::TaskChoice;
use training::TrainingChoice;

/// What a duplicate of a fork does not have.
const FORK: &str = " The copied run is a fork: the new run starts at step 0 with random weights, without the changes made at \
    the fork or later.";

#[component]
pub(crate) fn NewRunPage() -> impl IntoView {
    let router = expect_context::<Router>();
    let draft = Draft::new();
    provide_context(draft);
    let live = expect_context::<Live>();
    let source = Memo::new(move |_| draft.copied_from().map(|run| run_name(live, &run)));
    let is_fork = RwSignal::new(false);
    // Stays in the form: without it the form would look as if no copy had been asked for.
    let not_copied = RwSignal::new(None::<String>);
    let query = (router.query("from"), router.query("dataset"));
    if let Some(project) = router.query("project") {
        draft.set(|spec| spec.project = Some(project));
    }
    spawn_local(async move {
        match query {
            (Some(from), _) => match from.parse() {
                Ok(run) => match copied(&run).await {
                    Ok((summary, spec)) => {
                        is_fork.try_set(summary.parent.is_some());
                        draft.copy(summary.project, spec);
                    }
                    Err(failure) => drop(not_copied.try_set(Some(visible(&failure.sentence()).into_owned()))),
                },
                Err(error) => drop(not_copied.try_set(Some(sentence(&error.to_string())))),
            },
            (None, Some(dataset)) => draft.set(|spec| spec.corpus = dataset.parse().ok()),
            _ => {}
        }
    });
    view! {
        <main class="page new-run">
            <div class="stack roomy">
                <header class="stack">
                    <h1>"New run"</h1>
                    {move || source.get().map(|name| view! {
                        <p class="dim">
                            "A copy of the plan of "
                            <strong>{name}</strong>
                            ". Changes apply to the new run only."
                            {is_fork.get().then_some(FORK)}
                        </p>
                    })}
                    {move || not_copied.get().map(|reason| view! {
                        <div class="failure" role="alert">
                            <Icon name="warning" />
                            <div>
                                <strong>"The run was not copied"</strong>
                                <p>{reason}</p>
                                <p class="hint">"The form has the values of a preset."</p>
                            </div>
                        </div>
                    })}
                </header>
                {move || match &*draft.datasets.read() {
                    None => view! { <Skeleton rows=4 class="tall" /> }.into_any(),
                    Some(Err(failure)) => view! {
                        <Failure
                            what="The datasets could not be listed"
                            failure=failure.clone()
                            retry=move || draft.fetch_datasets()
                        />
                    }.into_any(),
                    Some(Ok(_)) => ().into_any(),
                }}
                <Show when=move || matches!(&*draft.datasets.read(), Some(Ok(_)))>
                    <DatasetChoice />
                    <ModelChoice />
                    <TrainingChoice />
                    <TaskChoice />
                    <AllHyperparameters />
                </Show>
            </div>
            <aside class="preview" aria-label="Plan">
                <Preview />
            </aside>
        </main>
    }
}
