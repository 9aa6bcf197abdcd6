//! Whose weights write: a run, and one of its checkpoints.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::checkpoint::{Cause, CheckpointView};
use wire::{CheckpointId, RunId};

use crate::api::steering;
use crate::api::{self, ApiFailure};
use crate::live::Live;
use crate::parts::Failure;
use crate::route::run_path;

/// What is known of the run that was chosen.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// Nothing is chosen.
    Nothing,
    /// On its way.
    Asking,
    /// Its prompt, and its checkpoints, newest first; a fork may write with what it began with.
    Run { prompt: String, checkpoints: Vec<CheckpointView>, is_fork: bool },
    /// It could not be asked.
    Failed(ApiFailure),
}

/// A choice of weights.
#[derive(Clone, Copy)]
pub(super) struct Source {
    /// Which run.
    pub(super) run: RwSignal<Option<RunId>>,
    /// Which of its checkpoints; none for the newest.
    pub(super) checkpoint: RwSignal<Option<CheckpointId>>,
    found: RwSignal<Found>,
}

impl Source {
    /// As the address says.
    pub(super) fn new(run: Option<RunId>, checkpoint: Option<CheckpointId>) -> Self {
        let source = Self {
            run: RwSignal::new(run),
            checkpoint: RwSignal::new(checkpoint),
            found: RwSignal::new(Found::Nothing),
        };
        Effect::new(move |_| source.ask(source.run.get()));
        source
    }

    fn ask(self, run: Option<RunId>) {
        let Some(run) = run else { return };
        self.found.set(Found::Asking);
        spawn_local(async move {
            let (view, checkpoints) = futures_util::future::join(api::run(&run), steering::checkpoints(&run)).await;
            if self.run.try_get_untracked().flatten().as_ref() != Some(&run) {
                return;
            }
            let found = view.and_then(|view| {
                let (prompt, is_fork) = (view.plan.prompt, view.plan.origin.is_some());
                checkpoints.map(|checkpoints| Found::Run { prompt, checkpoints, is_fork })
            });
            self.found.set(found.unwrap_or_else(Found::Failed));
        });
    }

    /// What the run's own samples start with.
    pub(super) fn prompt(self) -> Option<String> {
        match &*self.found.read() {
            Found::Run { prompt, .. } => Some(prompt.clone()),
            _ => None,
        }
    }

    /// Whether there are weights.
    pub(super) fn can_write(self) -> bool {
        matches!(&*self.found.read(), Found::Run { checkpoints, is_fork, .. } if *is_fork || !checkpoints.is_empty())
    }

    /// Asks again what there is.
    pub(super) fn renew(self) {
        self.ask(self.run.get_untracked());
    }

    /// The run, where it is known to have no weights yet.
    pub(super) fn without_weights(self) -> Option<RunId> {
        let is_bare = matches!(&*self.found.read(), Found::Run { .. }) && !self.can_write();
        self.run.get().filter(|_| is_bare)
    }
}

/// Two lists: runs, and the chosen one's checkpoints.
#[component]
pub(super) fn SourcePicker(source: Source, label: &'static str) -> impl IntoView {
    let live = expect_context::<Live>();
    let runs = Memo::new(move |_| {
        let lab = live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let known = runs.iter().filter(|run| run.deleted_ms.is_none());
        known.map(|run| (run.id.clone(), run.name.clone(), run.step)).collect::<Vec<_>>()
    });
    // The names alone: steps tick.
    let names =
        Memo::new(move |_| runs.read().iter().map(|(id, name, _)| (id.clone(), name.clone())).collect::<Vec<_>>());
    Effect::new(move |_| {
        // The newest run that has trained at all, unless the address named one.
        if source.run.read_untracked().is_none()
            && let Some((id, ..)) = runs.read().iter().find(|(.., step)| *step > 0).or(runs.read().first())
        {
            source.run.set(Some(id.clone()));
        }
    });
    let choose = move |value: String| {
        source.checkpoint.set(None);
        source.run.set(value.parse().ok());
    };
    view! {
        <label class="pick-field">
            <span class="small dim">{label}</span>
            <select aria-label=label on:change:target=move |event| choose(event.target().value())>
                <For each=move || names.get() key=Clone::clone let((id, name))>
                    <option value=id.to_string() selected={let id = id.clone(); move || source.run.read().as_ref() == Some(&id)}>{name}</option>
                </For>
            </select>
        </label>
        {move || match &*source.found.read() {
            Found::Nothing => ().into_any(),
            Found::Asking => view! { <span class="dim">"asking for its checkpoints …"</span> }.into_any(),
            Found::Failed(failure) => view! { <Failure what="The run could not be asked" failure=failure.clone() retry=move |()| source.renew() /> }.into_any(),
            Found::Run { checkpoints, .. } if checkpoints.is_empty() => view! { <span class="dim">"no checkpoint of its own yet"</span> }.into_any(),
            Found::Run { checkpoints, .. } => view! { <CheckpointList source checkpoints=checkpoints.clone() /> }.into_any(),
        }}
    }
}

#[component]
fn CheckpointList(source: Source, checkpoints: Vec<CheckpointView>) -> impl IntoView {
    let options = checkpoints.into_iter().map(|view| {
        let id = view.info.id;
        let is_chosen = move || source.checkpoint.get() == Some(id);
        view! { <option value=id.to_string() selected=is_chosen>{describe(&view)}</option> }
    });
    view! {
        <label class="pick-field">
            <span class="small dim">"Checkpoint"</span>
            <select aria-label="Checkpoint" on:change:target=move |event| source.checkpoint.set(event.target().value().parse().ok())>
                <option value="" selected=move || source.checkpoint.get().is_none()>"the newest"</option>
                {options.collect_view()}
            </select>
        </label>
    }
}

/// `step 1 200 · best · valid 1.832`
fn describe(view: &CheckpointView) -> String {
    let info = &view.info;
    let segment = if info.id.segment > 0 { format!(", stretch {}", info.id.segment) } else { String::new() };
    let cause = match info.cause {
        _ if view.is_best => " · best",
        Cause::BeforeChange => " · before a change",
        Cause::End => " · the end",
        Cause::Imported => " · imported",
        Cause::Cadence | Cause::Asked | Cause::Best => "",
    };
    let loss = info.loss_valid.map(|loss| format!(" · valid {}", number::fixed(loss, 3))).unwrap_or_default();
    format!("step {}{segment}{cause}{loss}", number::whole(info.id.step))
}

/// What stands in the text's place where a run has no weights yet.
#[component]
pub(super) fn NoWeights(run: RunId, source: Source) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>"No checkpoint yet"</h2>
            <p>"A run writes with its saved states. One is taken on its cadence; the Checkpoint button on its page (c) takes one now."</p>
            <div class="row">
                <a class="button" href=run_path(&run)>"To the run"</a>
                <button on:click=move |_| source.renew()>"Look again"</button>
            </div>
        </div>
    }
}
