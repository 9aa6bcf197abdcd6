//! The best data mix: its weights with intervals, the predicted loss beside that of equal weights, and the runs with their predictions.

use figure::Table;
use figure::number::{THIN, in_unit, short};
use leptos::prelude::*;
use research::fits::Estimate;
use research::fits::report::{FittedRun, MixFit};

use super::super::value_table::ValueTable;
use super::words::{LOSS, with_interval};
use crate::components::isolated;
use crate::components::number::counted;

#[component]
pub(super) fn MixView(fit: MixFit, runs: Vec<FittedRun>) -> impl IntoView {
    let summary = format!("Table of the {}", counted(runs.len() as u64, "run"));
    let (said, weights, table) = (said(&fit), weights(&fit), table(&fit, &runs));
    view! {
        <p role="status" class="verdict">{said}</p>
        <ValueTable table=weights />
        <details>
            <summary>{summary}</summary>
            <ValueTable table />
        </details>
    }
}

fn said(MixFit { target, fit, .. }: &MixFit) -> String {
    let of = target
        .as_ref()
        .map_or_else(|| "the mean loss of all datasets".to_owned(), |name| format!("the loss of {name}"));
    format!(
        "Predicted for the best mix: {of} is {}; with equal weights {}. The {} fit predicts a run that it has not seen with an error of \
         {}{THIN}% of the loss, and explains {:.0}{THIN}% of the variance of such runs.",
        with_interval(fit.loss, LOSS),
        with_interval(fit.uniform_loss, LOSS),
        fit.order.word(),
        short(100.0 * fit.error),
        100.0 * fit.explained,
    )
}

fn weights(MixFit { datasets, fit, .. }: &MixFit) -> Table {
    let row = |(dataset, Estimate { value, low, high }): (&String, &Estimate)| {
        vec![isolated(dataset), percent(*value), format!("{} to {}", percent(*low), percent(*high))]
    };
    let headings = ["Dataset", "Weight", "95 % interval"].map(str::to_owned).to_vec();
    Table { headings, caption: String::new(), rows: datasets.iter().zip(&fit.weights).map(row).collect() }
}

fn table(MixFit { datasets, mixes, fit, .. }: &MixFit, runs: &[FittedRun]) -> Table {
    let row = |((run, mix), predicted): ((&FittedRun, &Vec<f64>), &f64)| {
        let weights = mix.iter().map(|weight| percent(*weight));
        let losses = [in_unit(run.loss, LOSS), in_unit(*predicted, LOSS)];
        std::iter::once(isolated(&run.name)).chain(weights).chain(losses).collect()
    };
    let names = datasets.iter().map(|dataset| isolated(dataset));
    let ends = ["Loss (nats/token)", "Predicted"].map(str::to_owned);
    Table {
        headings: std::iter::once("Run".to_owned()).chain(names).chain(ends).collect(),
        caption: String::new(),
        rows: runs.iter().zip(mixes).zip(&fit.predicted).map(row).collect(),
    }
}

fn percent(weight: f64) -> String {
    format!("{:.0}{THIN}%", 100.0 * weight)
}
