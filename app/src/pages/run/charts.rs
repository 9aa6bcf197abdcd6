//! The smaller charts, on the x axis and crosshair of the loss: learning rate ([`super::schedule`]), gradient norm,
//! throughput, step time, memory, validation loss by dataset, and update ratio by layer.

use std::collections::BTreeMap;

use figure::scene::Role;
use figure::spec::Reference;
use figure::{ChartSpec, ScaleKind, Style};
use leptos::prelude::*;
use wire::LivePath;
use wire::series::{Bucket, UPDATE_RATIOS, describe, name};

use super::RunContext;
use super::loss_chart::{history, measured, own_role, shared};
use super::schedule::LearningRateChart;
use super::small_chart::{SmallChart, mean};
use crate::components::chart::{ChartContent, Line};

#[component]
pub(super) fn Charts() -> impl IntoView {
    let has_mix = expect_context::<RunContext>().run.with_untracked(|run| run.view.plan.mix.len() > 1);
    let of = |series: &str| describe(series).meaning.to_owned();
    view! {
        <div class="small-charts">
            <LearningRateChart />
            <SmallChart title="Gradient norm" unit="" meaning=of(name::GRAD_NORM) paint=paint_norm />
            <SmallChart
                title="Throughput"
                unit="tok/s"
                meaning="Training tokens per second of each step. The value beside the progress is a moving average over \
                    about the last 10 steps.".into()
                paint=paint_throughput
            />
            <SmallChart title="Step time" unit="ms, by phase" meaning=of(name::STEP_MS) paint=paint_phases />
            <SmallChart
                title="Memory"
                unit=""
                meaning="Resident memory of the process that trains the run and, on a GPU, memory in use on the device.".into()
                paint=paint_memory
            />
            {has_mix.then(|| view! {
                <SmallChart
                    title="Validation loss by dataset"
                    unit="nats/token"
                    meaning="Mean cross-entropy, −ln p(next token), over the validation split of each dataset.".into()
                    paint=paint_datasets
                />
                <SmallChart title="Data mix" unit="" meaning=of(name::MIX_WEIGHT) paint=paint_mix />
            })}
            <SmallChart
                title="Update ratio"
                unit="by block"
                meaning=format!(
                    "Norm of one optimizer update over the norm of the weights, |ΔW| / |W|, averaged over the matrices of a block. \
                     {UPDATE_RATIOS}"
                )
                paint=paint_updates
            />
        </div>
    }
}

fn paint_norm(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let max = run.view.hyperparameters.get(LivePath::GRAD_CLIP, run.view.summary.step);
    let reference = Reference { label: "gradient clipping".into(), value: max, role: Role::InkFaint };
    let references = if max > 0.0 { vec![reference] } else { vec![] };
    let mut lines = history(context, &run, name::GRAD_NORM, "norm", Role::InkFaint);
    lines.push(Line { is_live: run.is_training(), ..measured(&run, name::GRAD_NORM, "norm", own_role(&run)) });
    let spec = ChartSpec {
        title: "gradient norm".into(),
        unit: String::new(),
        references,
        has_zero: true,
        ..content.spec.clone()
    };
    ChartContent { spec, lines, ..content }
}

fn paint_throughput(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let series = measured(&run, name::TOKENS_PER_SEC, "throughput", own_role(&run));
    let line = Line { is_live: run.is_training(), ..series };
    // The first step compiles kernels and fills caches: it is marked at the edge, so that it does not compress the
    // scale.
    let spec = ChartSpec {
        title: "throughput".into(),
        unit: "tok/s".into(),
        has_zero: true,
        y_from: from_zero(&line.buckets),
        y_fraction: Some(0.99),
        ..content.spec.clone()
    };
    ChartContent { spec, lines: vec![line], ..content }
}

