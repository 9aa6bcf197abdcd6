//! The shapes of stacked curves.

use crate::curve::Curve;
use crate::layout::Layout;
use crate::scene::{Fill, Point, Shape, Stroke};
use crate::stack::layers;

/// The areas of all stacked curves, the first at the bottom.
pub(crate) fn shapes(curves: &[Curve], layout: &Layout) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (curve, base, top) in layers(curves, &layout.x) {
        let pixel = |&(x, value): &(f64, f64)| Point::new(layout.to_x(x), layout.to_y(value));
        let upper: Vec<Point> = top.iter().map(pixel).collect();
        let outline: Vec<Point> = upper.iter().copied().chain(base.iter().rev().map(pixel)).collect();
        if upper.len() < 2 || outline.iter().any(|point| !point.x.is_finite() || !point.y.is_finite()) {
            continue;
        }
        shapes.push(Shape::Area { points: outline, fill: Fill::faint(curve.role, 0.45) });
        shapes.push(Shape::Polyline { points: upper, stroke: Stroke::solid(curve.role, 1.0) });
    }
    shapes
}
