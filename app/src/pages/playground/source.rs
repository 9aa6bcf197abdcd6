//! The choice of a run and one of its checkpoints.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::checkpoint::{Cause, CheckpointView};
use wire::{CheckpointId, RunId};

use crate::components::Failure;
use crate::net::api::{self, ApiFailure, checkpoints};
use crate::net::live::Live;
use crate::route::run_path;

/// What is known of the selected run.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// No run is selected.
    None,
    /// It is being fetched.
    Loading,
    /// Its prompt and its checkpoints, newest first. A fork can be used with the checkpoint that it began with.
    Run { prompt: String, checkpoints: Vec<CheckpointView>, is_fork: bool },
    /// It could not be fetched.
    Failed(ApiFailure),
}

/// A choice of weights.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) run: RwSignal<Option<RunId>>,
    /// Checkpoint; `None` for the newest.
    pub(super) checkpoint: RwSignal<Option<CheckpointId>>,
    found: RwSignal<Found>,
}

impl Source {
    /// The choice of the address.
    pub(super) fn new(run: Option<RunId>, checkpoint: Option<CheckpointId>) -> Self {
        let source =
            Self { run: RwSignal::new(run), checkpoint: RwSignal::new(checkpoint), found: RwSignal::new(Found::None) };
        Effect::new(move |_| source.fetch(source.run.get()));
        source
    }

    fn fetch(self, run: Option<RunId>) {
        let Some(run) = run else { return };
        self.found.set(Found::Loading);
        spawn_local(async move {
            let (view, checkpoints) = futures_util::future::join(api::run(&run), checkpoints::list(&run)).await;
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

    /// The prompt of the run's samples.
    pub(super) fn prompt(self) -> Option<String> {
        match &*self.found.read() {
            Found::Run { prompt, .. } => Some(prompt.clone()),
            _ => None,
        }
    }

    /// Whether there are weights.
    pub(super) fn has_weights(self) -> bool {
        matches!(&*self.found.read(), Found::Run { checkpoints, is_fork, .. } if *is_fork || !checkpoints.is_empty())
    }

    /// Fetches the run again.
    pub(super) fn renew(self) {
        self.fetch(self.run.get_untracked());
    }

    /// The run, if it has no weights yet.
    pub(super) fn without_weights(self) -> Option<RunId> {
        let is_bare = matches!(&*self.found.read(), Found::Run { .. }) && !self.has_weights();
        self.run.get().filter(|_| is_bare)
    }
}

/// A list of runs, and a list of the checkpoints of the selected one.
#[component]
pub(super) fn SourcePicker(source: Source, label: &'static str) -> impl IntoView {
    let live = expect_context::<Live>();
    let runs = Memo::new(move |_| {
        let lab = live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let known = runs.iter().filter(|run| run.deleted_ms.is_none());
        known.map(|run| (run.id.clone(), run.name.clone(), run.step)).collect::<Vec<_>>()
    });
    // Without the steps, which change constantly.
    let names =
        Memo::new(move |_| runs.read().iter().map(|(id, name, _)| (id.clone(), name.clone())).collect::<Vec<_>>());
    Effect::new(move |_| {
        // The newest run with a finished step, unless the address names one.
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
        <label class="pick-field" title="Run whose checkpoint completes the prompt">
            <span class="small dim">{label}</span>
            <select aria-label=label on:change:target=move |event| choose(event.target().value())>
                <For each=move || names.get() key=Clone::clone let((id, name))>
                    <option
                        value=id.to_string()
                        selected={let id = id.clone(); move || source.run.read().as_ref() == Some(&id)}
                    >
                        {name}
                    </option>
                </For>
            </select>
        </label>
        {move || match &*source.found.read() {
            Found::None => ().into_any(),
            Found::Loading => view! { <span class="dim">"Loading checkpoints …"</span> }.into_any(),
            Found::Failed(failure) => view! {
                <Failure what="The run could not be fetched" failure=failure.clone() retry=move |()| source.renew() />
            }.into_any(),
            Found::Run { checkpoints, .. } if checkpoints.is_empty() => view! {
                <span class="dim">"no checkpoint of its own yet"</span>
            }.into_any(),
            Found::Run { checkpoints, .. } => view! {
                <CheckpointList source checkpoints=checkpoints.clone() />
            }.into_any(),
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
        <label class="pick-field" title="Checkpoint that completes the prompt">
            <span class="small dim">"Checkpoint"</span>
            <select
                aria-label="Checkpoint"
                on:change:target=move |event| source.checkpoint.set(event.target().value().parse().ok())
            >
                <option value="" selected=move || source.checkpoint.get().is_none()>"newest"</option>
                {options.collect_view()}
            </select>
        </label>
    }
}

/// `step 1 200 · best · validation loss 1.832`
fn describe(view: &CheckpointView) -> String {
    let info = &view.info;
    let segment = if info.id.segment > 0 { format!(", segment {}", info.id.segment) } else { String::new() };
    let cause = match info.cause {
        _ if view.is_best => " · best",
        Cause::BeforeChange => " · before a change",
        Cause::End => " · at the end",
        Cause::Imported => " · imported",
        Cause::Interval | Cause::Requested | Cause::Best => "",
    };
    let loss = |loss| format!(" · validation loss {}", number::fixed(loss, 3));
    let loss = info.loss_valid.map(loss).unwrap_or_default();
    format!("step {}{segment}{cause}{loss}", number::whole(info.id.step))
}

/// Shown in place of the completion of a run without weights.
#[component]
pub(super) fn NoWeights(run: RunId, source: Source) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>"No checkpoint yet"</h2>
            <p>
                "Completions need a checkpoint. The run saves one at its checkpoint interval, and the Checkpoint \
                 button on its page (c) saves one now."
            </p>
            <div class="row">
                <a class="button" href=run_path(&run)>"Open the run"</a>
                <button on:click=move |_| source.renew()>"Reload"</button>
            </div>
        </div>
    }
}
