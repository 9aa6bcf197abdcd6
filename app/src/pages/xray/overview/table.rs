//! Every quantity of every component as a table.

use figure::number;
use leptos::prelude::*;
use wire::inspect::result::ComponentStats;

use super::measurements::{Measurements, components};
use crate::components::shows;
use crate::pages::xray::hook_point;
use crate::pages::xray::location::Location;
use crate::pages::xray::quantity::{Coloured, QUANTITIES};
use crate::pages::xray::scroll_table::scroll_table;
use crate::pages::xray::state::XrayState;

const STREAM: &str = "Root mean square of the residual stream after the component, √(Σ x² / n)";
const COMPONENT: &str = "Name of the component, and below it the name of its output in TransformerLens, a Python library for the \
                         inspection of language models";

#[component]
pub(super) fn ComponentTable(xray: XrayState, measurements: Measurements) -> impl IntoView {
    let rows = move || {
        let result = measurements.forward.result.get();
        let columns: Vec<Vec<Coloured>> =
            QUANTITIES.iter().map(|about| measurements.coloured(about.quantity)).collect();
        let problems = measurements.problems();
        let components = components(result.as_ref()).iter().enumerate();
        components
            .map(|(index, component)| row(xray, index, component, &columns, problems.get(index).cloned().flatten()))
            .collect_view()
    };
    let headings = QUANTITIES
        .iter()
        .map(|about| view! { <th scope="col" class="right" title=about.tooltip()>{about.label}</th> })
        .collect_view();
    let table = view! {
        <table class="dense">
            <thead><tr>
                <th scope="col" title=COMPONENT>"component (TransformerLens hook)"</th>
                <th scope="col" class="problem" title="What is wrong with the component">"problem"</th>
                <th scope="col" class="right" title=STREAM>"residual RMS"</th>
                {headings}
            </tr></thead>
            <tbody>{shows(rows)}</tbody>
        </table>
    };
    scroll_table("All components", table)
}

fn row(
    xray: XrayState,
    index: usize,
    component: &ComponentStats,
    columns: &[Vec<Coloured>],
    problem: Option<String>,
) -> AnyView {
    let cells = QUANTITIES.iter().zip(columns).map(|(about, column)| {
        let value = column.get(index).and_then(|coloured| coloured.value);
        view! { <td class="right mono">{value.map_or("–".into(), |value| about.quantity.written(value))}</td> }
    });
    let name = component.name.clone();
    // The final norm and the head read the residual stream and do not add to it.
    let stream = hook_point::residual_after(&name).filter(|_| component.stream_rms > 0.0);
    let stream = stream.map_or("–".into(), |_| number::short(f64::from(component.stream_rms)));
    let stream_title = hook_point::residual_after(&name).map(|hook_point| format!("hook point {hook_point}"));
    let hook_point = xray.model.with_value(|model| hook_point::of_component(&name, model));
    let has_problem = problem.is_some();
    let path = xray.path(&Location::of_component(&name));
    view! {
        <tr class:has-problem=has_problem>
            <th scope="row">
                <a title="Open the view of this component" href=path>{name}</a>
                <span class="hook-point mono small dim">{hook_point}</span>
            </th>
            <td class="wrap">{problem.map_or_else(|| view! { <span class="dim">"none"</span> }.into_any(), IntoAny::into_any)}</td>
            <td class="right mono" title=stream_title>{stream}</td>
            {cells.collect_view()}
        </tr>
    }
    .into_any()
}
