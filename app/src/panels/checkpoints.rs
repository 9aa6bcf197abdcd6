//! The saved states: step, age, size, why, loss and a sample, and what can be done with each. The list is fetched anew whenever
//! the journal tells of one.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::checkpoint::{Cause, CheckpointView};
use wire::{CheckpointId, Event, RunId};

use super::{Desk, Drawer};
use crate::api::steering;
use crate::parts::number::{ago, loss};
use crate::parts::{Confirm, Failure, Icon, Menu, Question, Skeleton, Toasts};

/// Characters of a sample that are shown.
const EXCERPT: usize = 90;

/// Why it was taken, and what it is worth: "before a change · best".
pub(super) fn words(saved: &CheckpointView) -> String {
    let best = if saved.is_best && saved.info.cause != Cause::Best { " · best" } else { "" };
    format!("{}{best}", cause(saved.info.cause))
}

/// Why it was taken.
pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Cadence => "cadence",
        Cause::Asked => "asked for",
        Cause::BeforeChange => "before a change",
        Cause::Best => "best",
        Cause::End => "at the end",
        Cause::Imported => "brought in",
    }
}

/// Fetches the list.
async fn fetch(desk: Desk, run: RunId) {
    let answer = steering::checkpoints(&run).await.map(|mut saved| {
        saved.sort_by_key(|saved| std::cmp::Reverse((saved.info.at_ms, saved.info.id)));
        saved
    });
    desk.checkpoints.try_set(Some(answer));
}

/// Number of the newest line after which the list is another.
fn newest_saving(desk: Desk) -> u64 {
    desk.lines.get();
    let run = desk.run.read_untracked();
    let saving = run.events.values().rev().find(|record| {
        matches!(
            record.event,
            Event::Checkpointed { .. }
                | Event::CheckpointFailed { .. }
                | Event::Continued { .. }
                | Event::Sampled { .. }
        )
    });
    saving.map_or(0, |record| record.number)
}

/// The panel.
#[component]
pub(crate) fn Checkpoints() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let newest = Memo::new(move |_| newest_saving(desk));
    let again = move || spawn_local(fetch(desk, desk.id()));
    Effect::new(move || {
        // Read and not only tracked: a memo that was never read has nothing to follow.
        newest.get();
        again();
    });
    let ids = Memo::new(move |_| match &*desk.checkpoints.read() {
        Some(Ok(saved)) => saved.iter().map(|saved| saved.info.id).collect::<Vec<_>>(),
        _ => vec![],
    });
    // 0: loading, 1: failed, 2: none, 3: some.
    let stage = Memo::new(move |_| match &*desk.checkpoints.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(saved)) if saved.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    view! {
        <section class="panel checkpoints" aria-labelledby="checkpoints-title">
            <h2 id="checkpoints-title">"Checkpoints"<span class="unit">{move || format!(" {}", ids.read().len())}</span></h2>
            {move || match stage.get() {
                0 => view! { <Skeleton rows=2 class="short" /> }.into_any(),
                1 => view! {
                    {match &*desk.checkpoints.read_untracked() {
                        Some(Err(failure)) => Some(view! { <Failure what="The checkpoints could not be listed" failure=failure.clone() retry=move |()| again() /> }),
                        _ => None,
                    }}
                }.into_any(),
                2 => view! { <p class="none">{move || none_yet(desk)}</p> }.into_any(),
                _ => view! {
                    <ol>
                        <For each=move || ids.get() key=|id| *id let(id)><CheckpointLine id /></For>
                    </ol>
                }.into_any(),
            }}
        </section>
    }
}

fn none_yet(desk: Desk) -> String {
    let every = desk.dials.read().checkpoint_every;
    let step = desk.summary.read().step;
    match every {
        _ if !desk.state.get().is_live() => "None was saved.".into(),
        0 => "None on a cadence; Checkpoint (c) saves one now.".into(),
        every => format!(
            "The first comes at step {}, then every {}; Checkpoint (c) saves one now.",
            number::whole((step / every + 1) * every),
            number::with_unit(every as f64, "steps")
        ),
    }
}

