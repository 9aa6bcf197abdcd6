//! The form that adds an intervention: which component, and the factor.

use figure::number;
use leptos::prelude::*;
use wire::control::intervention::{Component, Intervention, MAX_INTERVENTIONS};
use wire::hyperparameters::table::Values;
use wire::model::ModelPlan;

use super::draft::InterventionDraft;
use crate::components::{NumberField, TypedNumber, says, shows};

/// A kind of component.
struct Kind {
    id: &'static str,
    label: &'static str,
    /// The kind of its number, if it has one.
    number: Option<&'static str>,
}

const KINDS: [Kind; 6] = [
    Kind { id: "head", label: "Attention head", number: Some("Head") },
    Kind { id: "neuron", label: "MLP neuron", number: Some("Neuron") },
    Kind { id: "attention", label: "Attention of a block", number: None },
    Kind { id: "mlp", label: "MLP of a block", number: None },
    Kind { id: "block", label: "Whole block", number: None },
    Kind { id: "position", label: "Embedding of a token", number: Some("Token position") },
];

/// Largest factor of the slider; the API takes more.
const MAX_FACTOR: &str = "3";

/// The values of the form.
#[derive(Clone, Copy)]
struct Fields {
    kind: RwSignal<String>,
    layer: TypedNumber,
    number: TypedNumber,
    factor: RwSignal<f32>,
}

impl Fields {
    /// Ablate head 0 of block 0.
    fn new(draft: InterventionDraft) -> Self {
        let kind = RwSignal::new(String::from("head"));
        let last_layer = u64::from(draft.xray.layers()).saturating_sub(1);
        let numbers = move || {
            let max = draft.xray.model.with_value(|model| max_number(&kind.read(), model)) as u64;
            Values::Integer { min: 0, max }
        };
        Self {
            kind,
            layer: TypedNumber::new(Values::Integer { min: 0, max: last_layer }, 0),
            number: TypedNumber::new(Signal::derive(numbers), 0),
            factor: RwSignal::new(0.0),
        }
    }

    /// The components named: one, or attention and MLP of a block; none while a number is missing.
    fn components(self) -> Vec<Component> {
        let layer = if self.has_layer() { self.layer.small_integer() } else { Some(0) };
        let number = if self.number_label().is_some() { self.number.small_integer() } else { Some(0) };
        let (Some(layer), Some(number)) = (layer, number) else { return vec![] };
        match self.kind.read().as_str() {
            "neuron" => vec![Component::Neuron { layer, neuron: number }],
            "attention" => vec![Component::Attention { layer }],
            "mlp" => vec![Component::Mlp { layer }],
            "block" => vec![Component::Attention { layer }, Component::Mlp { layer }],
            "position" => vec![Component::Position { at: number }],
            _ => vec![Component::Head { layer, head: number }],
        }
    }

    /// What the button does: `Ablate head 1 of block 0`.
    fn action(self) -> String {
        let verb = if self.factor.get() == 0.0 { "Ablate" } else { "Scale" };
        match self.components().as_slice() {
            [] => verb.to_owned(),
            [component] => format!("{verb} {component}"),
            _ => format!("{verb} block {}", self.layer.integer().unwrap_or(0)),
        }
    }

    fn number_label(self) -> Option<&'static str> {
        KINDS.iter().find(|kind| kind.id == *self.kind.read()).and_then(|kind| kind.number)
    }

    fn has_layer(self) -> bool {
        *self.kind.read() != "position"
    }
}

/// The largest valid number of a kind of component.
fn max_number(kind: &str, model: &ModelPlan) -> usize {
    let count = match kind {
        "neuron" => model.d_ff,
        "position" => model.seq,
        _ => model.heads,
    };
    count.saturating_sub(1)
}

/// Adds interventions; another factor for the same component replaces the one before.
fn add(draft: InterventionDraft, fields: Fields) {
    let (components, factor) = (untrack(|| fields.components()), fields.factor.get_untracked());
    if components.is_empty() {
        return;
    }
    draft.interventions.update(|interventions| {
        interventions.retain(|known| !components.contains(&known.component));
        interventions.truncate(MAX_INTERVENTIONS - components.len());
        interventions.extend(components.into_iter().map(|component| Intervention { component, factor }));
    });
    draft.compute();
}

#[component]
pub(super) fn Form(draft: InterventionDraft) -> impl IntoView {
    let fields = Fields::new(draft);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        add(draft, fields);
    };
    let has_layer = Memo::new(move |_| fields.has_layer());
    let label = Memo::new(move |_| fields.number_label());
    let layer =
        move || has_layer.get().then(|| number_input("Block", fields.layer, "Number of the block, from 0 (default 0)"));
    let number = move || {
        Some(number_input(
            label.get()?,
            fields.number,
            "Number of the head or neuron in its block, or position of the token in the text, from 0 (default 0)",
        ))
    };
    view! {
        <form class="row intervention-form" on:submit=submit>
            <KindChoice fields />
            {shows(layer)}
            {shows(number)}
            <FactorSlider fields />
            <button
                class="primary"
                type="submit"
                title="Compute the model with and without this intervention"
                disabled=move || fields.components().is_empty()
            >
                {shows(move || fields.action())}
            </button>
        </form>
    }
}

#[component]
fn KindChoice(fields: Fields) -> impl IntoView {
    let options = KINDS.iter().map(|kind| view! { <option value=kind.id>{kind.label}</option> });
    view! {
        <label class="field" title="The component whose output is multiplied by the factor">
            <span class="label">"Component"</span>
            <select on:change:target=move |event| fields.kind.set(event.target().value())>
                {options.collect_view()}
            </select>
        </label>
    }
}

fn number_input(label: &'static str, number: TypedNumber, title: &'static str) -> AnyView {
    view! {
        <label class="field" title=title>
            <span class="label">{label}</span>
            <NumberField number />
        </label>
    }
    .into_any()
}

#[component]
fn FactorSlider(fields: Fields) -> impl IntoView {
    let factor = fields.factor;
    let label = move || match factor.get() {
        0.0 => "Factor 0 (ablate)".to_owned(),
        factor => format!("Factor {}", number::short(f64::from(factor))),
    };
    view! {
        <label
            class="field"
            title="The output of the component is multiplied by this factor: 0 ablates it (default), 1 changes nothing"
        >
            <span class="label">{shows(label)}</span>
            <input
                type="range"
                min="0"
                max=MAX_FACTOR
                step="0.1"
                prop:value=says(move || factor.get().to_string())
                on:input:target=move |event| factor.set(event.target().value().parse().unwrap_or(0.0))
            />
        </label>
    }
}
