//! The curves of all trials, with the band of the seeds of each point.

use std::collections::BTreeMap;
use std::time::Duration;

use figure::scene::{Role, Shape, Size};
use figure::{ChartSpec, Curve, Frame};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::series::Bucket;
use wire::sweep::record::Trial;
use wire::sweep::results::TrialCurve;

use super::state::OpenSweep;
use crate::components::hyperparameters::with_comma;
use crate::components::interval::while_growing;
use crate::components::number::counted;
use crate::components::{Canvas, Failure, Skeleton, says, shows};
use crate::net::api::{ApiFailure, sweeps};
use crate::pages::sweeps::words::{can_change, metric_label, metric_unit};

/// Time between two requests while trials train.
const REFRESH: Duration = Duration::from_secs(10);
/// Points of a curve: those of 200 trials are drawn together.
const POINTS: u32 = 100;
/// Fraction of the points to which the y axis is fitted: the first values of a training are far above the others.
const FITTED: f64 = 0.97;

/// The curve of a point: of one trial, or of several seeds with their range.
#[derive(Debug, Clone, PartialEq)]
struct PointCurve {
    /// Numbers of its trials.
    trials: Vec<u64>,
    buckets: Vec<Bucket>,
}

#[component]
pub(super) fn CurvesPanel() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let (found, failure) = (RwSignal::new(None::<Vec<TrialCurve>>), RwSignal::new(None::<ApiFailure>));
    let fetch = move || {
        spawn_local(async move {
            match sweeps::curves(open.id(), POINTS).await {
                Ok(curves) => {
                    failure.try_set(None);
                    found.try_set(Some(curves));
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
        });
    };
    fetch();
    let is_growing = Memo::new(move |_| open.sweep.read().as_ref().is_some_and(can_change));
    while_growing(REFRESH, is_growing.into(), fetch);
    let curves = Memo::new(move |_| of_points(&open.trials.read(), found.read().as_deref().unwrap_or_default()));
    let metric = Memo::new(move |_| open.metric());
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let (curves, metric) = (curves.read(), metric.read());
        let drawn: Vec<(Role, &PointCurve)> = in_order(open, &curves);
        let curves: Vec<Curve> = drawn.iter().map(|(role, curve)| Curve::new("", *role, &curve.buckets)).collect();
        let frame = Frame { has_header: false, has_background: false, ..Frame::default() };
        let spec = ChartSpec {
            title: metric_label(&metric),
            unit: metric_unit(&metric).to_owned(),
            y_fraction: Some(FITTED),
            frame,
            ..ChartSpec::default()
        };
        figure::chart(&spec, &curves, size).scene.shapes
    };
    let label = Signal::derive(move || {
        format!("{} by step, {}", metric_label(&metric.read()), counted(curves.read().len() as u64, "curve"))
    });
    let has_seeds = Memo::new(move |_| curves.read().iter().any(|curve| curve.trials.len() > 1));
    let has_values = Memo::new(move |_| curves.read().iter().any(|curve| !curve.buckets.is_empty()));
    let is_known = Memo::new(move |_| found.read().is_some());
    let unit = says(move || with_comma(metric_unit(&metric.read())));
    view! {
        <section class="sheet padded stack" aria-label="Curves">
            <div class="row">
                <h2>{move || metric_label(&metric.read())}<span class="unit">{unit}</span></h2>
                {shows(move || has_seeds.get().then(|| view! {
                    <span class="small dim">"Line: mean of the seeds of a point; area: their lowest to their highest value."</span>
                }))}
            </div>
            {shows(move || failure.get().map(|failure| view! {
                <Failure what="The curves could not be fetched" failure retry=move |()| fetch() />
            }))}
            // Without values there are no axes. Off the screen, a chart of nothing would also put off the drawing of the curves.
            {shows(move || match (has_values.get(), is_known.get()) {
                (true, _) => view! { <Canvas class="trial-curves" file="trials" label draw /> }.into_any(),
                (false, true) => view! { <p class="dim" role="status">"No trial has a value yet."</p> }.into_any(),
                (false, false) if failure.read().is_some() => ().into_any(),
                (false, false) => view! { <Skeleton /> }.into_any(),
            })}
        </section>
    }
}

/// The curves with their colours: the trials in the chosen ranges over the others, and the one under the pointer over all.
fn in_order(open: OpenSweep, curves: &[PointCurve]) -> Vec<(Role, &PointCurve)> {
    let (brushed, pointed) = (open.settled.read(), open.pointed.get());
    let has = |curve: &PointCurve, is: &dyn Fn(u64) -> bool| curve.trials.iter().any(|trial| is(*trial));
    let role = |curve: &PointCurve| match &*brushed {
        _ if pointed.is_some_and(|pointed| curve.trials.contains(&pointed)) => Role::Accent,
        Some(brushed) if !has(curve, &|trial| brushed.contains(&trial)) => Role::InkFaint,
        _ => Role::Run(0),
    };
    let mut drawn: Vec<(Role, &PointCurve)> = curves.iter().map(|curve| (role(curve), curve)).collect();
    drawn.sort_by_key(|(role, _)| match role {
        Role::InkFaint => 0,
        Role::Run(_) => 1,
        _ => 2,
    });
    drawn
}

/// A curve for each point: at each step the mean, the lowest and the highest value of its seeds.
fn of_points(trials: &[Trial], curves: &[TrialCurve]) -> Vec<PointCurve> {
    let mut points: BTreeMap<String, (Vec<u64>, BTreeMap<u64, Vec<f64>>)> = BTreeMap::new();
    for curve in curves {
        let Some(trial) = trials.iter().find(|trial| trial.number == curve.trial) else { continue };
        // Values of equal points have equal JSON: they come from one list or sampler.
        let key = serde_json::to_string(&trial.point.values).unwrap_or_default();
        let (numbers, by_step) = points.entry(key).or_default();
        numbers.push(curve.trial);
        for (step, value) in curve.steps.iter().zip(&curve.values).filter(|(_, value)| value.is_finite()) {
            by_step.entry(*step).or_default().push(*value);
        }
    }
    let of_point = |(trials, by_step): (Vec<u64>, BTreeMap<u64, Vec<f64>>)| PointCurve {
        trials,
        buckets: by_step.into_iter().map(|(step, values)| bucket(step, &values)).collect(),
    };
    points.into_values().map(of_point).collect()
}

fn bucket(step: u64, values: &[f64]) -> Bucket {
    let (x, count) = (step as f64, values.len() as u64);
    Bucket {
        step,
        last_step: step,
        x,
        last_x: x,
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        mean: values.iter().sum::<f64>() / count.max(1) as f64,
        count,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::quantity::tests::trial;
    use super::*;

    #[test]
    fn the_seeds_of_a_point_are_one_curve_with_a_band() {
        let width = |number: u64, width: u64| trial(number, &[("model.d_model", json!(width))], None);
        let trials = [width(0, 32), width(1, 32), width(2, 64)];
        let curve = |trial: u64, values: &[f64]| TrialCurve { trial, steps: vec![10, 20], values: values.to_vec() };
        let found = of_points(
            &trials,
            &[curve(0, &[4.0, 2.0]), curve(1, &[6.0, f64::NAN]), curve(2, &[5.0, 3.0]), curve(9, &[1.0])],
        );
        assert_eq!(found.iter().map(|curve| curve.trials.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
        let first = &found[0].buckets;
        assert_eq!((first[0].mean, first[0].min, first[0].max, first[0].count), (5.0, 4.0, 6.0, 2));
        assert_eq!((first[1].step, first[1].mean, first[1].count), (20, 2.0, 1));
    }
}
