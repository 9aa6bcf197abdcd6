//! Evaluation tasks: the form that scores a checkpoint, the interval at which checkpoints are scored, the scores that wait or failed, and
//! a chart and a table of each task. They are in the part of [`super::details`], below the charts for diagnosis.
//!
//! - [`state`] fetches them; [`form`] sends requests; [`scores`] shows what there is; [`alerts`]: conditions on scores and other metrics.

mod alerts;
mod form;
mod scores;
mod state;

use leptos::prelude::*;

use crate::components::{Failure, Skeleton, shows};
use alerts::ScoreAlerts;
use form::ScoreForm;
use scores::{Failed, Scores, Waiting};
use state::TasksState;

/// Everything about the tasks of the run.
#[component]
pub(super) fn TasksPanel() -> impl IntoView {
    let state = TasksState::start();
    provide_context(state);
    // 0: loading, 1: failed, 2: known.
    let stage = Memo::new(move |_| match (&*state.known.read(), &*state.failure.read()) {
        (Some(_), _) => 2,
        (None, Some(_)) => 1,
        (None, None) => 0,
    });
    view! {
        <section class="panel tasks" aria-labelledby="tasks-title">
            <h2
                id="tasks-title"
                title="A task consists of questions with known answers, or of texts. A checkpoint is scored by the likelihood that it assigns to them."
            >
                "Evaluation tasks"
            </h2>
            {shows(move || match stage.get() {
                0 => view! { <Skeleton rows=2 /> }.into_any(),
                1 => state
                    .failure
                    .get()
                    .map(|failure| {
                        view! {
                            <Failure
                                what="The evaluation tasks could not be fetched"
                                failure
                                retry=move |()| state.fetch()
                            />
                        }
                    })
                    .into_any(),
                _ => view! {
                    <ScoreForm />
                    <Waiting />
                    <Failed />
                    <Scores />
                    {state.conditions.map(|conditions| view! { <ScoreAlerts conditions /> })}
                }
                .into_any(),
            })}
        </section>
    }
}
