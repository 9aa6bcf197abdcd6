//! Steps, seed, optimizer, device and name.

use figure::number::with_unit;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::device::DeviceKind;
use wire::fleet::PoolView;
use wire::hyperparameters::recipe::OptimizerKind;
use wire::hyperparameters::table::Values;
use wire::run::plan::MAX_STEPS;

use super::draft::Draft;
use super::field::{FieldError, FormSection, IntegerField};
use crate::components::{ProjectField, SEEDS};
use crate::net::api;
use crate::net::live::Live;

/// Beginning of the values of the device field that name a pool. No id of a device has a colon.
const POOL: &str = "pool:";

/// The section.
#[component]
pub(super) fn TrainingChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let default_steps = Signal::derive(move || draft.preset().map_or(0, |preset| preset.steps));
    let steps = Signal::derive(move || draft.spec.read().steps);
    let seed = Signal::derive(move || draft.spec.read().seed);
    view! {
        <FormSection title="Training">
            <div class="fields">
                <IntegerField
                    field="steps"
                    label="Steps"
                    meaning="Number of optimizer steps, and length of the learning-rate schedule."
                    values=Values::Integer { min: 1, max: MAX_STEPS }
                    value=steps
                    default=default_steps
                    set=move |steps| draft.set(|spec| spec.steps = steps)
                />
                <IntegerField
                    field="seed"
                    label="Seed"
                    meaning="Seed for initialization, batches and samples. The same seed reproduces the run."
                    values=SEEDS
                    value=seed
                    default=1u64
                    set=move |seed| draft.set(|spec| spec.seed = seed)
                />
                <OptimizerChoice />
                <DeviceChoice />
                <ProjectChoice />
                <label class="field" title="Display name of the run, up to 80 characters. Default: a generated name.">
                    <span class="label">"Name"</span>
                    <input
                        maxlength="80"
                        autocomplete="off"
                        placeholder="e.g. russet-lark"
                        prop:value=move || draft.spec.read().name.clone().unwrap_or_default()
                        on:input:target=move |event| {
                            let name = event.target().value();
                            draft.set(|spec| spec.name = Some(name).filter(|name| !name.trim().is_empty()));
                        }
                    />
                    <span class="small dim">"Display name of the run. Default: a generated name."</span>
                    <FieldError field="name" />
                </label>
            </div>
        </FormSection>
    }
}

/// The project, where there are several.
#[component]
fn ProjectChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    view! {
        <ProjectField
            project=Signal::derive(move || draft.spec.read().project.clone())
            meaning="Project that the run belongs to. The people of the project see the run, and its limits apply."
            all=None
            choose=move |project| draft.set(|spec| spec.project = project)
        />
        <FieldError field="project" />
    }
}

/// Path of the optimizer in the plan.
const KIND: &str = "optimizer.kind";

/// The optimizer; that of the preset by default.
#[component]
fn OptimizerChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let default = move || draft.preset().map(|preset| preset.recipe.optimizer.kind).unwrap_or_default();
    let kind = Memo::new(move |_| {
        let typed = draft.spec.read().overrides.get(KIND).cloned();
        typed.and_then(|typed| serde_json::from_value(typed).ok()).unwrap_or_else(default)
    });
    let choose = move |chosen: OptimizerKind| {
        let is_default = chosen == untrack(default);
        draft.set(|spec| match serde_json::to_value(chosen) {
            Ok(word) if !is_default => drop(spec.overrides.insert(KIND.into(), word)),
            _ => drop(spec.overrides.remove(KIND)),
        });
    };
    let kinds = [
        (OptimizerKind::Adamw, "AdamW", "AdamW (default): Adam with decoupled weight decay."),
        (
            OptimizerKind::Muon,
            "Muon",
            "Muon: orthogonalized momentum updates for the weight matrices of the blocks; AdamW for all other \
             parameters.",
        ),
    ];
    view! {
        <div class="field">
            <span class="label">"Optimizer"</span>
            <div class="tabs" role="group" aria-label="Optimizer">
                {kinds.map(|(of, word, about)| view! {
                    <button
                        class="tab"
                        title=about
                        aria-pressed=move || (kind.get() == of).to_string()
                        on:click=move |_| choose(of)
                    >
                        {word}
                    </button>
                })}
            </div>
            <span class="small dim">
                {move || kinds.into_iter().find(|(of, ..)| *of == kind.get()).map(|(_, _, about)| about)}
            </span>
        </div>
    }
}

