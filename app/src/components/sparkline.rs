//! A small curve without axes, drawn by `figure`.

use figure::{Role, Shape, Size, sparkline, sparkline_between};
use leptos::prelude::*;

const SIZE: Size = Size::new(112.0, 28.0);

/// A small curve, such as that of a loss; an empty box of the same size without points. The style sheet sets its colour.
#[component]
pub(crate) fn Sparkline(
    /// Values in order; a gap where one is not finite.
    #[prop(into)]
    values: Signal<Vec<f32>>,
    /// Name for screen readers.
    #[prop(into)]
    label: Signal<String>,
    /// Whether its end glows, because it moves now.
    #[prop(into)]
    is_live: Signal<bool>,
    /// Values at its bottom and top, of a curve of fractions; by default the lowest and the highest.
    #[prop(optional)]
    ends: Option<(f64, f64)>,
) -> impl IntoView {
    let scene = move || match ends {
        Some(ends) => sparkline_between(ends, &values.read(), SIZE, Role::Ink, is_live.get()),
        None => sparkline(&values.read(), SIZE, Role::Ink, is_live.get()),
    };
    view! {
        <svg
            class="sparkline"
            viewBox=format!("0 0 {} {}", SIZE.width, SIZE.height)
            role="img"
            aria-label=move || {
                let words = if ends.is_some() { first_and_last(&values.read()) } else { scene().summary };
                format!("{}, {words}", label.get())
            }
        >
            {move || scene().shapes.iter().map(drawn).collect_view()}
        </svg>
    }
}

/// The first and the last of some fractions: `100 % at the start, 97 % now`.
fn first_and_last(fractions: &[f32]) -> String {
    let mut finite = fractions.iter().filter(|value| value.is_finite()).map(|value| format!("{:.0} %", value * 100.0));
    match (finite.next(), finite.next_back()) {
        (Some(first), Some(last)) => format!("{first} at the start, {last} now"),
        (Some(only), None) => format!("{only} now"),
        (None, _) => "no values yet".to_owned(),
    }
}

/// A sparkline is made of lines and dots only.
fn drawn(shape: &Shape) -> AnyView {
    match shape {
        Shape::Polyline { points, .. } => {
            let points: Vec<String> = points.iter().map(|point| format!("{:.1},{:.1}", point.x, point.y)).collect();
            view! { <polyline points=points.join(" ") /> }.into_any()
        }
        Shape::Circle { center, radius, fill } => {
            view! { <circle cx=center.x cy=center.y r=*radius opacity=fill.opacity /> }.into_any()
        }
        _ => ().into_any(),
    }
}
