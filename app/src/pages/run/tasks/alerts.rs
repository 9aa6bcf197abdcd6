//! Conditions on the scores of the run, and on its other metrics.

use leptos::prelude::*;
use wire::series::name;

use super::state::TasksState;
use crate::components::{AlertConditions, Conditions};

/// Id of the heading.
const HEADING: &str = "metric-alerts";

/// Opens the form of a new condition on a series and shows it.
pub(super) fn open_form(conditions: Conditions, series: String) {
    conditions.series.set(Some(series));
    // In the next frame, when the form is in the document.
    request_animation_frame(|| {
        if let Some(heading) = document().get_element_by_id(HEADING) {
            heading.scroll_into_view();
        }
    });
}

/// The conditions that hold for the run, with a form.
#[component]
pub(super) fn ScoreAlerts(conditions: Conditions) -> impl IntoView {
    let state = expect_context::<TasksState>();
    let offered = Signal::derive(move || {
        let known = state.known.read();
        let results = known.iter().flat_map(|known| &known.results).map(|stored| &stored.result);
        let of_task = results.flat_map(|result| {
            result.metrics.iter().map(|metric| format!("{}{}/{}", name::EVAL, result.task, metric.name))
        });
        let mut names: Vec<String> = of_task.collect();
        names.sort();
        names.dedup();
        names.extend(name::ALL.map(str::to_owned));
        names
    });
    view! {
        <h3 id=HEADING>"Alerts on metrics"</h3>
        <AlertConditions conditions offered no_permission=state.context.no_permission />
    }
}
