//! How long, from which seed, with which optimizer, where, and under which name.

use leptos::prelude::*;
use wire::device::DeviceKind;
use wire::plan::OptimizerKind;

use super::draft::Draft;
use super::field::{FieldError, Part, WholeNumber};
use crate::live::Live;
use crate::parts::number::short;

/// Steps, seed, device, name.
#[component]
pub(super) fn TrainingChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let usual_steps = Signal::derive(move || draft.preset().map_or(0, |preset| preset.steps));
    let steps = Signal::derive(move || draft.spec.read().steps);
    let seed = Signal::derive(move || draft.spec.read().seed);
    view! {
        <Part title="Training">
            <div class="fields">
                <WholeNumber
                    field="steps"
                    label="Steps"
                    meaning="updates of the weights; the schedule ends with the last"
                    value=steps
                    usual=usual_steps
                    set=move |steps| draft.set(|spec| spec.steps = steps)
                />
                <WholeNumber
                    field="seed"
                    label="Seed"
                    meaning="same seed, same numbers: first weights, batches, samples"
                    value=seed
                    usual=1u64
                    set=move |seed| draft.set(|spec| spec.seed = seed)
                />
                <OptimizerChoice />
                <DeviceChoice />
                <label class="field">
                    <span class="label">"Name"</span>
                    <input
                        maxlength="80"
                        autocomplete="off"
                        placeholder="a readable one is made up"
                        prop:value=move || draft.spec.read().name.clone().unwrap_or_default()
                        on:input:target=move |event| {
                            let name = event.target().value();
                            draft.set(|spec| spec.name = Some(name).filter(|name| !name.trim().is_empty()));
                        }
                    />
                    <span class="small dim">"can be changed later"</span>
                    <FieldError field="name" />
                </label>
            </div>
        </Part>
    }
}

/// The plan's path of the optimizer's kind.
const KIND: &str = "optimizer.kind";

/// Which optimizer: the preset's unless told.
#[component]
fn OptimizerChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let usual = move || draft.preset().map(|preset| preset.recipe.optimizer.kind).unwrap_or_default();
    let kind = Memo::new(move |_| {
        let typed = draft.spec.read().overrides.get(KIND).cloned();
        typed.and_then(|typed| serde_json::from_value(typed).ok()).unwrap_or_else(usual)
    });
    let choose = move |chosen: OptimizerKind| {
        let is_usual = chosen == untrack(usual);
        draft.set(|spec| match serde_json::to_value(chosen) {
            Ok(word) if !is_usual => drop(spec.overrides.insert(KIND.into(), word)),
            _ => drop(spec.overrides.remove(KIND)),
        });
    };
    let kinds = [
        (OptimizerKind::Adamw, "AdamW", "the usual one: each number by the size of its own gradients"),
        (
            OptimizerKind::Muon,
            "Muon",
            "the blocks' matrices by their directions, AdamW for the rest; often fewer steps",
        ),
    ];
    view! {
        <div class="field">
            <span class="label">"Optimizer"</span>
            <div class="tabs" role="group" aria-label="Optimizer">
                {kinds.map(|(of, word, about)| view! { <button class="tab" title=about aria-pressed=move || (kind.get() == of).to_string() on:click=move |_| choose(of)>{word}</button> })}
            </div>
            <span class="small dim">{move || kinds.into_iter().find(|(of, ..)| *of == kind.get()).map(|(_, _, about)| about)}</span>
        </div>
    }
}

#[component]
fn DeviceChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let live = expect_context::<Live>();
    // Rebuilt only when a device comes, goes, or becomes free.
    let devices = Memo::new(move |_| {
        let lab = live.lab.read();
        let devices = lab.as_ref().map(|lab| lab.devices.as_slice()).unwrap_or_default();
        devices
            .iter()
            .map(|device| (device.info.clone(), device.is_connected, device.run.is_some()))
            .collect::<Vec<_>>()
    });
    let chosen = Memo::new(move |_| draft.spec.read().device.clone());
    let choose = move |value: String| draft.set(|spec| spec.device = value.parse().ok());
    view! {
        <label class="field">
            <span class="label">"Device"</span>
            <select on:change:target=move |event| choose(event.target().value()) aria-invalid=move || draft.error_at("device").map(|_| "true")>
                <option value="" selected=move || chosen.get().is_none()>"the fastest here"</option>
                {move || devices.get().into_iter().map(|(info, is_connected, is_busy)| {
                    let id = info.id.clone();
                    let standing = match (is_connected, is_busy) {
                        (false, _) => ", not connected",
                        (_, true) => ", at work",
                        _ => ", free",
                    };
                    let kind = if info.kind == DeviceKind::Software { ", software" } else { "" };
                    let is_this = { let id = id.clone(); move || chosen.get().as_ref() == Some(&id) };
                    view! { <option value=id.to_string() selected=is_this>{format!("{id} · {}{kind}{standing}", info.name)}</option> }
                }).collect_view()}
            </select>
            <span class="small dim">
                {move || match &*draft.outcome.read() {
                    Some(Ok(view)) => {
                        let speed = draft.devices.read().iter().find(|device| device.id == view.plan.device).map(|device| device.flops_per_sec).filter(|speed| *speed > 0.0);
                        match speed {
                            Some(speed) => format!("{}, measured {}FLOP/s", view.plan.device, short(speed)),
                            None => view.plan.device.to_string(),
                        }
                    }
                    _ => "where it trains; others wait in its queue".to_owned(),
                }}
            </span>
            <FieldError field="device" />
        </label>
    }
}
