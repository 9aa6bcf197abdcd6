//! A learning-rate range test: the training loss over the learning rate, and where it falls fastest, is lowest and rises.

use figure::number::short;
use figure::scene::{Dash, Role, Shape, Size, Stroke};
use figure::{Scale, ScaleKind};
use leptos::prelude::*;
use research::fits::learning_rate::RangeTest;
use research::fits::report::SeriesPoint;

use super::super::plot::{Plot, extent};
use super::words::LOSS;
use crate::components::Canvas;

#[component]
pub(super) fn RatesView(
    /// `None` if the test was refused.
    fit: Option<RangeTest>,
    series: Vec<SeriesPoint>,
) -> impl IntoView {
    let said = fit.map(said);
    let label = format!("Training loss over the learning rate. {}", said.clone().unwrap_or_default());
    let points = StoredValue::new(series);
    let draw = move |size: Size, _: bool| points.with_value(|points| shapes(fit, points, size));
    view! {
        <Canvas class="plot" file="range-test" label draw />
        {said.map(|said| view! { <p role="status">{said}</p> })}
    }
}

fn said(fit: RangeTest) -> String {
    let rises = match fit.diverges {
        Some(rate) => format!("rises from {} on", short(rate)),
        None => "does not rise in the tested range".to_owned(),
    };
    format!(
        "Suggested peak learning rate: {}. The loss falls fastest at {}, is lowest at {}, and {rises}.",
        short(fit.suggested),
        short(fit.steepest),
        short(fit.lowest),
    )
}

fn shapes(fit: Option<RangeTest>, points: &[SeriesPoint], size: Size) -> Vec<Shape> {
    let smoothed = || points.iter().filter_map(|point| Some((point.x, point.smoothed?)));
    let rates = extent(points.iter().map(|point| point.x).filter(|rate| *rate > 0.0));
    // The smoothed loss decides the height: a loss that diverges would leave no room for the fall.
    let first = smoothed().next().map_or(f64::NAN, |(_, loss)| loss);
    let least = smoothed().map(|(_, loss)| loss).fold(f64::INFINITY, f64::min);
    let (Some((left, right)), Some((low, high))) = (rates, extent([first, least].into_iter())) else { return vec![] };
    let (x, y) = (Scale::new(ScaleKind::Log, left, right), Scale::new(ScaleKind::Linear, low, high));
    let plot = Plot::new(x.padded(0.02), y.padded(0.25), size);
    let mut shapes = plot.frame(("learning rate", ""), ("training loss, nats/token", LOSS));
    let raw = plot.line(points.iter().map(|point| (point.x, point.y)), Stroke::solid(Role::Run(0), 1.0).faint(0.3));
    let inside = raw.into_iter().chain(plot.line(smoothed(), Stroke::solid(Role::Run(0), 2.0))).collect();
    shapes.push(plot.clipped(inside));
    let Some(fit) = fit else { return shapes };
    let dashed = |role| Stroke::solid(role, 1.5).dashed(Dash::Dashed);
    shapes.extend(plot.mark(fit.suggested, "suggested", Stroke::solid(Role::Accent, 2.0), 0));
    shapes.extend(plot.mark(fit.steepest, "falls fastest", dashed(Role::InkSoft), 1));
    shapes.extend(plot.mark(fit.lowest, "lowest", dashed(Role::InkSoft), 2));
    shapes.extend(fit.diverges.iter().flat_map(|rate| plot.mark(*rate, "rises", dashed(Role::Alarm), 3)));
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_test_is_a_sentence() {
        let fit = RangeTest { steepest: 1e-3, lowest: 0.05, diverges: Some(0.2), suggested: 1e-3 };
        assert_eq!(
            said(fit),
            "Suggested peak learning rate: 1e-3. The loss falls fastest at 1e-3, is lowest at 0.05, and rises from 0.2 on."
        );
        assert!(said(RangeTest { diverges: None, ..fit }).ends_with("and does not rise in the tested range."));
    }
}
