//! A histogram of magnitudes with its summary.

use figure::heat::{describe_histogram, histogram, histogram_ticks};
use figure::scene::{Anchor, Point, Rect, Role, Shape, Size, Stroke, Text};
use leptos::prelude::*;
use wire::inspect::result::Histogram;

use crate::components::Canvas;

/// Height of the ticks below the bars, pixels.
const TICKS: f64 = 14.0;

/// A histogram under a title.
pub(super) fn figure(of: Signal<Histogram>, title: &'static str) -> AnyView {
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let foot = size.height - TICKS - 0.5;
        let mut shapes = histogram(&of.read(), Rect::new(0.0, 0.0, size.width, foot - 0.5));
        let tick = |(at, word): (f64, String)| {
            let (x, anchor) = match at {
                0.0 => (0.0, Anchor::Start),
                1.0 => (size.width, Anchor::End),
                at => (size.width * at, Anchor::Middle),
            };
            Shape::from(Text::numbers(Point::new(x, size.height - 2.0), word, 10.0, Role::InkSoft).anchored(anchor))
        };
        shapes.extend(histogram_ticks(&of.read()).into_iter().map(tick));
        let axis = Stroke::solid(Role::AxisLine, 1.0);
        shapes.push(Shape::line(Point::new(0.0, foot), Point::new(size.width, foot), axis));
        shapes
    };
    let label = Signal::derive(move || describe_histogram(&of.read()));
    view! {
        <figure class="histogram">
            <figcaption class="small">
                <b>{title}</b>
                <span class="dim">
                    " Negative values on the left, zero in the middle, positive values on the right. The axis is logarithmic \
                     on both sides of zero: each bin spans a factor of two. Bar heights are square roots of the counts."
                </span>
            </figcaption>
            <Canvas class="bars" label draw />
            <p class="small dim">{label}</p>
        </figure>
    }
    .into_any()
}
