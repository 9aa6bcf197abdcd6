//! A histogram of magnitudes with its summary.

use figure::heat::{describe_histogram, histogram};
use figure::scene::{Point, Rect, Role, Shape, Size, Stroke};
use leptos::prelude::*;
use wire::inspect::result::Histogram;

use crate::components::Canvas;

/// A histogram under a title.
pub(super) fn figure(of: Signal<Histogram>, title: &'static str) -> AnyView {
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let mut shapes = histogram(&of.read(), Rect::new(0.0, 0.0, size.width, size.height - 1.0));
        let foot = size.height - 0.5;
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
                    " Bins are powers of two: negative values on the left, zero in the middle, positive values on the \
                     right. Bar heights are square roots of the counts."
                </span>
            </figcaption>
            <Canvas class="bars" label draw />
            <p class="small dim">{label}</p>
        </figure>
    }
    .into_any()
}
