//! The checkpoints: step, age, size, cause and loss, and the actions on each. The list is fetched again with
//! every event of the journal that changes it, and every few seconds while one is being uploaded.

use std::time::Duration;

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::checkpoint::CheckpointView;
use wire::{CheckpointId, Event};

use super::checkpoint_list::{self, fetch, saved, whereabouts};
use super::checkpoint_menu::CheckpointMenu;
use super::{Drawer, RunContext, phrases};
use crate::components::number::{ago, loss};
use crate::components::{Failure, Icon, Skeleton, interval, is_best, validation};

/// How often the list is fetched while a checkpoint is not on the server yet.
const UPLOADS_EVERY: Duration = Duration::from_secs(3);

/// Why the last validation loss is not comparable with the others.
const LAST: &str = "The last evaluation reads the whole validation split, or 4 096 windows of a large one; the others read fewer, so the \
                    values are not comparable. ";

/// Number of the newest event that changes the list.
fn newest_change(context: RunContext) -> u64 {
    context.lines.get();
    let run = context.run.read_untracked();
    let changing = run.events.values().rev().find(|record| {
        matches!(
            record.event,
            Event::Checkpointed { .. }
                | Event::CheckpointFailed { .. }
                | Event::Continued { .. }
                // The best is the best on the path.
                | Event::RolledBack { .. }
                | Event::Sampled { .. }
        )
    });
    changing.map_or(0, |record| record.number)
}

/// The panel.
#[component]
pub(super) fn Checkpoints() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let newest = Memo::new(move |_| newest_change(context));
    let again = move || spawn_local(fetch(context));
    Effect::new(move || {
        // Read the memo, because `track` does not run a memo that was never read.
        newest.get();
        again();
    });
    // An upload is no event of the journal.
    let is_waiting = Memo::new(move |_| saved(context).iter().any(|saved| !saved.is_available));
    interval::every(UPLOADS_EVERY, move || {
        if is_waiting.get_untracked() {
            again();
        }
    });
    let ids = Memo::new(move |_| saved(context).iter().map(|saved| saved.info.id).collect::<Vec<_>>());
    // 0: loading, 1: failed, 2: none, 3: some.
    let stage = Memo::new(move |_| match &*context.checkpoints.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(saved)) if saved.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    view! {
        <section class="panel checkpoints" aria-labelledby="checkpoints-title">
            <h2
                id="checkpoints-title"
                title="A checkpoint is the complete state of training: weights, optimizer state, schedules and random \
                       state. A run continues from it exactly."
            >
                "Checkpoints"
                <span class="unit">{move || format!(" {}", ids.read().len())}</span>
            </h2>
            {move || match stage.get() {
                0 => view! { <Skeleton rows=2 class="short" /> }.into_any(),
                1 => view! {
                    {match &*context.checkpoints.read_untracked() {
                        Some(Err(failure)) => Some(view! {
                            <Failure
                                what="The checkpoints could not be listed"
                                failure=failure.clone()
                                retry=move |()| again()
                            />
                        }),
                        _ => None,
                    }}
                }.into_any(),
                2 => view! { <p class="none">{move || none_yet(context)}</p> }.into_any(),
                _ => view! {
                    <ol>
                        <For each=move || ids.get() key=|id| *id let(id)><CheckpointLine id /></For>
                    </ol>
                }.into_any(),
            }}
        </section>
    }
}

fn none_yet(context: RunContext) -> String {
    if context.state.get().is_over() {
        return "No checkpoint was saved.".into();
    }
    let (every, step, steps) = {
        let summary = context.summary.read();
        (context.hyperparameters.read().intervals.checkpoint_every, summary.step, summary.steps)
    };
    let keeps_best = context.run.with_untracked(|run| run.view.plan.recipe.retention.best);
    let automatic = match keeps_best {
        true => "The checkpoint with the lowest validation loss and one at the end of the run are saved automatically.",
        false => "A checkpoint at the end of the run is saved automatically.",
    };
    let periodic = match every.checked_sub(step % every.max(1)).map(|ahead| step + ahead) {
        _ if every == 0 => "Periodic checkpoints are off.".to_owned(),
        Some(next) if next < steps => {
            format!(
                "Periodic checkpoints: every {}, the next at step {}.",
                number::with_unit(every as f64, "steps"),
                number::whole(next)
            )
        }
        _ => format!(
            "The run ends at step {}, before the next periodic checkpoint (every {}).",
            number::whole(steps),
            number::with_unit(every as f64, "steps")
        ),
    };
    let now = if context.state.get().is_live() { " Select Checkpoint (c) to save one now." } else { "" };
    format!("No checkpoints yet. {automatic} {periodic}{now}")
}

