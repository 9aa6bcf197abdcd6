//! The curves of the replayed trials. The part that the setting would not have trained is faint; a dot is where it stops a trial.

use std::collections::BTreeMap;

use figure::scene::{Fill, Role, Shape, Size, Stroke};
use figure::{Scale, ScaleKind};
use leptos::prelude::*;
use research::statistics::sample::quantile;
use research::stopping::settings::{ReplayReport, ReplayedRun, ReplayedSetting, WINNERS};

use super::super::state::OpenSweep;
use crate::components::Canvas;
use crate::components::number::counted;
use crate::components::plot::{Plot, extent};
use crate::pages::sweeps::words::{metric_label, metric_unit};

/// Fraction of the values to which the y axis is fitted: the first values of a training are far above the others.
const FITTED: f64 = 0.97;

#[component]
pub(super) fn ReplayCurves(report: StoredValue<ReplayReport>, setting: Memo<Option<ReplayedSetting>>) -> impl IntoView {
    let metric = expect_context::<OpenSweep>().metric();
    let (label, unit) = (metric_label(&metric), metric_unit(&metric));
    let title = format!("{label}{}", if unit.is_empty() { String::new() } else { format!(", {unit}") });
    let description = Signal::derive(move || {
        let stopped = setting.read().as_ref().map_or(0, |setting| setting.stops.len());
        let runs = report.with_value(|report| report.runs.len());
        let kept = runs.saturating_sub(stopped) as u64;
        format!("{label} by step: {} kept, {} stopped", counted(kept, "trial"), counted(stopped as u64, "trial"))
    });
    let draw = move |size: Size, _: bool| {
        let stops = stops(setting.read().as_ref());
        report.with_value(|report| shapes(&report.runs, &stops, (title.as_str(), unit), size))
    };
    view! { <Canvas class="plot" file="replay" label=description draw /> }
}

/// The step at which each trial is stopped.
fn stops(setting: Option<&ReplayedSetting>) -> BTreeMap<u64, u64> {
    setting.into_iter().flat_map(|setting| &setting.stops).map(|stop| (stop.number, stop.step)).collect()
}

fn shapes(runs: &[ReplayedRun], stops: &BTreeMap<u64, u64>, y: (&str, &str), size: Size) -> Vec<Shape> {
    let mut values: Vec<f64> = runs.iter().flat_map(|run| run.values.iter().copied()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let steps = extent(runs.iter().flat_map(|run| run.steps.iter().map(|step| *step as f64)));
    let (Some((_, last)), Some(low)) = (steps, values.first()) else { return vec![] };
    // Of a metric of which higher values are better, the first values are the lowest; then the whole range is shown.
    let high = if is_falling(runs) { quantile(&values, FITTED) } else { quantile(&values, 1.0) };
    let (x_scale, y_scale) = (Scale::new(ScaleKind::Linear, 0.0, last), Scale::new(ScaleKind::Linear, *low, high));
    let plot = Plot::new(x_scale, y_scale.padded(0.03), size);
    let mut shapes = plot.frame(("step", "steps"), y);
    let stopped = |run: &&ReplayedRun| stops.contains_key(&run.number);
    // Those that are kept are drawn over the others, and the best over all.
    let kept = runs.iter().filter(|run| !stopped(run));
    let best = |run: &&ReplayedRun| run.rank.is_some_and(|rank| rank <= WINNERS);
    let in_order = runs.iter().filter(stopped).chain(kept.clone().filter(|run| !best(run))).chain(kept.filter(best));
    shapes.push(plot.clipped(in_order.flat_map(|run| of_run(run, stops.get(&run.number).copied(), &plot)).collect()));
    shapes
}

/// Whether most trials end below their first value.
fn is_falling(runs: &[ReplayedRun]) -> bool {
    let falls = runs.iter().filter(|run| run.values.last() < run.values.first()).count();
    2 * falls >= runs.len()
}

fn of_run(run: &ReplayedRun, stop: Option<u64>, plot: &Plot) -> Vec<Shape> {
    let role = if run.rank.is_some_and(|rank| rank <= WINNERS) { Role::Accent } else { Role::Run(0) };
    let points: Vec<(f64, f64)> =
        run.steps.iter().zip(&run.values).map(|(step, value)| (*step as f64, *value)).collect();
    let trained = stop.map_or(points.len(), |stop| run.steps.iter().filter(|step| **step <= stop).count());
    let rest = points[trained.saturating_sub(1)..].iter().copied();
    let faint = Stroke::solid(Role::InkFaint, 1.0).faint(0.35);
    let mut shapes: Vec<Shape> = stop.and_then(|_| plot.line(rest, faint)).into_iter().collect();
    shapes.extend(plot.line(points[..trained].iter().copied(), Stroke::solid(role, 1.5)));
    let end = points[..trained].last().filter(|_| stop.is_some());
    shapes.extend(end.and_then(|(x, y)| plot.dot(*x, *y, 3.0, Fill::solid(role))));
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u64, values: &[f64]) -> ReplayedRun {
        let steps = (1..=values.len() as u64).map(|at| 10 * at).collect();
        ReplayedRun { number, run: "a".into(), name: "a".into(), steps, values: values.to_vec(), rank: Some(9) }
    }

    #[test]
    fn a_stopped_trial_is_drawn_in_two_parts_with_a_dot() {
        let runs = [run(0, &[3.0, 2.0, 1.0]), run(1, &[3.0, 2.5, 2.4])];
        let size = Size::new(300.0, 200.0);
        let parts = |stops: &[(u64, u64)]| {
            let found = shapes(&runs, &stops.iter().copied().collect(), ("loss", ""), size);
            let Some(Shape::Group { shapes, .. }) = found.last().cloned() else { panic!("{found:?}") };
            shapes.len()
        };
        assert_eq!((parts(&[]), parts(&[(1, 20)]), parts(&[(0, 20), (1, 20)])), (2, 4, 6));
        assert!(is_falling(&runs) && !is_falling(&[run(0, &[0.1, 0.9])]));
        assert!(shapes(&[run(0, &[])], &BTreeMap::new(), ("loss", ""), size).is_empty());
    }
}
