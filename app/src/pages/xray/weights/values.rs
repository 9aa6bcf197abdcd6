//! Which values of the parameters are shown: weights, gradient or update.

use leptos::prelude::*;
use wire::inspect::request::TensorValues;

use crate::components::{clicks, says};
use crate::pages::xray::location::{Location, VALUES};
use crate::pages::xray::state::XrayState;

/// The values that the location names.
pub(in crate::pages::xray) fn chosen(xray: XrayState) -> TensorValues {
    match *xray.location.read() {
        Location::Weights { values } | Location::Matrix { values, .. } => values,
        _ => TensorValues::Weight,
    }
}

fn tooltip(values: TensorValues) -> &'static str {
    match values {
        TensorValues::Weight => "The values of the parameter (default)",
        TensorValues::Gradient => "The gradient of the mean loss over validation window 0, without dropout",
        TensorValues::Update => {
            "The update of the next optimizer step, without weight decay. AdamW: −learning rate · m̂ / (√v̂ + \
             ε); Muon: −learning rate · orthogonalized momentum"
        }
    }
}

/// The choice; `to` gives the location of each.
pub(in crate::pages::xray) fn choice(
    xray: XrayState,
    to: impl Fn(TensorValues) -> Location + Copy + Send + Sync + 'static,
) -> AnyView {
    let button = move |(values, word): (TensorValues, &'static str)| {
        let is_chosen = move || chosen(xray) == values;
        view! {
            <button
                class="tab"
                title=tooltip(values)
                aria-pressed=says(move || is_chosen().to_string())
                on:click=clicks(move |_| xray.go(&to(values)))
            >
                {word}
            </button>
        }
    };
    view! { <div class="tabs" role="group" aria-label="Values shown">{VALUES.map(button).collect_view()}</div> }
        .into_any()
}
