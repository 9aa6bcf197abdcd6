//! The base of a sweep: its name, and the run of each trial apart from the values of its point.

use leptos::prelude::*;
use wire::RunSpec;
use wire::run::preset::{DEPTHS, presets};

use super::draft::Draft;
use super::{FieldError, Typed};
use crate::components::hyperparameters::shown;
use crate::components::{Icon, ProjectField, Select, dataset_name, is_usable, isolated, says, shows};
use crate::net::live::Live;
use crate::pages::sweeps::words::parameter_label;

/// Longest name of a sweep, characters.
const NAME_CHARS: &str = "60";
/// Value of the entry for a mix of datasets, which comes from a copied run. An id of a dataset has no space.
const MIX: &str = "the mix";

#[component]
pub(super) fn BaseFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let project = Signal::derive(move || draft.base.read().project.clone());
    let choose_project = move |project: Option<String>| draft.base.update(|base| base.project = project);
    let steps = says(move || draft.base_value("steps").map(|steps| shown(&steps)).unwrap_or_default());
    view! {
        <section class="stack part" aria-label="Base">
            <div class="row"><h2>"Base"</h2><span class="small dim">"What all trials have in common"</span></div>
            {shows(move || draft.source.get().map(|name| view! {
                <p class="dim">"The plan of "<strong>{isolated(&name)}</strong>"."</p>
            }))}
            {shows(move || draft.not_copied.get().map(|reason| view! { <NotCopied reason /> }))}
            <div class="fields">
                <label class="field" title="Names the sweep; the run of trial 3 is named NAME 3">
                    <span class="label">"Name"</span>
                    <input
                        type="text"
                        maxlength=NAME_CHARS
                        prop:value=draft.name
                        on:input:target=move |event| draft.name.set(event.target().value())
                    />
                    <FieldError field="name" />
                </label>
                <PresetField />
                {shows(move || has_depth(&draft.base.read()).then(|| view! { <DepthField /> }))}
                <DatasetField />
                <Typed
                    label="Steps"
                    meaning="Optimizer steps of each trial; by default those of the preset"
                    number=draft.steps
                    field="base.steps"
                    placeholder=steps
                />
                <PlaceField />
                <ProjectField
                    project
                    meaning="The project of the sweep and of its runs"
                    choose=Callback::new(choose_project)
                />
            </div>
            <Overrides />
        </section>
    }
}

#[component]
fn NotCopied(reason: String) -> impl IntoView {
    view! {
        <div class="failure" role="alert">
            <Icon name="warning" />
            <div>
                <strong>"The plan of the run was not copied"</strong>
                <p>{reason}</p>
                <p class="hint">"The form has the values of a preset."</p>
            </div>
        </div>
    }
}

fn has_depth(base: &RunSpec) -> bool {
    base.preset.as_deref() == Some("depth")
}

#[component]
fn PresetField() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let entries: Vec<(String, String)> =
        presets().into_iter().map(|preset| (preset.name.clone(), preset.name)).collect();
    let chosen = Signal::derive(move || draft.base.read().preset.clone().unwrap_or_default());
    let choose = move |name: String| {
        draft.base.update(|base| {
            base.depth = (name == "depth").then_some(base.depth.unwrap_or(*DEPTHS.start()));
            base.preset = Some(name);
        });
    };
    view! {
        <label class="field" title="Architecture and hyperparameters of each trial, apart from those below">
            <span class="label">"Preset"</span>
            <Select entries=Signal::stored(entries) chosen choose />
            <FieldError field="base.preset" />
        </label>
    }
}

#[component]
fn DepthField() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let entries: Vec<(String, String)> = DEPTHS.map(|depth| (depth.to_string(), depth.to_string())).collect();
    let chosen = Signal::derive(move || draft.base.read().depth.map(|depth| depth.to_string()).unwrap_or_default());
    let choose = move |depth: String| draft.base.update(|base| base.depth = depth.parse().ok());
    view! {
        <label class="field" title="Layers, from which width, heads and learning rate are derived">
            <span class="label">"Depth"</span>
            <Select entries=Signal::stored(entries) chosen choose />
            <FieldError field="base.depth" />
        </label>
    }
}

