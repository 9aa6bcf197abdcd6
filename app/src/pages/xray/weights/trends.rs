//! How the matrices of a kind change over the snapshots: one curve for each block.

use figure::curve::point;
use figure::number;
use leptos::prelude::*;
use wire::inspect::request::{Inspection, TensorValues};
use wire::inspect::result::{InspectionResult, MatrixSummary};

use crate::components::{clicks, says, shows};
use crate::pages::xray::inspections::result::Inspected;
use crate::pages::xray::series_chart::{ComponentSeries, SeriesChart, colour};
use crate::pages::xray::state::XrayState;

/// The number of a matrix that is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trend {
    StableRank,
    Rms,
}

const TRENDS: [(Trend, &str, &str); 2] = [
    (
        Trend::StableRank,
        "stable rank",
        "|W|²_F / |W|²₂: the effective number of directions of a matrix. It falls as training makes some directions \
         dominant. Default.",
    ),
    (Trend::Rms, "RMS", "Root mean square of the values, √(Σ w² / n): the norm of a matrix relative to its size."),
];

impl Trend {
    fn of(self, matrix: &MatrixSummary) -> f64 {
        match self {
            Self::StableRank => f64::from(matrix.stable_rank),
            Self::Rms => matrix.moments.rms,
        }
    }

    fn label(self) -> &'static str {
        TRENDS.iter().find(|(trend, ..)| *trend == self).map_or("", |(_, label, _)| label)
    }
}

/// The kind of a matrix, and the label of its curve: `block.0.mlp.up` is `mlp.up` of `block 0`.
fn kind(tensor: &str) -> (&str, String) {
    match tensor.strip_prefix("block.").and_then(|rest| rest.split_once('.')) {
        Some((layer, kind)) => (kind, format!("block {layer}")),
        None => (tensor, tensor.to_owned()),
    }
}

fn matrices(snapshot: &Inspected) -> &[MatrixSummary] {
    match &snapshot.result {
        InspectionResult::Weights { matrices } => matrices,
        _ => &[],
    }
}

/// The kinds of matrices in the model's order.
fn kinds(snapshots: &[Inspected]) -> Vec<String> {
    let mut kinds: Vec<String> = vec![];
    for matrix in snapshots.last().map_or(&[][..], matrices) {
        let (kind, _) = kind(&matrix.tensor);
        if !kinds.iter().any(|known| known == kind) {
            kinds.push(kind.to_owned());
        }
    }
    kinds
}

/// The series of all matrices of a kind.
fn series(snapshots: &[Inspected], wanted: &str, trend: Trend) -> Vec<ComponentSeries> {
    let mut all: Vec<ComponentSeries> = vec![];
    for snapshot in snapshots {
        for matrix in matrices(snapshot) {
            let (kind, name) = kind(&matrix.tensor);
            if kind != wanted {
                continue;
            }
            let point = point(snapshot.step, snapshot.step as f64, trend.of(matrix));
            match all.iter_mut().find(|series| series.name == name) {
                Some(series) => series.points.push(point),
                None => all.push(ComponentSeries { name, points: vec![point] }),
            }
        }
    }
    all
}

/// The first and the last value of a series, with the name of the quantity. A matrix of zeros has no stable rank.
fn change(series: &ComponentSeries, quantity: &str) -> Option<String> {
    let (first, last) = (series.points.first()?, series.points.last()?);
    let short = |value: f64| if value.is_nan() { "–".to_owned() } else { number::short(value) };
    Some(format!("{}: {quantity} {} → {}", series.name, short(first.mean), short(last.mean)))
}

/// The chart with its choices; nothing while there are no snapshots.
#[component]
pub(super) fn Trends(xray: XrayState) -> impl IntoView {
    let snapshots = xray.inspections.all(Inspection::Weights { values: TensorValues::Weight });
    let kinds = Memo::new(move |_| kinds(&snapshots.read()));
    let (trend, chosen) = (RwSignal::new(Trend::StableRank), RwSignal::new(None::<String>));
    let wanted = Signal::derive(move || {
        let kinds = kinds.read();
        let default = || kinds.iter().find(|kind| kind.starts_with("attention.query")).or(kinds.first());
        chosen.get().or_else(|| default().cloned()).unwrap_or_default()
    });
    let series = Memo::new(move |_| series(&snapshots.read(), &wanted.get(), trend.get()));
    let label = Signal::derive(move || {
        let quantity = trend.get().label();
        let changes: Vec<String> = series.read().iter().filter_map(|one| change(one, quantity)).collect();
        format!("{} over the snapshots. {}", wanted.get(), changes.join(", "))
    });
    let is_empty = Memo::new(move |_| kinds.read().is_empty());
    shows(move || {
        (!is_empty.get()).then(|| {
            view! {
                <h3>"Matrices over the snapshots"</h3>
                {choices(kinds, wanted, chosen, trend)}
                <SeriesChart
                    xray
                    series=series.into()
                    title=Signal::derive(move || trend.get().label())
                    ends=(None, None)
                    label
                    file="matrices"
                />
                <ul class="row small legend" aria-label="Values at the first and the last snapshot">
                    {shows(move || legend(&series.read(), trend.get().label()))}
                </ul>
            }
        })
    })
}

/// The choices of the matrix and of the number.
fn choices(
    kinds: Memo<Vec<String>>,
    wanted: Signal<String>,
    chosen: RwSignal<Option<String>>,
    trend: RwSignal<Trend>,
) -> AnyView {
    let options = move || {
        let option = |kind: String| {
            let is_chosen = kind == wanted.get_untracked();
            view! { <option value=kind.clone() selected=is_chosen>{kind.clone()}</option> }
        };
        kinds.get().into_iter().map(option).collect_view()
    };
    let button = move |(each, label, meaning): (Trend, &'static str, &'static str)| {
        view! {
            <button
                class="tab"
                title=meaning
                aria-pressed=says(move || (trend.get() == each).to_string())
                on:click=clicks(move |_| trend.set(each))
            >
                {label}
            </button>
        }
    };
    view! {
        <div class="row">
            <label class="pick" title="The matrix that is drawn, one curve for each block">
                <span class="unseen">"Matrix"</span>
                <select aria-label="Matrix" on:change:target=move |event| chosen.set(Some(event.target().value()))>
                    {shows(options)}
                </select>
            </label>
            <div class="tabs" role="group" aria-label="Quantity">{TRENDS.map(button).collect_view()}</div>
        </div>
    }
    .into_any()
}

fn legend(series: &[ComponentSeries], quantity: &str) -> AnyView {
    let entry = |(index, series): (usize, &ComponentSeries)| {
        view! {
            <li title="Value at the first snapshot → value at the last snapshot">
                <i class="tone" style:background=colour(index)></i>
                {change(series, quantity)}
            </li>
        }
    };
    series.iter().enumerate().map(entry).collect_view().into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_has_a_kind_and_a_block() {
        assert_eq!(kind("block.11.mlp.up"), ("mlp.up", "block 11".to_owned()));
        assert_eq!(kind("embedding.token"), ("embedding.token", "embedding.token".to_owned()));
    }
}
