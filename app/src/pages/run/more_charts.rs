//! The charts of the metrics that diagnosis reads and the evaluation tasks, below the small charts. They are closed at first: their code and their series are loaded
//! when they are first opened.

use leptos::prelude::*;

use super::RunContext;
use super::details::{Detail, Loaded};
use crate::components::shows;

/// The button that opens the charts, and the charts.
#[component]
pub(super) fn MoreCharts() -> impl IntoView {
    let is_open = expect_context::<RunContext>().has_more_charts;
    view! {
        <div class="more-charts">
            <button
                class="quiet"
                aria-expanded=move || is_open.get().to_string()
                title="Evaluation tasks, attention entropy, largest attention scores, dead neurons, duplicate windows, gradient noise scale, times of operators"
                on:click=move |_| is_open.update(|open| *open = !*open)
            >
                {move || if is_open.get() { "Hide tasks and metrics for diagnosis" } else { "Show tasks and metrics for diagnosis" }}
            </button>
            {shows(move || is_open.get().then(|| view! { <Loaded detail=Detail::DiagnosisCharts /> }))}
        </div>
    }
}
