//! The smaller charts, on the loss's x axis and crosshair: the rate ([`super::course`]), gradient norm, speed, time by phase,
//! memory, update over weight by layer.

use std::collections::BTreeMap;

use figure::chart::Reference;
use figure::scene::Role;
use figure::{ChartSpec, ScaleKind, Style};
use leptos::prelude::*;
use wire::SetField;
use wire::series::{Bucket, describe, name};

use super::chart::{Chart, Line, Picture};
use super::course::RateChart;
use super::loss::{history, measured, own_role, shared};
use super::{Desk, mix};

/// The charts.
#[component]
pub(crate) fn Instruments() -> impl IntoView {
    let fixed = |series: &str| describe(series).meaning.to_owned();
    let has_texts = expect_context::<Desk>().run.with_untracked(|run| run.view.plan.mix.len() > 1);
    view! {
        <div class="instruments">
            <RateChart />
            <Chart title="Gradient norm".to_owned() unit="loss / weight".to_owned() meaning=fixed(name::GRAD_NORM) paint=paint_norm />
            <Chart title="Speed".to_owned() unit="tok/s".to_owned() meaning=fixed(name::TOKENS_PER_SEC) paint=paint_speed />
            <Chart title="Step time".to_owned() unit="ms, by phase".to_owned() meaning=fixed(name::STEP_MS) paint=paint_phases />
            <Chart title="Memory".to_owned() unit="B".to_owned() meaning="Memory of the training process, and in use on the device where it can be known." paint=paint_memory />
            {has_texts.then(|| view! { <Chart title="Validation by text".to_owned() unit="nats / token".to_owned() meaning="Validation loss on each text of the mix by itself." paint=paint_texts /> })}
            <Chart title="Update / weight".to_owned() unit="ratio, by layer".to_owned() meaning="Norm of a step's update over the norm of the weights: the mean over the matrices of a layer. About 1e-3 is healthy." paint=paint_updates />
        </div>
    }
}

fn paint_norm(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let clip = run.view.dials.get(SetField::Clip, run.view.summary.step);
    let references =
        if clip > 0.0 { vec![Reference { label: "clip".into(), value: clip, role: Role::InkFaint }] } else { vec![] };
    let mut lines = history(desk, &run, name::GRAD_NORM, "norm", Role::InkFaint);
    lines.push(Line { is_live: run.is_glowing(), ..measured(&run, name::GRAD_NORM, "norm", own_role(&run)) });
    Picture {
        spec: ChartSpec {
            title: "gradient norm".into(),
            unit: "loss / weight".into(),
            references,
            has_zero: true,
            ..spec
        },
        lines,
        marked,
    }
}

fn paint_speed(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let line = Line { is_live: run.is_glowing(), ..measured(&run, name::TOKENS_PER_SEC, "speed", own_role(&run)) };
    // The first step compiles kernels and fills caches: it is told at the edge, not by a scale that hides the rest.
    Picture {
        spec: ChartSpec { title: "speed".into(), unit: "tok/s".into(), has_zero: true, y_share: Some(0.99), ..spec },
        lines: vec![line],
        marked,
    }
}

fn paint_phases(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let phases = [
        (name::GRADIENT_MS, "gradient", 0),
        (name::OPTIMIZER_MS, "optimizer", 1),
        (name::BATCH_MS, "batch", 3),
        (name::OTHER_MS, "other", 7),
    ];
    let lines = phases
        .map(|(series, label, role)| Line { style: Style::Stacked, ..measured(&run, series, label, Role::Run(role)) })
        .into();
    Picture { spec: ChartSpec { title: "step time".into(), unit: "ms".into(), has_zero: true, ..spec }, lines, marked }
}

fn paint_memory(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let kinds = [(name::PROCESS_BYTES, "process", 0), (name::DEVICE_BYTES, "device", 1)];
    let lines = kinds.map(|(series, label, role)| measured(&run, series, label, Role::Run(role)));
    let lines = lines.into_iter().filter(|line| !line.buckets.is_empty()).collect();
    Picture { spec: ChartSpec { title: "memory".into(), unit: "B".into(), has_zero: true, ..spec }, lines, marked }
}

fn paint_updates(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let mut layers: BTreeMap<(u32, String), Vec<&str>> = BTreeMap::new();
    for series in run.curves.names().filter(|series| layer_series(series)) {
        layers.entry(layer(series)).or_default().push(series);
    }
    let references = vec![Reference { label: "usual".into(), value: 1e-3, role: Role::InkFaint }];
    let lines = layers.into_iter().enumerate().map(|(place, ((_, layer), series))| Line {
        name: layer,
        meaning: "Mean over the layer's matrices.".into(),
        role: Role::Run(place as u8),
        style: Style::Measured,
        is_live: false,
        smoothing: None,
        is_past: false,
        buckets: mean(series.into_iter().map(|series| run.curves.shown(series)).collect()),
    });
    Picture {
        lines: lines.collect(),
        spec: ChartSpec {
            title: "update / weight".into(),
            unit: "ratio".into(),
            y_scale: ScaleKind::Log,
            references,
            ..spec
        },
        marked,
    }
}

/// A curve for each text, in the mix's order.
fn paint_texts(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let texts = run.view.plan.corpora();
    let lines = texts
        .iter()
        .enumerate()
        .map(|(place, text)| measured(&run, &format!("{}{text}", mix::VALID), text.as_str(), Role::Run(place as u8)));
    Picture {
        lines: lines.collect(),
        spec: ChartSpec { title: "validation by text".into(), unit: "nats / token".into(), ..spec },
        marked,
    }
}

/// Whether a series that not every run has is shown on the page.
pub(crate) fn is_kept(series: &str) -> bool {
    layer_series(series) || series.starts_with(mix::EPOCHS) || series.starts_with(mix::VALID)
}

/// Whether a series is a matrix's update ratio: gains and biases start at 1 and 0 and move on a scale of their own.
fn layer_series(series: &str) -> bool {
    series
        .strip_prefix(name::UPDATE_RATIO)
        .is_some_and(|parameter| !parameter.ends_with(".bias") && !parameter.split('.').any(|part| part == "norm"))
}

/// The layer of a series, with its place in the model: `embedding`, `block 0`, ..., `head`.
fn layer(series: &str) -> (u32, String) {
    let parameter = series.strip_prefix(name::UPDATE_RATIO).unwrap_or(series);
    let mut parts = parameter.split('.');
    match (parts.next().unwrap_or_default(), parts.next().and_then(|number| number.parse::<u32>().ok())) {
        ("block", Some(number)) => (1 + number, format!("block {number}")),
        ("embedding", _) => (0, "embed".into()),
        (other, _) => (u32::MAX, other.to_owned()),
    }
}

/// The mean of curves measured at the same steps. Its band would span matrices, not values folded: the line alone tells a layer.
fn mean(curves: Vec<Vec<Bucket>>) -> Vec<Bucket> {
    let count = curves.len() as f64;
    let mut curves = curves.into_iter();
    let Some(mut sum) = curves.next() else { return vec![] };
    for curve in curves {
        for (total, bucket) in sum.iter_mut().zip(curve) {
            total.mean += bucket.mean;
        }
    }
    sum.into_iter()
        .map(|bucket| Bucket {
            mean: bucket.mean / count,
            min: bucket.mean / count,
            max: bucket.mean / count,
            ..bucket
        })
        .collect()
}