#[component]
fn DatasetField() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let entries = Memo::new(move |_| {
        let (all, base) = (draft.datasets.read(), draft.base.read());
        let project = base.project.as_deref().unwrap_or(wire::access::project::DEFAULT_PROJECT);
        let usable = all.iter().filter(|info| is_usable(info, project));
        let mix = base.mix.iter().map(|mix| (MIX.to_owned(), format!("a mix of {} datasets", mix.len())));
        mix.chain(usable.map(|info| (info.id.to_string(), dataset_name(&all, info)))).collect::<Vec<_>>()
    });
    let chosen = Signal::derive(move || {
        let base = draft.base.read();
        base.corpus.as_ref().map_or_else(|| MIX.to_owned(), ToString::to_string)
    });
    let choose = move |id: String| {
        if let Ok(corpus) = id.parse() {
            draft.base.update(|base| (base.corpus, base.mix) = (Some(corpus), None));
        }
    };
    view! {
        <label class="field" title="The dataset of each trial. With weights of datasets as parameters it is one of the mix.">
            <span class="label">"Dataset"</span>
            <Select entries chosen choose />
            <FieldError field="base.corpus" />
        </label>
    }
}

/// The device or the pool that trains the trials.
#[component]
fn PlaceField() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let live = expect_context::<Live>();
    let entries = Memo::new(move |_| {
        let lab = live.lab.read();
        let devices: Vec<_> = lab.iter().flat_map(|lab| &lab.devices).collect();
        let mut pools: Vec<&str> = devices.iter().map(|device| device.pool.as_str()).collect();
        pools.sort_unstable();
        pools.dedup();
        let fastest = [(String::new(), "the fastest of the server".to_owned())].into_iter();
        let of_pool = |pool: &str| (format!("pool {pool}"), format!("pool {pool}"));
        let of_device = |id: String| (format!("device {id}"), id);
        let ids = devices.iter().map(|device| of_device(device.info.id.to_string()));
        fastest.chain(pools.into_iter().map(of_pool)).chain(ids).collect::<Vec<_>>()
    });
    let chosen = Signal::derive(move || {
        let base = draft.base.read();
        match (&base.pool, &base.device) {
            (Some(pool), _) => format!("pool {pool}"),
            (None, Some(device)) => format!("device {device}"),
            (None, None) => String::new(),
        }
    });
    let choose = move |place: String| {
        draft.base.update(|base| {
            base.pool = place.strip_prefix("pool ").map(str::to_owned);
            base.device = place.strip_prefix("device ").and_then(|id| id.parse().ok());
        });
    };
    view! {
        <label class="field" title="The device that trains the trials, or a pool of workers that share them">
            <span class="label">"Device or pool"</span>
            <Select entries chosen choose />
            <FieldError field="base.device" />
            <FieldError field="base.pool" />
        </label>
    }
}

/// The hyperparameters in which the copied plan differs from its preset.
#[component]
fn Overrides() -> impl IntoView {
    let draft = expect_context::<Draft>();
    shows(move || {
        let base = draft.base.read();
        (!base.overrides.is_empty()).then(|| {
            let line =
                |(path, value): (&String, &serde_json::Value)| format!("{} {}", parameter_label(path), shown(value));
            let text = base.overrides.iter().map(line).collect::<Vec<_>>().join(", ");
            view! {
                <div class="row">
                    <p class="small grow">"Changed from the preset: "{text}"."</p>
                    <button
                        class="quiet"
                        title="Use the values of the preset"
                        on:click=move |_| draft.base.update(|base| base.overrides.clear())
                    >
                        <Icon name="undo" />
                        "Reset to the preset"
                    </button>
                </div>
                <FieldError field="base.overrides" />
            }
        })
    })
}
