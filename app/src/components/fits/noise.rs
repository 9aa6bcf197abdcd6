//! The gradient noise scale of a run by step, its mean over the second half of the run with its interval, and the batch size that follows.

use figure::number::{THIN, fixed};
use figure::scene::{Dash, Fill, Role, Shape, Size, Stroke};
use figure::{Scale, ScaleKind};
use leptos::prelude::*;
use research::fits::report::{BatchSizeFit, SeriesPoint};

use super::super::plot::{Plot, extent};
use super::words::{count, count_with_interval};
use crate::components::Canvas;

#[component]
pub(super) fn NoiseView(
    /// `None` if the fit was refused.
    fit: Option<BatchSizeFit>,
    series: Vec<SeriesPoint>,
) -> impl IntoView {
    let said = fit.map(said);
    let label = format!("Gradient noise scale by step. {}", said.clone().unwrap_or_default());
    let points = StoredValue::new(series);
    let draw = move |size: Size, _: bool| points.with_value(|points| shapes(fit, points, size));
    view! {
        <Canvas class="plot" file="noise-scale" label draw />
        {said.map(|said| view! { <p role="status">{said}</p> })}
    }
}

fn said(fit: BatchSizeFit) -> String {
    let BatchSizeFit { suggested, seq, sequences } = fit;
    format!(
        "The gradient noise scale over the second half of the run is {}. A batch of about {} sequences of {seq} tokens balances steps and \
         tokens: each step makes half the progress of a step with an unlimited batch. The batch of this run, {} tokens, makes {}{THIN}% of \
         that progress.",
        count_with_interval(suggested.noise_scale, "tokens"),
        count(sequences),
        count(suggested.batch_tokens),
        fixed(100.0 * suggested.progress, 0),
    )
}

fn shapes(fit: Option<BatchSizeFit>, points: &[SeriesPoint], size: Size) -> Vec<Shape> {
    let suggested = fit.map(|fit| fit.suggested);
    let lines = suggested.iter().flat_map(|fit| [fit.batch_tokens, fit.noise_scale.value]);
    let scales = extent(points.iter().map(|point| point.y).chain(lines).filter(|scale| *scale > 0.0));
    let steps = extent(points.iter().map(|point| point.x));
    let (Some((left, right)), Some((low, high))) = (steps, scales) else { return vec![] };
    let (x, y) = (Scale::new(ScaleKind::Linear, left, right), Scale::new(ScaleKind::Log, low, high));
    let plot = Plot::new(x.padded(0.02), y.padded(0.06), size);
    let mut shapes = plot.frame(("step", "steps"), ("gradient noise scale, tokens", "tokens"));
    let mut inside: Vec<Shape> =
        points.iter().filter_map(|point| plot.dot(point.x, point.y, 2.0, Fill::faint(Role::Run(0), 0.5))).collect();
    if let Some(fit) = suggested {
        // The fit reads the second half of the measurements.
        let from = points.get(points.len() / 2).map_or(left, |point| point.x);
        let over = |value: f64| [(from, value), (right, value)].into_iter();
        let scale = fit.noise_scale;
        let band = [(from, scale.low, scale.high), (right, scale.low, scale.high)];
        inside.extend(plot.band(&band, Fill::faint(Role::Accent, 0.25)));
        inside.extend(plot.line(over(scale.value), Stroke::solid(Role::Accent, 2.0)));
        let batch = Stroke::solid(Role::InkSoft, 1.5).dashed(Dash::Dashed);
        inside.extend(plot.line([(left, fit.batch_tokens), (right, fit.batch_tokens)].into_iter(), batch));
    }
    shapes.push(plot.clipped(inside));
    shapes
}

#[cfg(test)]
mod tests {
    use research::fits::Estimate;
    use research::fits::batch_size::BatchSize;

    use super::*;

    #[test]
    fn the_batch_size_is_a_sentence() {
        let noise_scale = Estimate { value: 8192.0, low: 8000.0, high: 8400.0 };
        let suggested = BatchSize { noise_scale, batch_tokens: 2048.0, progress: 0.2 };
        let text = said(BatchSizeFit { suggested, seq: 64, sequences: 128.0 }).replace(THIN, " ");
        assert!(
            text.contains("is 8 192 tokens (95 % interval 8 000 to 8 400). A batch of about 128 sequences"),
            "{text}"
        );
        assert!(text.ends_with("The batch of this run, 2 048 tokens, makes 20 % of that progress."), "{text}");
    }
}