/// One checkpoint.
#[component]
fn CheckpointLine(id: CheckpointId) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let saved = Memo::new(move |before: Option<&Option<CheckpointView>>| {
        let found = saved(context).iter().find(|saved| saved.info.id == id).cloned();
        found.or_else(|| before.cloned().flatten())
    });
    let is_abandoned = Memo::new(move |_| {
        context.version.get();
        checkpoint_list::is_abandoned(context, id)
    });
    let sampled = Memo::new(move |_| {
        context.lines.get();
        context.run.read_untracked().sampled_before(id)
    });
    let inherited = context
        .run
        .with_untracked(|run| run.view.plan.origin.as_ref().map_or(0, |origin| origin.hyperparameters.changes));
    let about = move || {
        saved.get().map(|saved| {
            let CheckpointView { info, is_pinned, .. } = &saved;
            // The last evaluation of a run reads more windows than those before.
            let is_last = context.state.get().is_over() && context.cause(info) == phrases::END;
            let first = validation(&saved, is_last).or_else(|| Some(format!("train {}", loss(info.loss_train?))));
            let away = whereabouts(&saved);
            let measured = away.into_iter().chain(first).chain([ago(info.at_ms as f64), number::bytes(info.bytes)]);
            let measured = is_abandoned.get().then(|| "abandoned branch".to_owned()).into_iter().chain(measured);
            let mut title = tooltip(&saved, sampled.get(), inherited);
            if is_best(&saved) {
                title.insert_str(0, "Lowest validation loss on the branch that continues. ");
            }
            if is_last && saved.evaluated == Some(id.step) {
                title.insert_str(0, LAST);
            }
            view! {
                <p class="what" title=title>
                    <strong class="mono">{number::whole(id.step)}</strong>
                    {is_pinned.then(|| view! { <Icon name="pin" /><span class="unseen">"pinned"</span> })}
                    <span>{phrases::checkpoint(context.cause(info), is_best(&saved), is_abandoned.get())}</span>
                </p>
                <p class="small dim measured">{measured.collect::<Vec<_>>().join(" · ")}</p>
            }
        })
    };
    let start = move |drawer: Drawer| {
        context.chosen.set(Some(id));
        // A form that is already open would keep its old choice.
        context.drawer.set(None);
        request_animation_frame(move || {
            context.drawer.try_set(Some(drawer));
        });
    };
    view! {
        <li class:abandoned=is_abandoned>
            <div class="about">{about}</div>
            <div class="acts">
                <Show when=move || context.disabled_reason.read().is_none()>
                    <button
                        class="quiet icon-only"
                        aria-label=move || format!("Roll back to step {}", number::whole(id.step))
                        title="Roll back to this checkpoint; a form opens first"
                        on:click=move |_| start(Drawer::Rollback)
                    >
                        <Icon name="back" />
                    </button>
                </Show>
                <Show when=move || context.no_fork.read().is_none()>
                    <button
                        class="quiet icon-only"
                        aria-label=move || format!("Fork from step {}", number::whole(id.step))
                        title="Fork the run from this checkpoint; a form opens first"
                        on:click=move |_| start(Drawer::Fork)
                    >
                        <Icon name="fork" />
                    </button>
                </Show>
                <CheckpointMenu id saved />
            </div>
        </li>
    }
}

/// Losses, size, number of changes, hash and the newest sample of a checkpoint of a run that inherited this many changes from its parent.
/// `sampled`: the step of that sample.
fn tooltip(saved: &CheckpointView, sampled: Option<u64>, inherited: u32) -> String {
    let CheckpointView { info, sample, evaluated, .. } = saved;
    let train = info.loss_train.map(|value| format!("Training loss {} nats/token. ", loss(value)));
    let valid = info.loss_valid.zip(*evaluated).map(|(value, step)| {
        format!("Validation loss {} nats/token, evaluated at step {}. ", loss(value), number::whole(step))
    });
    let losses = [train, valid].into_iter().flatten().collect::<String>();
    let changes = match info.changes {
        0 => "The run had no changes up to here.".to_owned(),
        1 => "Up to here the run had 1 change".to_owned(),
        many => format!("Up to here the run had {many} changes"),
    };
    let changes = match inherited.min(info.changes) {
        _ if info.changes == 0 => changes,
        0 => format!("{changes}."),
        inherited => format!("{changes}, {inherited} of them in its parent."),
    };
    let of_step = sampled.map(|step| format!(" (step {})", number::whole(step))).unwrap_or_default();
    let sample = sample.as_deref().map(|text| format!("\n\nNewest sample up to here{of_step}:\n{text}"));
    let sample = sample.unwrap_or_default();
    let (size, hash) = (number::bytes(info.bytes), &info.hash);
    format!("{losses}{size} on disk. {changes} BLAKE3: {hash}{sample}")
}