fn paint_phases(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let phases = [
        (name::GRADIENT_MS, "forward + backward", 0),
        (name::OPTIMIZER_MS, "optimizer", 1),
        (name::BATCH_MS, "data loading", 3),
        (name::OTHER_MS, "other", 7),
    ];
    let lines = phases
        .map(|(series, label, role)| Line { style: Style::Stacked, ..measured(&run, series, label, Role::Run(role)) });
    let y_from = from_zero(&lines[0].buckets);
    let lines = lines.into();
    let spec =
        ChartSpec { title: "step time".into(), unit: "ms".into(), has_zero: true, y_from, ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}

fn paint_memory(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let kinds = [(name::PROCESS_BYTES, "process", 0), (name::DEVICE_BYTES, "device", 1)];
    let lines = kinds.map(|(series, label, role)| measured(&run, series, label, Role::Run(role)));
    let y_from = from_zero(&lines[0].buckets);
    let lines = lines.into_iter().filter(|line| !line.buckets.is_empty()).collect();
    let spec = ChartSpec { title: "memory".into(), unit: "B".into(), has_zero: true, y_from, ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}

fn paint_updates(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let mut layers: BTreeMap<(u32, String), Vec<&str>> = BTreeMap::new();
    for series in run.curves.names().filter(|series| is_matrix_ratio(series)) {
        layers.entry(layer(series)).or_default().push(series);
    }
    let references = vec![Reference { label: "typical".into(), value: 1e-3, role: Role::InkFaint }];
    let lines = layers.into_iter().enumerate().map(|(place, ((_, layer), series))| {
        let buckets = mean(series.into_iter().map(|series| run.curves.shown(series)).collect());
        // The embedding is grey, so that its blue is not that of a block.
        let role = if layer == EMBEDDING { Role::Run(7) } else { Role::Run(place as u8) };
        Line::new(layer, "Mean over the matrices of the block.", role, buckets)
    });
    let lines = lines.collect();
    let spec = ChartSpec {
        title: "update ratio".into(),
        unit: "ratio".into(),
        y_scale: ScaleKind::Log,
        references,
        ..content.spec.clone()
    };
    ChartContent { spec, lines, ..content }
}

fn paint_datasets(context: RunContext) -> ChartContent {
    by_dataset(context, name::VALID_OF, "validation loss by dataset", "nats/token")
}

fn paint_mix(context: RunContext) -> ChartContent {
    by_dataset(context, name::MIX_WEIGHT, "weight by dataset", "")
}

/// A curve for each dataset, in the order of the mix.
fn by_dataset(context: RunContext, prefix: &str, title: &str, unit: &str) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let datasets = run.view.plan.corpora();
    let lines = datasets.iter().enumerate().map(|(place, dataset)| {
        let series = format!("{prefix}{dataset}");
        measured(&run, &series, dataset.as_str(), Role::Run(place as u8))
    });
    let lines = lines.collect();
    let spec = ChartSpec { title: title.into(), unit: unit.into(), ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}

/// The lower end of the axis of a quantity that is never negative, before its first value: without values the axis is around 0.
fn from_zero(buckets: &[Bucket]) -> Option<f64> {
    buckets.is_empty().then_some(0.0)
}

/// Whether the page shows a series that not every run has.
pub(super) fn is_shown(series: &str) -> bool {
    let prefixes = [name::EPOCHS, name::VALID_OF, name::MIX_WEIGHT];
    is_matrix_ratio(series) || prefixes.iter().any(|prefix| series.starts_with(prefix))
}

/// Whether a series is shown by the charts of [`super::diagnosis_charts`] or the table of [`super::operator_table`].
pub(super) fn is_of_diagnosis(series: &str) -> bool {
    let prefixes = [name::ATTENTION_ENTROPY, name::ATTENTION_LOGIT, name::DEAD_NEURONS, name::OPERATOR_MS];
    prefixes.iter().any(|prefix| series.starts_with(prefix))
        || [name::DUPLICATE_WINDOWS, name::NOISE_SCALE, name::LOSS_SCALE].contains(&series)
}

/// Whether a series is the update ratio of a matrix: biases and the gains of norms have another scale.
fn is_matrix_ratio(series: &str) -> bool {
    series
        .strip_prefix(name::UPDATE_RATIO)
        .is_some_and(|parameter| !parameter.ends_with(".bias") && !parameter.split('.').any(|part| part == "norm"))
}

/// Name of the token embedding.
const EMBEDDING: &str = "embedding";

/// The layer of a series with its place in the model: `embedding`, `block 0`, ..., `head`.
fn layer(series: &str) -> (u32, String) {
    let parameter = series.strip_prefix(name::UPDATE_RATIO).unwrap_or(series);
    let mut parts = parameter.split('.');
    match (parts.next().unwrap_or_default(), parts.next().and_then(|number| number.parse::<u32>().ok())) {
        ("block", Some(number)) => (1 + number, format!("block {number}")),
        (EMBEDDING, _) => (0, EMBEDDING.into()),
        (other, _) => (u32::MAX, other.to_owned()),
    }
}