#[component]
fn DeviceChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let live = expect_context::<Live>();
    // Rebuilt only when a device connects, disconnects or becomes free.
    let devices = Memo::new(move |_| {
        let lab = live.lab.read();
        let devices = lab.as_ref().map(|lab| lab.devices.as_slice()).unwrap_or_default();
        devices
            .iter()
            .map(|device| {
                let unseen = usize::from(device.is_taken);
                let is_busy = device.runs.len() + unseen >= device.runs_at_once as usize;
                (device.info.clone(), device.is_connected, is_busy)
            })
            .collect::<Vec<_>>()
    });
    let pools = RwSignal::new(vec![]);
    spawn_local(async move {
        // Without the list the devices can still be chosen; the server names the pools in its refusals.
        if let Ok(found) = api::fleet::pools().await {
            pools.try_set(found);
        }
    });
    let chosen = Memo::new(move |_| {
        let spec = draft.spec.read();
        (spec.device.clone(), spec.pool.clone())
    });
    let choose = move |value: String| {
        draft.set(|spec| {
            let pool = value.strip_prefix(POOL).map(str::to_owned);
            spec.device = value.parse().ok().filter(|_| pool.is_none());
            spec.pool = pool;
        })
    };
    let is_waiting = move || draft.is_waiting_for_device();
    view! {
        <label class="field" title="A device, or a pool (a group of devices): the first free device of the pool trains the run. Default: the fastest device of the server.">
            <span class="label">"Device"</span>
            <select
                on:change:target=move |event| choose(event.target().value())
                aria-invalid=move || {
                    let is_wrong = ["device", "pool"].into_iter().any(|field| draft.error_at(field).is_some());
                    (is_wrong && !is_waiting()).then_some("true")
                }
            >
                <option value="" selected=move || chosen.get() == (None, None)>"Fastest available"</option>
                {move || devices.get().into_iter().map(|(info, is_connected, is_busy)| {
                    let id = info.id.clone();
                    let status = match (is_connected, is_busy) {
                        (false, _) => ", not connected",
                        (_, true) => ", in use",
                        _ => ", idle",
                    };
                    let kind = if info.kind == DeviceKind::Software { ", software" } else { "" };
                    let is_this = { let id = id.clone(); move || chosen.get().0.as_ref() == Some(&id) };
                    view! {
                        <option value=id.to_string() selected=is_this>
                            {format!("{id} · {}{kind}{status}", info.name)}
                        </option>
                    }
                }).collect_view()}
                {move || pools.get().into_iter().map(|pool: PoolView| {
                    let status = match pool.connected {
                        0 => "no worker connected".to_owned(),
                        1 => "1 worker connected".to_owned(),
                        count => format!("{count} workers connected"),
                    };
                    let is_this = { let name = pool.name.clone(); move || chosen.get().1.as_ref() == Some(&name) };
                    view! {
                        <option value=format!("{POOL}{}", pool.name) selected=is_this>
                            {format!("Pool {} · {status}", pool.name)}
                        </option>
                    }
                }).collect_view()}
            </select>
            <span class="small dim">
                {move || match &*draft.outcome.read() {
                    Some(Ok(_)) if draft.pool_without_worker().is_some() => {
                        "No worker of this pool is connected: the run waits for one.".to_owned()
                    }
                    Some(Ok(view)) => {
                        let devices = draft.devices.read();
                        let device = devices.iter().find(|device| device.id == view.plan.device);
                        let speed = device.map(|device| device.flops_per_sec).filter(|speed| *speed > 0.0);
                        match speed {
                            Some(speed) => format!("{}, measured speed {}", view.plan.device, with_unit(speed, "FLOP/s")),
                            None => view.plan.device.to_string(),
                        }
                    }
                    _ if is_waiting() => "Waiting for a device.".to_owned(),
                    _ => "Device that trains the run.".to_owned(),
                }}
            </span>
            <Show when=move || !is_waiting()><FieldError field="device" /><FieldError field="pool" /></Show>
        </label>
    }
}
