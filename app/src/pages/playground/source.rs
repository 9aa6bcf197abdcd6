//! The choice of a run and one of its checkpoints.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::checkpoint::{Cause, CheckpointRef, CheckpointView};
use wire::{CheckpointId, RunId};

use crate::components::number::moment;
use crate::components::{Failure, is_best, name_of, run_name, told_apart, validation};
use crate::curves::Lineage;
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
    /// Its prompt, its checkpoints, newest first, for a fork the checkpoint that it began with, which can be used, its branches, and whether
    /// it has ended.
    Run {
        prompt: String,
        checkpoints: Vec<CheckpointView>,
        origin: Option<CheckpointRef>,
        lineage: Lineage,
        is_over: bool,
    },
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
    live: Live,
}

impl Source {
    /// The choice of the address.
    pub(super) fn new(run: Option<RunId>, checkpoint: Option<CheckpointId>) -> Self {
        let source = Self {
            run: RwSignal::new(run),
            checkpoint: RwSignal::new(checkpoint),
            found: RwSignal::new(Found::None),
            live: expect_context(),
        };
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
            self.live.know(view.iter().map(|view| view.summary.clone()));
            let found = view.and_then(|view| {
                let lineage = Lineage::read(&view, |_| None);
                let is_over = view.summary.state.is_over();
                let (prompt, origin) = (view.plan.prompt, view.plan.origin.map(|origin| origin.from));
                checkpoints.map(|found| Found::Run {
                    prompt,
                    checkpoints: newest_first(found),
                    origin,
                    lineage,
                    is_over,
                })
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
        matches!(&*self.found.read(), Found::Run { checkpoints, origin, .. } if origin.is_some() || !checkpoints.is_empty())
    }

    /// The oldest checkpoint of the run, if it has several.
    pub(super) fn oldest(self) -> Option<CheckpointId> {
        match &*self.found.read() {
            Found::Run { checkpoints, .. } if checkpoints.len() > 1 => checkpoints.last().map(|view| view.info.id),
            _ => None,
        }
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
pub(super) fn SourcePicker(
    source: Source,
    label: &'static str,
    /// Run that is selected at first.
    at_first: &'static str,
) -> impl IntoView {
    let live = expect_context::<Live>();
    let runs = Memo::new(move |_| {
        let lab = live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let known = runs.iter().filter(|run| run.deleted_ms.is_none());
        known.map(|run| (run.id.clone(), name_of(live, run), run.step)).collect::<Vec<_>>()
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
        <label class="pick-field" title=format!("Run whose checkpoint completes the prompt. Default: {at_first}")>
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
            Found::Run { checkpoints, origin: Some(origin), .. } if checkpoints.is_empty() => {
                let parent = run_name(live, &origin.run);
                let step = number::whole(origin.checkpoint.step);
                view! {
                    <span class="dim" title="This fork has not saved a checkpoint yet">
                        {format!("uses the checkpoint of {parent}, step {step}")}
                    </span>
                }.into_any()
            }
            Found::Run { checkpoints, .. } if checkpoints.is_empty() => view! {
                <span class="dim">"no checkpoint yet"</span>
            }.into_any(),
            Found::Run { checkpoints, lineage, is_over, .. } => view! {
                <CheckpointList source checkpoints=checkpoints.clone() lineage=lineage.clone() is_over=*is_over />
            }.into_any(),
        }}
    }
}

#[component]
fn CheckpointList(source: Source, checkpoints: Vec<CheckpointView>, lineage: Lineage, is_over: bool) -> impl IntoView {
    let label = |view: &CheckpointView| (view.info.id.to_string(), describe(view, &lineage, is_over), view.info.at_ms);
    let labels = told_apart(checkpoints.iter().map(label).collect(), moment);
    let options = checkpoints.into_iter().zip(labels).map(move |(view, (value, label))| {
        let id = view.info.id;
        let is_chosen = move || source.checkpoint.get() == Some(id);
        view! { <option value=value selected=is_chosen disabled=!view.is_available>{label}</option> }
    });
    view! {
        <label class="pick-field" title="Checkpoint that completes the prompt. Default: the newest. After a rollback, the \
                                        checkpoints of the abandoned branch are marked. val: validation loss, in nats/token, and the \
                                        step at which it was last evaluated.">
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

/// The order of the list; the server answers in the order in which they were saved.
fn newest_first(mut checkpoints: Vec<CheckpointView>) -> Vec<CheckpointView> {
    checkpoints.sort_by_key(|view| std::cmp::Reverse((view.info.at_ms, view.info.id)));
    checkpoints
}

/// `step 1 250 · before a change · val 1.832 at step 1 200`
fn describe(view: &CheckpointView, lineage: &Lineage, is_over: bool) -> String {
    let info = &view.info;
    let is_abandoned = !lineage.contains(info.id.segment, info.id.step);
    let branch = if is_abandoned { " · abandoned branch" } else { "" };
    let cause = match info.cause {
        _ if is_best(view) => " · best",
        Cause::BeforeChange => " · before a change",
        Cause::Imported => " · imported",
        Cause::Interval | Cause::Requested | Cause::Best | Cause::End => "",
    };
    let is_last = is_over && info.cause == Cause::End;
    let loss = validation(view, is_last).map(|loss| format!(" · {loss}")).unwrap_or_default();
    let away = if view.is_available { "" } else { " · not uploaded by its worker yet" };
    format!("step {}{branch}{cause}{loss}{away}", number::whole(info.id.step))
}

/// Shown in place of the completion of a run without weights.
#[component]
pub(super) fn NoWeights(run: RunId, source: Source) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>"No checkpoint yet"</h2>
            <p>
                "A completion needs a checkpoint. The run saves one at its checkpoint interval. To save one now, press \
                 Checkpoint (c) on the page of the run."
            </p>
            <div class="row">
                <a class="button" href=run_path(&run) title="The page of the run">"Open the run"</a>
                <button title="Fetch the checkpoints of the run again" on:click=move |_| source.renew()>"Reload"</button>
            </div>
        </div>
    }
}
