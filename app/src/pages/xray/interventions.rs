//! Interventions: components ablated or scaled in a separate forward pass, and the effect on loss and completion. The
//! run does not change, unless the interventions are applied as a weight edit.

mod draft;
mod effect;
mod form;
mod weight_edit;

use leptos::prelude::*;
use wire::control::intervention::Intervention;

use super::single::answered;
use super::state::XrayState;
use crate::components::{Icon, clicks, shows};
use draft::InterventionDraft;
use form::Form;
use weight_edit::WeightEdit;

const INTRODUCTION: &str =
    "Interventions are computed on a copy of the newest weights. They do not change the run unless you apply them.";
const IDLE: &str = "Ablate a component to see what it contributes. The page then shows, with and without it, the loss on this text \
                    and on the first validation windows, and the greedy completion.";

/// The view. It works on the newest weights, whatever step is shown.
pub(super) fn view(xray: XrayState) -> AnyView {
    let draft = InterventionDraft::new(xray);
    Effect::new(move |before: Option<()>| {
        xray.text.track();
        if before.is_some() {
            draft.compute();
        }
    });
    let idle = || view! { <p class="dim">{IDLE}</p> }.into_any();
    let effect = move || {
        let ready = move |step, result| effect::view(xray, step, result);
        answered(
            draft.effect.answer.get(),
            "The interventions could not be computed",
            move || draft.compute(),
            idle,
            ready,
        )
    };
    view! {
        <h2>"Interventions"</h2>
        <p class="note calm">{INTRODUCTION}</p>
        <Form draft />
        <ul class="chosen-interventions" aria-label="Interventions">{shows(move || list(draft))}</ul>
        {shows(effect)}
        <WeightEdit xray interventions=draft.interventions on_applied=Callback::new(move |()| draft.clear()) />
    }
    .into_any()
}

/// The interventions chosen, each with a button that removes it.
fn list(draft: InterventionDraft) -> AnyView {
    let item = |(index, intervention): (usize, Intervention)| {
        let label = format!("Remove: {intervention}");
        view! {
            <li>
                {intervention.to_string()}
                <button
                    class="quiet icon-only"
                    aria-label=label
                    title="Remove this intervention"
                    on:click=clicks(move |_| draft.remove(index))
                >
                    <Icon name="close" />
                </button>
            </li>
        }
    };
    draft.interventions.get().into_iter().enumerate().map(item).collect_view().into_any()
}
