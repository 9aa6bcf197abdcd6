//! One neuron: the validation contexts in which it is most active.

use figure::number;
use leptos::prelude::*;
use wire::inspect::request::Inspection;
use wire::inspect::result::{Histogram, InspectionResult, NeuronContext};

use super::inspected::inspected;
use super::location::Location;
use super::state::XrayState;
use super::step::StepChoice;
use super::token_text::still_token;
use super::tokens::visible;
use super::{histogram, hook_point};
use crate::components::shows;

/// Tokens shown on each side of the strongest.
const AROUND: usize = 24;

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let chosen = Memo::new(move |_| match *xray.location.read() {
        Location::Neuron { layer, neuron } => (layer, neuron),
        _ => (0, 0),
    });
    let subscription = xray.subscribe(step, move |_| {
        let (layer, neuron) = chosen.get();
        Some(Inspection::Neuron { layer, neuron })
    });
    let found = Memo::new(move |_| match &subscription.result.get()?.result {
        InspectionResult::Neuron { contexts, read, .. } => Some((contexts.clone(), *read)),
        _ => None,
    });
    let sizes = Signal::derive(move || match subscription.result.get().map(|shown| shown.result.clone()) {
        Some(InspectionResult::Neuron { histogram, .. }) => histogram,
        _ => Histogram::default(),
    });
    let summary = move || found.get().map(|(contexts, read)| summary(contexts.len(), read));
    let contexts = move || found.get().map(|(contexts, _)| contexts.into_iter().map(context).collect_view());
    let content = move || {
        view! {
            <p class="dim">{shows(summary)}</p>
            <ol class="contexts">{shows(contexts)}</ol>
            {histogram::figure(sizes, "Histogram of its activations")}
        }
        .into_any()
    };
    let hook_point = move || {
        let (layer, neuron) = chosen.get();
        format!("{}[:, :, {neuron}]", hook_point::neurons(layer))
    };
    view! {
        <h2>{shows(move || format!("Neuron {} of block {}", chosen.get().1, chosen.get().0))}</h2>
        {hook_point::caption(hook_point)}
        {inspected(xray, subscription, content)}
    }
    .into_any()
}

fn summary(contexts: usize, read: u64) -> String {
    let read = number::with_unit(read as f64, "tokens");
    format!(
        "The {contexts} contexts with the largest activations among {read} of the validation split; a stronger color \
         is a larger activation."
    )
}

/// A context: its largest activation and the tokens around it.
fn context(context: NeuronContext) -> impl IntoView {
    let NeuronContext { window, tokens, activations, at } = context;
    let at = at as usize;
    let most = activations.iter().copied().fold(1e-9, f32::max);
    let strongest = number::short(f64::from(activations.get(at).copied().unwrap_or(0.0)));
    let near = tokens.into_iter().zip(activations).enumerate().skip(at.saturating_sub(AROUND)).take(2 * AROUND);
    let words = near.map(|(place, (word, value))| {
        let title = format!("“{}”: activation {}", visible(&word), number::short(f64::from(value)));
        still_token(&word, value / most, place == at, title)
    });
    view! {
        <li>
            <span class="small dim mono" title="Largest activation, and the validation window it was found in">
                {format!("{strongest} · window {window}")}
            </span>
            <p class="token-text">{words.collect_view()}</p>
        </li>
    }
}
