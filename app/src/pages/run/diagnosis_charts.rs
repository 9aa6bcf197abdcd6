//! The charts of the metrics that diagnosis reads: attention and neurons by layer, duplicate windows, the gradient noise scale, and the loss
//! scale of runs in float16.

use std::collections::BTreeMap;

use figure::scene::Role;
use figure::spec::Reference;
use figure::{ChartSpec, ScaleKind};
use leptos::prelude::*;
use wire::hyperparameters::recipe::Precision;
use wire::series::{describe, name};

use super::RunContext;
use super::loss_chart::{measured, own_role, shared};
use super::open_run::OpenRun;
use super::small_chart::{SmallChart, mean};
use crate::components::chart::{ChartContent, Line};

#[component]
pub(super) fn DiagnosisCharts() -> impl IntoView {
    let of = |series: &str| describe(series).meaning.to_owned();
    let entropy = format!("{} Each curve is the mean over the heads of a block.", of(name::ATTENTION_ENTROPY));
    let precision = expect_context::<RunContext>().run.read_untracked().view.plan.recipe.compute.precision;
    let is_scaled = precision == Precision::Float16;
    view! {
        <div class="small-charts">
            <SmallChart title="Attention entropy" unit="nats, by block" meaning=entropy paint=paint_entropy />
            <SmallChart
                title="Largest attention score"
                unit="by block"
                meaning=of(name::ATTENTION_LOGIT)
                paint=paint_scores
            />
            <SmallChart title="Dead neurons" unit="fraction, by block" meaning=of(name::DEAD_NEURONS) paint=paint_dead />
            <SmallChart
                title="Duplicate windows"
                unit="windows"
                meaning=of(name::DUPLICATE_WINDOWS)
                paint=paint_duplicates
            />
            <SmallChart
                title="Gradient noise scale"
                unit="tokens"
                meaning=of(name::NOISE_SCALE)
                paint=paint_noise_scale
            />
            {is_scaled
                .then(|| {
                    view! {
                        <SmallChart
                            title="Loss scale"
                            unit="factor"
                            meaning=of(name::LOSS_SCALE)
                            paint=paint_loss_scale
                        />
                    }
                })}
        </div>
    }
}

fn paint_entropy(context: RunContext) -> ChartContent {
    by_layer(context, name::ATTENTION_ENTROPY, "attention entropy", "nats")
}

fn paint_scores(context: RunContext) -> ChartContent {
    by_layer(context, name::ATTENTION_LOGIT, "largest attention score", "")
}

fn paint_dead(context: RunContext) -> ChartContent {
    by_layer(context, name::DEAD_NEURONS, "dead neurons", "")
}

/// A curve for each layer; where a layer has several series, by head, their mean.
fn by_layer(context: RunContext, prefix: &'static str, title: &str, unit: &str) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let layers = layers(&run, prefix);
    let is_mean = layers.values().any(|series| series.len() > 1);
    let about = if is_mean { "Mean over the heads of the block." } else { describe(prefix).meaning };
    let lines = layers.into_iter().map(|(layer, series)| {
        let buckets = mean(series.into_iter().map(|series| run.curves.shown(series)).collect());
        Line::new(format!("block {layer}"), about, Role::Run(layer as u8), buckets)
    });
    let lines = lines.collect();
    let spec = ChartSpec { title: title.into(), unit: unit.into(), has_zero: true, ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}

/// The series below a prefix by layer, the number after it.
fn layers<'a>(run: &'a OpenRun, prefix: &str) -> BTreeMap<u32, Vec<&'a str>> {
    let mut layers: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for series in run.curves.names() {
        let rest = series.strip_prefix(prefix).map(|rest| rest.split('.').next().unwrap_or(rest));
        if let Some(layer) = rest.and_then(|layer| layer.parse().ok()) {
            layers.entry(layer).or_default().push(series);
        }
    }
    layers
}

fn paint_duplicates(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let lines = vec![measured(&run, name::DUPLICATE_WINDOWS, "windows", own_role(&run))];
    let spec =
        ChartSpec { title: "duplicate windows".into(), unit: "windows".into(), has_zero: true, ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}

fn paint_noise_scale(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let step = run.view.summary.step;
    let tokens = run.view.hyperparameters.accumulation.at(step) * run.view.plan.tokens_per_micro_batch();
    let references = vec![Reference { label: "tokens of a step".into(), value: tokens as f64, role: Role::InkFaint }];
    let lines = vec![measured(&run, name::NOISE_SCALE, "noise scale", own_role(&run))];
    let spec = ChartSpec {
        title: "gradient noise scale".into(),
        unit: "tokens".into(),
        y_scale: ScaleKind::Log,
        references,
        ..content.spec.clone()
    };
    ChartContent { spec, lines, ..content }
}

fn paint_loss_scale(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let lines = vec![measured(&run, name::LOSS_SCALE, "factor", own_role(&run))];
    let spec =
        ChartSpec { title: "loss scale".into(), unit: String::new(), y_scale: ScaleKind::Log, ..content.spec.clone() };
    ChartContent { spec, lines, ..content }
}
