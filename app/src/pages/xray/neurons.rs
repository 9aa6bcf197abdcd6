//! The neurons of a block's MLP: their activations over the text, and how many are dead or saturated.

mod heat_map;
mod result;

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::inspect::request::Inspection;
use wire::inspect::result::{Histogram, InspectionResult};
use wire::series::definition;

use super::inspected::inspected;
use super::location::Location;
use super::state::XrayState;
use super::step::StepChoice;
use super::subscription::Subscription;
use super::token_text::token_text;
use super::tokens::{percent, visible};
use super::{histogram, hook_point, timeline};
use crate::components::{Number, NumberField, TypedNumber, says, shows};
use heat_map::HeatMapOfNeurons;
use result::Neurons;

const WIDTH: &str = "Number of neurons: the width of the MLP, d_ff";
const SATURATED: &str = "Fraction of pre-activations with an absolute value of 4 or more, where the non-linearity is \
    nearly linear or nearly 0.";

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let layer = Memo::new(move |_| match *xray.location.read() {
        Location::Neurons { layer } => layer,
        _ => 0,
    });
    let exists = Memo::new(move |_| layer.get() < xray.layers());
    let subscription =
        xray.subscribe(step, move |text| exists.get().then(|| Inspection::Neurons { text, layer: layer.get() }));
    let row = RwSignal::new(None::<u32>);
    let sizes = Signal::derive(move || match subscription.result.get().map(|shown| shown.result.clone()) {
        Some(InspectionResult::Neurons { histogram, .. }) => histogram,
        _ => Histogram::default(),
    });
    let content = move || {
        view! {
            <Facts subscription />
            <HeatMapOfNeurons xray subscription row layer />
            <ChosenNeuron xray subscription row />
            {histogram::figure(sizes, "Histogram of the activations")}
            <NeuronForm xray layer />
        }
        .into_any()
    };
    let to: fn(u32) -> Location = |layer| Location::Neurons { layer };
    let block = move || match exists.get() {
        false => timeline::missing_block(xray, layer.get(), to),
        true => view! {
            <h2>{shows(move || format!("Neurons of block {}", layer.get()))}</h2>
            {hook_point::caption(move || hook_point::neurons(layer.get()))}
            {timeline::block_tabs(xray, move || layer.get(), to)}
            {inspected(xray, subscription, content)}
        }
        .into_any(),
    };
    shows(block)
}

#[component]
fn Facts(subscription: Subscription) -> impl IntoView {
    let fraction = |value: f32| percent(f64::from(value));
    shows(move || match &subscription.result.get()?.result {
        InspectionResult::Neurons { total, dead, saturated, .. } => Some(view! {
            <dl class="figures across">
                <div><dt>"neurons"</dt><dd><Number text=number::whole(u64::from(*total)) meaning=WIDTH /></dd></div>
                <div><dt>"dead on this text"</dt><dd><Number text=fraction(*dead) meaning=definition::DEAD_NEURONS /></dd></div>
                <div><dt>"saturated"</dt><dd><Number text=fraction(*saturated) meaning=SATURATED /></dd></div>
            </dl>
        }),
        _ => None,
    })
}

/// The neuron pointed at in words, and the text coloured by its activations.
#[component]
fn ChosenNeuron(xray: XrayState, subscription: Subscription, row: RwSignal<Option<u32>>) -> impl IntoView {
    let tokens = Signal::derive(move || {
        let result = subscription.result.get();
        Neurons::of(result.as_ref()).map(|neurons| neurons.tokens.to_vec()).unwrap_or_default()
    });
    let tints = Signal::derive(move || {
        let result = subscription.result.get();
        Neurons::of(result.as_ref()).zip(row.get()).map(|(neurons, row)| neurons.tints(row)).unwrap_or_default()
    });
    let activation = move || {
        let (result, row) = (subscription.result.get()?, row.get()?);
        let neurons = Neurons::of(Some(&result))?;
        let (neuron, token) = (neurons.neurons.get(row as usize)?, xray.token.get()?);
        let value = neurons.activations.value(row as usize, token)?;
        let word = visible(neurons.tokens.get(token)?);
        let value = number::short(f64::from(value));
        Some(format!("activation of neuron {neuron} at “{word}”: {value}; click to see what activates it most"))
    };
    let none = || "Tap or point at a neuron to color the text below by its activations".to_owned();
    view! {
        <p class="small" role="status">{shows(move || activation().unwrap_or_else(none))}</p>
        {token_text(xray, "The text, colored by the activation of the chosen neuron", tokens, tints)}
    }
}

/// Opens a neuron by its number.
#[component]
fn NeuronForm(xray: XrayState, layer: Memo<u32>) -> impl IntoView {
    let last = xray.model.with_value(|model| model.d_ff as u64).saturating_sub(1);
    let number = TypedNumber::new(Values::Integer { min: 0, max: last }, "");
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(neuron) = untrack(|| number.small_integer()) {
            xray.go(&Location::Neuron { layer: layer.get_untracked(), neuron });
        }
    };
    let title = format!("Number of the neuron, 0 to {last}");
    view! {
        <form class="row" on:submit=submit>
            <label class="row" title=title>
                "Neuron"
                <NumberField number />
            </label>
            <button
                type="submit"
                title=says(move || match number.is_readable() {
                    true => "Show the validation contexts in which this neuron is most active".to_owned(),
                    false => format!("Enter the number of a neuron first, 0 to {last}."),
                })
                disabled=move || !number.is_readable()
            >
                "Show its top contexts"
            </button>
        </form>
    }
}
