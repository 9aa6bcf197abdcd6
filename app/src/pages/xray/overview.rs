//! The overview: all components in the order of the forward pass, coloured by a quantity. Problems are marked whatever
//! the colours show.
//!
//! [`Overview`] is the strip above every tab; [`view`] is the tab with the text and the table.

mod component;
mod measurements;
mod strip;
mod table;

use leptos::prelude::*;
use wire::inspect::request::Inspection;

use super::inspected::inspected;
use super::state::XrayState;
use super::step::StepChoice;
use super::token_text::loss_text;
use measurements::Measurements;
pub(super) use strip::Overview;

/// The tab: the text coloured by loss, and every quantity of every component as a table.
pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let lens = xray.subscribe(step, |text| Some(Inspection::LogitLens { text }));
    let measurements = Measurements::new(xray, step);
    view! {
        <h2>"Inspected text, colored by loss"</h2>
        {inspected(xray, lens, move || loss_text(xray, lens))}
        <h2>"All components"</h2>
        {inspected(xray, measurements.forward, move || view! {
            <table::ComponentTable xray measurements />
        }.into_any())}
    }
    .into_any()
}
