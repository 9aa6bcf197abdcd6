//! The checkpoints: step, age, size, cause, loss and a sample, and the actions on each. The list is fetched again with
//! every event of the journal that changes it.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::checkpoint::CheckpointView;
use wire::{CheckpointId, Event};

use super::checkpoint_list::{fetch, saved};
use super::checkpoint_menu::CheckpointMenu;
use super::{Drawer, RunContext, phrases};
use crate::components::number::{ago, loss};
use crate::components::{Failure, Icon, Skeleton};

/// Characters of a sample that are shown.
const EXCERPT: usize = 90;

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
    let every = context.hyperparameters.read().intervals.checkpoint_every;
    let step = context.summary.read().step;
    match every {
        _ if !context.state.get().is_live() => "No checkpoint was saved.".into(),
        0 => "No checkpoints yet. Periodic checkpoints are off; Checkpoint (c) saves one now.".into(),
        every => format!(
            "No checkpoints yet. The first is saved at step {}, then one every {}; Checkpoint (c) saves one now.",
            number::whole((step / every + 1) * every),
            number::with_unit(every as f64, "steps")
        ),
    }
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
        !context.run.read_untracked().curves.lineage().contains(id.segment, id.step)
    });
    let about = move || {
        saved.get().map(|saved| {
            let CheckpointView { info, is_pinned, sample, .. } = &saved;
            let losses = [("valid", info.loss_valid), ("train", info.loss_train)];
            let mut losses = losses.into_iter().filter_map(|(word, value)| Some(format!("{word} {}", loss(value?))));
            let measured = losses.next().into_iter().chain([ago(info.at_ms as f64), number::bytes(info.bytes)]);
            let also = losses.next().map(|train| format!("{train} nats per token; ")).unwrap_or_default();
            let written = sample.as_deref().map(|text| format!("\n\n{text}")).unwrap_or_default();
            let title = format!(
                "{also}{} bytes on disk, BLAKE3 {}, after {} changes{written}",
                number::whole(info.bytes),
                info.hash,
                info.changes
            );
            view! {
                <p class="what" title=title>
                    <strong class="mono">{number::whole(id.step)}</strong>
                    {is_pinned.then(|| view! { <Icon name="pin" /><span class="unseen">"pinned"</span> })}
                    <span>{phrases::checkpoint(&saved)}</span>
                    {is_abandoned.get().then(|| view! { <span class="on-abandoned">"abandoned branch"</span> })}
                    {sample.as_deref().map(|text| view! { <span class="excerpt mono">{excerpt(text)}</span> })}
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
                        aria-label=move || format!("Roll back to step {}", id.step)
                        title="Roll back to this checkpoint …"
                        on:click=move |_| start(Drawer::Rollback)
                    >
                        <Icon name="back" />
                    </button>
                </Show>
                <Show when=move || context.no_permission.read().is_none()>
                    <button
                        class="quiet icon-only"
                        aria-label=move || format!("Fork from step {}", id.step)
                        title="Fork from this checkpoint …"
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

fn excerpt(text: &str) -> String {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match plain.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{} …", &plain[..end]),
        None => plain,
    }
}