/// One saved state.
#[component]
fn CheckpointLine(id: CheckpointId) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let saved = Memo::new(move |before: Option<&Option<CheckpointView>>| {
        let found = match &*desk.checkpoints.read() {
            Some(Ok(saved)) => saved.iter().find(|saved| saved.info.id == id).cloned(),
            _ => None,
        };
        found.or_else(|| before.cloned().flatten())
    });
    let is_ghost = Memo::new(move |_| {
        desk.version.get();
        !desk.run.read_untracked().curves.lineage().holds(id.segment, id.step)
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
                "{also}{} bytes, BLAKE3 {}, after {} changes{written}",
                number::whole(info.bytes),
                info.hash,
                info.changes
            );
            view! {
                <p class="what" title=title>
                    <strong class="mono">{number::whole(id.step)}</strong>
                    {is_pinned.then(|| view! { <Icon name="pin" /><span class="unseen">"pinned"</span> })}
                    <span>{words(&saved)}</span>
                    {is_ghost.get().then(|| view! { <span class="on-ghost">"on a ghost"</span> })}
                    {sample.as_deref().map(|text| view! { <span class="excerpt mono">{excerpt(text)}</span> })}
                </p>
                <p class="small dim measured">{measured.collect::<Vec<_>>().join(" · ")}</p>
            }
        })
    };
    let start = move |drawer: Drawer| {
        desk.chosen.set(Some(id));
        // A drawer that is open already would keep its old choice.
        desk.drawer.set(None);
        request_animation_frame(move || {
            desk.drawer.try_set(Some(drawer));
        });
    };
    view! {
        <li class:ghostly=is_ghost>
            <div class="about">{about}</div>
            <div class="acts">
                <Show when=move || desk.hindrance.read().is_none()>
                    <button class="quiet icon-only" aria-label=move || format!("Roll back to step {}", id.step) title="Roll back to it …" on:click=move |_| start(Drawer::Rollback)><Icon name="back" /></button>
                </Show>
                <Show when=move || desk.role.read().is_none()>
                    <button class="quiet icon-only" aria-label=move || format!("Fork from step {}", id.step) title="Fork from it …" on:click=move |_| start(Drawer::Fork)><Icon name="fork" /></button>
                </Show>
                <More id saved />
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

/// Pin, take away, open, delete.
#[component]
fn More(id: CheckpointId, saved: Memo<Option<CheckpointView>>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let toasts = expect_context::<Toasts>();
    let confirm = expect_context::<Confirm>();
    let run = StoredValue::new(desk.id());
    let is_pinned = Memo::new(move |_| saved.read().as_ref().is_some_and(|saved| saved.is_pinned));
    let pin = move |_| {
        let pinned = !is_pinned.get_untracked();
        spawn_local(async move {
            match steering::pin(&run.get_value(), id, pinned).await {
                Ok(changed) => desk.put(changed),
                Err(failure) => toasts.fail("Not changed", &failure),
            }
        });
    };
    let delete = confirm.keep(move || {
        spawn_local(async move {
            match steering::delete_checkpoint(&run.get_value(), id).await {
                Ok(()) => {
                    toasts.say(format!("The checkpoint of step {} is gone", number::whole(id.step)));
                    fetch(desk, run.get_value()).await;
                }
                Err(failure) => toasts.fail("Not deleted", &failure),
            }
        });
    });
    let ask_delete = move |_| {
        confirm.ask(Question {
            title: format!("Delete the checkpoint of step {}?", number::whole(id.step)),
            loses: "Its weights and optimizer state leave the disk: nothing can go back to it, fork from it or complete a prompt with it. This cannot be undone.".into(),
            verb: "Delete",
            act: delete,
        });
    };
    let path = move |is_raw| run.with_value(|run| steering::export_path(run, id, is_raw));
    let playground = move || format!("/playground?run={}&checkpoint={id}", run.get_value());
    let beside = move || format!("{}&with={}", playground(), run.get_value());
    view! {
        <Menu label=format!("More about the checkpoint of step {}", id.step)>
            <a class="button" href=playground()>"Open in the Playground"</a>
            <a class="button" href=beside() title="Both complete one prompt with one seed">"Beside the newest, in the Playground"</a>
            <a class="button" href=path(false) download=""><Icon name="download" />"For Hugging Face (.tar)"</a>
            <a class="button" href=path(true) download=""><Icon name="download" />"As the lab keeps it (.tar)"</a>
            <Show when=move || desk.role.read().is_none()>
                <button on:click=pin><Icon name="pin" />{move || if is_pinned.get() { "Unpin: may be pruned" } else { "Pin: keep for good" }}</button>
                <button class="danger" on:click=ask_delete>"Delete …"</button>
            </Show>
        </Menu>
    }
}

impl Desk {
    /// A saved state as it stands now.
    fn put(self, changed: CheckpointView) {
        self.checkpoints.try_update(|saved| {
            let Some(Ok(saved)) = saved else { return };
            if let Some(old) = saved.iter_mut().find(|old| old.info.id == changed.info.id) {
                *old = changed;
            }
        });
    }

    /// Saves the state now.
    pub(super) fn save(self) {
        self.ask(wire::Command::Checkpoint { reason: None });
    }
}
