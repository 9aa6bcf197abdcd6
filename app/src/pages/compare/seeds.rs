//! The button that measures the noise floor of a run: more runs that differ from it in the seed only.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;

use super::Choice;
use super::groups::Grouping;
use crate::components::Toasts;
use crate::net::api;
use crate::net::live::Live;
use crate::session::Session;

/// Runs that the button adds.
const SEEDS: u32 = 3;

#[component]
pub(super) fn MoreSeeds(run: RunId, name: String) -> impl IntoView {
    let (choice, live) = (expect_context::<Choice>(), expect_context::<Live>());
    let (session, toasts) = (expect_context::<Session>(), expect_context::<Toasts>());
    let id = StoredValue::new(run);
    let is_sending = RwSignal::new(false);
    let can_start = Memo::new(move |_| {
        let lab = live.lab.read();
        let known = lab.iter().flat_map(|lab| &lab.runs).find(|known| known.id == *id.read_value());
        known.is_some_and(|known| session.can_steer_run(&known.id, &known.project))
    });
    let send = move |_| {
        is_sending.set(true);
        spawn_local(async move {
            let answer = api::comparison::more_seeds(&id.get_value(), SEEDS).await;
            is_sending.try_set(false);
            match answer {
                Ok(made) => {
                    let ids: Vec<RunId> = made.iter().map(|run| run.id.clone()).collect();
                    live.know(made);
                    choice.add(&ids);
                    choice.grouping.try_set(Grouping::Seeds);
                    toasts.say(format!("{} runs with other seeds are in the queue.", ids.len()));
                }
                Err(failure) => toasts.fail("No run with another seed was added to the queue", &failure),
            }
        });
    };
    let title = format!(
        "Queue {SEEDS} runs that differ from {name} only in the seed. The spread of their validation losses is the noise floor."
    );
    view! {
        <Show when=move || can_start.get()>
            <button class="quiet" title=title.clone() disabled=is_sending on:click=send>
                {format!("Run {SEEDS} more seeds of {name}")}
            </button>
        </Show>
    }
}
