//! Hands that last: the changes that were tried, written into the weights of the run as a line of its journal, or into those of a fork.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::edit::{Edit, Part};
use wire::spec::Parent;
use wire::{Command, RunSpec, RunState};

use super::{Inside, run_href};
use crate::api::{self, ApiFailure};
use crate::parts::{Failure, clicks, says, shows};
use crate::route::run_path;
use crate::session::Session;

/// What became of it.
#[derive(Clone)]
enum Outcome {
    Nothing,
    Waiting(&'static str),
    /// What happened, and where to see it.
    Done(String, String),
    Refused(ApiFailure),
}

/// The way from a trial to the run itself.
#[component]
pub(super) fn Lasting(
    inside: Inside,
    edits: RwSignal<Vec<Edit>>,
    /// They have been written into the run: what was tried is of other weights now.
    on_applied: Callback<()>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    // Where a run that has ended would leave a fork nothing to train: a tenth more.
    let beyond = move || {
        let summary = inside.summary.read();
        let is_at_its_end = !summary.state.is_live() && summary.step >= summary.steps;
        is_at_its_end.then(|| summary.steps + (summary.steps / 10).max(100))
    };
    let (reason, wants_twin) = (RwSignal::new(String::new()), RwSignal::new(false));
    let outcome = RwSignal::new(Outcome::Nothing);
    let command = move || {
        let reason = Some(reason.get_untracked().trim().to_owned()).filter(|reason| !reason.is_empty());
        Command::Edit { edits: edits.get_untracked(), reason }
    };
    let apply = move || {
        outcome.set(Outcome::Waiting("applying before the next step …"));
        let (command, with_twin) = (command(), wants_twin.get_untracked());
        spawn_local(async move {
            let run = inside.run.get_value();
            let told = match api::command(&run, &command, with_twin).await {
                Ok(record) => {
                    let twin = if with_twin { "; a twin without it waits for its device" } else { "" };
                    let step = figure::number::whole(record.step);
                    Outcome::Done(format!("Applied at step {step}: {}{twin}.", record.event.phrase()), run_href(inside))
                }
                Err(failure) => Outcome::Refused(failure),
            };
            let is_done = matches!(told, Outcome::Done(..));
            if outcome.try_set(told).is_none() && is_done {
                on_applied.run(());
            }
        });
    };
    let fork = move || {
        outcome.set(Outcome::Waiting("forking …"));
        let run = inside.run.get_value();
        let steps = untrack(beyond);
        let parent = Parent { run, step: None, checkpoint: None, changes: vec![command()], twin_of: None };
        spawn_local(async move {
            let told = match api::create_run(&RunSpec { parent: Some(parent), steps, ..RunSpec::default() }).await {
                Ok(view) => Outcome::Done(
                    format!("{} begins with these changes.", view.summary.name),
                    run_path(&view.summary.id),
                ),
                Err(failure) => Outcome::Refused(failure),
            };
            outcome.try_set(told);
        });
    };
    let state = Memo::new(move |_| inside.summary.read().state);
    let is_waiting = Memo::new(move |_| matches!(*outcome.read(), Outcome::Waiting(_)));
    let cannot = move || hindrance(session, state.get(), &edits.read());
    let cannot_fork = move || cannot().is_some() || is_waiting.get();
    let cannot_apply = move || cannot_fork() || !state.get().is_live();
    let is_empty = Memo::new(move |_| edits.read().is_empty() && matches!(*outcome.read(), Outcome::Nothing));
    view! {
        <section class="lasting" aria-label="Make it last" hidden=is_empty>
            <h3>"Make it last"</h3>
            <p class="small dim">{shows(move || cannot().map_or_else(|| offer(state.get().is_live(), beyond()), str::to_owned))}</p>
            <div class="row">
                <label class="field grow"><span class="label">"Reason, for the journal"</span>
                    <input type="text" maxlength="300" placeholder="why" prop:value=says(move || reason.get()) on:input:target=move |event| reason.set(event.target().value()) />
                </label>
                <label class="check" title="A fork without this change goes on from the same state, with the same batches: the difference of the two is what the change did.">
                    <input type="checkbox" on:change:target=move |event| wants_twin.set(event.target().checked()) />"also run an untouched twin"
                </label>
            </div>
            <div class="row">
                <button class="primary" disabled=cannot_apply on:click=clicks(move |_| apply())>"Apply to the run"</button>
                <button disabled=cannot_fork on:click=clicks(move |_| fork())>"Fork with it"</button>
            </div>
            <div role="status">{shows(move || match outcome.get() {
                Outcome::Nothing => ().into_any(),
                Outcome::Waiting(what) => view! { <p class="dim">{what}</p> }.into_any(),
                Outcome::Done(what, href) => view! { <p>{what}" "<a href=href>"See it"</a></p> }.into_any(),
                Outcome::Refused(failure) => view! { <Failure what="Nothing was changed" failure /> }.into_any(),
            })}</div>
        </section>
    }
}

/// What the two buttons would do.
fn offer(is_at_work: bool, beyond: Option<u64>) -> String {
    match beyond {
        _ if is_at_work => "Written into the weights once, under your name. Training goes on from there and may learn the part anew. The run's page can undo it.".to_owned(),
        None => "The run is not at work. A fork begins with its newest checkpoint and these changes.".to_owned(),
        Some(steps) => format!(
            "The run has ended. A fork begins with its newest checkpoint and these changes, and trains on to step {}.",
            figure::number::whole(steps)
        ),
    }
}

/// Why nothing can be made to last, if so.
fn hindrance(session: Session, state: RunState, edits: &[Edit]) -> Option<&'static str> {
    let is_of_text = edits.iter().any(|edit| matches!(edit.part, Part::Position { .. }));
    let why = match state {
        _ if !session.can_steer() => {
            "You are signed in to watch. Changing the run needs a token with the role steer or admin."
        }
        _ if edits.is_empty() => "Try a change first.",
        _ if is_of_text => "A token's embedding is changed for this text only: take that back to apply the rest.",
        state if super::is_waiting(state) => "The run has not begun.",
        _ => return None,
    };
    Some(why)
}
