//! The token embeddings on their first two principal components, aligned from step to step, with trails and nearest
//! neighbours. On modular arithmetic also the spectrum of the numbers' embedding.

mod alignment;
mod neighbours;
mod projection;
mod scatter;
pub(super) mod spectrum;

use leptos::prelude::*;
use wire::inspect::request::Inspection;
use wire::inspect::result::InspectionResult;

use super::inspected::inspected;
use super::state::XrayState;
use super::step::StepChoice;
use super::tokens::percent;
use crate::components::{clicks, says};
use projection::Projection;

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let subscription = xray.subscribe(step, |_| Some(Inspection::Embedding {}));
    let projection = Projection::new(xray, subscription);
    let content = move || {
        view! {
            <scatter::Scatter projection />
            <Tools projection />
            <neighbours::Neighbours projection />
            <spectrum::Spectrum subscription />
        }
        .into_any()
    };
    view! {
        <h2 title="Name in TransformerLens, a Python library for the inspection of language models: W_E">"Token embeddings"</h2>
        {inspected(xray, subscription, content)}
    }
    .into_any()
}

/// The switch of the trails, and the variance that the two axes explain.
#[component]
fn Tools(projection: Projection) -> impl IntoView {
    let explained = move || match projection.subscription.result.get()?.result {
        InspectionResult::Embedding { explained: [first, second], .. } => Some(variance(first, second)),
        _ => None,
    };
    let has_trails = projection.has_trails;
    view! {
        <p class="row small dim">
            <button
                class="switch"
                aria-pressed=says(move || has_trails.get().to_string())
                title="Show how the chosen token and its 3 nearest neighbors move over the snapshots; on by \
                       default"
                on:click=clicks(move |_| has_trails.update(|has| *has = !*has))
            >
                "Trails"
            </button>
            <span title="Variance of the embeddings along a principal component over the variance in all dimensions">
                {explained}
            </span>
        </p>
    }
}

fn variance(first: f32, second: f32) -> String {
    let [both, first, second] = [first + second, first, second].map(|share| percent(f64::from(share)));
    format!("The two axes explain {both} of the variance ({first} horizontally, {second} vertically)")
}
