//! The preview of undoing everything that an agent did, and its outcome.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::agent::AgentUndo;

use crate::base::at;
use crate::components::number::ago;
use crate::components::{Confirm, Failure, Question, Skeleton, Toasts, isolated};
use crate::net::api::{ApiFailure, agents};

#[component]
pub(super) fn UndoPreview(id: i64, name: String) -> impl IntoView {
    let (confirm, toasts) = (expect_context::<Confirm>(), expect_context::<Toasts>());
    let found = RwSignal::new(None::<Result<Vec<AgentUndo>, ApiFailure>>);
    let is_busy = RwSignal::new(false);
    let fetch = move || {
        spawn_local(async move {
            let answer = agents::preview_undo(id).await;
            found.try_set(Some(answer));
        });
    };
    fetch();
    let apply = move || {
        is_busy.set(true);
        spawn_local(async move {
            match agents::undo(id).await {
                Ok(done) => {
                    let count = done.iter().filter(|one| one.is_done == Some(true)).count();
                    toasts.say(format!("{count} things were undone"));
                    found.try_set(Some(Ok(done)));
                }
                Err(failure) => toasts.fail("Nothing more was undone", &failure),
            }
            is_busy.try_set(false);
        });
    };
    let ask = move |count: usize| {
        let title = format!("Undo {count} things that {name} did?");
        let loses =
            "Each is reverted by a command in your name, newest first, and the journals keep both. The training since \
                     then stays, except where a rollback returns to a checkpoint."
                .to_owned();
        confirm.ask(Question { title, loses, verb: "Undo everything", act: confirm.keep(apply) });
    };
    move || match found.get() {
        None => view! { <Skeleton rows=2 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            let what = "What the agent did could not be listed";
            view! { <Failure what failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(all)) if all.is_empty() => {
            view! { <p class="small dim">"This agent has changed nothing that still exists."</p> }.into_any()
        }
        Some(Ok(all)) => {
            let is_outcome = all.iter().any(|one| one.is_done.is_some());
            let count = all.iter().filter(|one| one.revert.is_some() && one.is_done.is_none()).count();
            let ask = ask.clone();
            let button = (count > 0 && !is_outcome).then(|| {
                view! {
                    <div class="row end">
                        <button
                            type="button"
                            class="danger"
                            title="Revert what is listed as revertible, after confirmation"
                            disabled=is_busy
                            on:click=move |_| ask(count)
                        >
                            {format!("Undo {count} of {}", all.len())}
                        </button>
                    </div>
                }
            });
            let lines = all.iter().cloned().map(|one| view! { <UndoLine one /> }).collect_view();
            view! { <ul class="small agent-undo" aria-label="What the agent did">{lines}</ul>{button} }.into_any()
        }
    }
}

#[component]
fn UndoLine(one: AgentUndo) -> impl IntoView {
    let AgentUndo { run, name, at_ms, did, revert, note, is_done, .. } = one;
    let what = match (is_done, revert) {
        (Some(true), Some(command)) => format!("undone: {command}"),
        (Some(_), Some(command)) => format!("not undone: {command}"),
        (None, Some(command)) => format!("will be undone: {command}"),
        (_, None) => "stays".to_owned(),
    };
    let note = note.map(|note| format!("; {}", isolated(&note))).unwrap_or_default();
    let shown = isolated(&name);
    view! {
        <li>
            {match run {
                Some(run) => view! { <a href=at(&format!("/runs/{run}")) title="Open the run">{shown}</a> }.into_any(),
                None => view! { <span>{shown}</span> }.into_any(),
            }}
            {format!(": {} ", isolated(&did))}
            <span class="dim">{format!("· {} · {what}{note}", ago(at_ms as f64))}</span>
        </li>
    }
}
