//! The logit lens: the prediction of the model after each block at each position.

mod grid;
mod lens;
mod position;

use leptos::prelude::*;
use wire::inspect::request::Inspection;

use super::inspected::inspected;
use super::state::XrayState;
use super::step::StepChoice;
use super::token_text::loss_text;

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let subscription = xray.subscribe(step, |text| Some(Inspection::LogitLens { text }));
    let content = move || {
        view! {
            {loss_text(xray, subscription)}
            <grid::Grid xray subscription />
            <position::Position xray subscription />
        }
        .into_any()
    };
    view! {
        <h2>"Logit lens"</h2>
        {inspected(xray, subscription, content)}
    }
    .into_any()
}
