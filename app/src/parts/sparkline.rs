//! A curve the size of a word: the shape of a run at a glance, without axes.

use leptos::prelude::*;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;

/// The points over the square, left to right, largest at the top; values that are no numbers are left out.
fn points(values: &[f32]) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let span = f64::from((high - low).max(f32::EPSILON));
    let across = WIDTH / (values.len().max(2) - 1) as f64;
    let place = |(at, value): (usize, &f32)| {
        value.is_finite().then(|| format!("{:.1},{:.1}", at as f64 * across, 2.0 + (HEIGHT - 4.0) * f64::from(high - value) / span))
    };
    values.iter().enumerate().filter_map(place).collect::<Vec<_>>().join(" ")
}

/// The sparkline of a loss; an empty box of the same size where there are no points yet.
#[component]
pub(crate) fn Sparkline(
    /// Values from the first step to the last.
    #[prop(into)]
    values: Signal<Vec<f32>>,
    /// What it shows, in words.
    #[prop(into)]
    label: Signal<String>,
) -> impl IntoView {
    view! {
        <svg class="sparkline" viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=label>
            <polyline points=move || points(&values.read()) vector-effect="non-scaling-stroke" />
        </svg>
    }
}
