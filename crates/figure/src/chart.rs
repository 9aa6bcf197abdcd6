//! The function that draws a chart, and the crosshair over it.

use crate::curve::{Curve, Style, branch_opacity, extent, has_value, middle, visible};
use crate::layout::{Layout, Reading};
use crate::scene::{Fill, Form, Point, Role, Scene, Shape, Size, Stroke};
use crate::spec::ChartSpec;
use crate::{area, frame, stack, summary};

/// A drawn chart and its layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Shapes to paint.
    pub scene: Scene,
    /// Layout, for pointer events.
    pub layout: Layout,
}

/// Draws a chart of `size` pixels.
pub fn chart(spec: &ChartSpec, curves: &[Curve], size: Size) -> Drawing {
    let layout = Layout::new(spec, curves, size);
    let mut shapes = frame::ground(spec, &layout);
    let mut inner = frame::reference_lines(spec, &layout);
    inner.extend(frame::marker_lines(spec, &layout));
    inner.extend(area::shapes(curves, &layout));
    let opacity = branch_opacity(curves);
    for curve in drawing_order(curves) {
        inner.extend(curve.shapes(&layout, opacity));
        if curve.style != Style::Abandoned || opacity >= 1.0 {
            inner.extend(clipped(curve, &layout));
        }
    }
    // Half a line's width more, or curves along an edge would be thinner there.
    shapes.push(Shape::Group { clip: layout.plot.grown(1.0), shapes: inner });
    let names = frame::end_labels(curves, &layout);
    shapes.extend(frame::reference_labels(spec, curves, &layout, &names));
    shapes.extend(names);
    shapes.extend(curves.iter().filter(|curve| curve.is_live).flat_map(|curve| live_dot(curve, curves, &layout)));
    shapes.extend(frame::lane(spec, &layout));
    shapes.extend(frame::header(spec, curves, &layout));
    if let Some(x) = spec.crosshair {
        shapes.extend(crosshair(&layout, curves, x));
        shapes.extend(frame::crosshair_label(spec, &layout, x));
    }
    let scene =
        Scene { size: layout.size, title: spec.title.clone(), summary: summary::describe(spec, curves), shapes };
    Drawing { scene, layout }
}

/// A line at a position on the x axis with a dot on every curve: drawn separately from the chart, so that moving it does not redraw the
/// chart. Nothing outside the plot.
pub fn crosshair(layout: &Layout, curves: &[Curve], x: f64) -> Vec<Shape> {
    if !layout.x.contains(x) {
        return Vec::new();
    }
    let (left, plot) = (layout.to_x(x), layout.plot);
    let stroke = Stroke::solid(Role::InkSoft, 1.0).faint(0.6);
    let mut shapes = vec![Shape::line(Point::new(left, plot.y), Point::new(left, plot.bottom()), stroke)];
    // A band has no line that a dot could be on.
    let has_line = |reading: &Reading| curves[reading.curve].style != Style::Band;
    for reading in layout.readings(curves, x).into_iter().filter(has_line) {
        if reading.at.y.is_finite() && plot.grown(1.0).contains(reading.at) {
            shapes.push(Shape::dot(reading.at, 4.5, Fill::solid(Role::Surface)));
            shapes.push(Shape::dot(reading.at, 3.0, Fill::solid(curves[reading.curve].role)));
        }
    }
    shapes
}

/// Order of drawing: bands, abandoned segments, plans, measured curves, live ones on top; stacked ones are drawn separately.
fn drawing_order<'a, 'b>(curves: &'b [Curve<'a>]) -> Vec<&'b Curve<'a>> {
    let mut order: Vec<&Curve> = curves.iter().filter(|curve| curve.style != Style::Stacked).collect();
    order.sort_by_key(|curve| {
        (
            curve.is_live,
            [Style::Band, Style::Abandoned, Style::Planned].iter().position(|style| *style == curve.style).unwrap_or(3),
        )
    });
    order
}

/// Pixels within which clipped spikes share one marker.
const CLIPPED_SPACING: f64 = 8.0;

/// Small markers at the edge where a curve leaves the y axis.
fn clipped(curve: &Curve, layout: &Layout) -> Vec<Shape> {
    let plot = layout.plot;
    let mut shapes: Vec<Shape> = Vec::new();
    let mut ends = [f64::NEG_INFINITY; 2];
    for bucket in visible(curve.buckets, layout.x.from, layout.x.to).iter().filter(|bucket| has_value(bucket)) {
        let (low, high) = extent(bucket);
        let x = layout.to_x(middle(bucket));
        let edges = [
            (high > layout.y.to, plot.y + 4.0, Form::Triangle),
            (low < layout.y.from, plot.bottom() - 4.0, Form::TriangleDown),
        ];
        for ((leaves, y, form), end) in edges.into_iter().zip(&mut ends) {
            if leaves && x >= plot.x && x <= plot.right() && x - *end >= CLIPPED_SPACING {
                *end = x;
                shapes.push(Shape::Marker { at: Point::new(x, y), size: 3.5, form, fill: Fill::solid(curve.role) });
            }
        }
    }
    shapes
}

/// The dot at the end of a live curve, always in the colour of live runs.
fn live_dot(curve: &Curve, curves: &[Curve], layout: &Layout) -> Vec<Shape> {
    let Some(last) = curve.last() else { return Vec::new() };
    let index = curves.iter().position(|other| std::ptr::eq(other, curve));
    let value = match index {
        Some(index) if curve.style == Style::Stacked => stack::top(curves, index, last.last_x),
        _ => last.mean,
    };
    let at = Point::new(layout.to_x(middle(last)), layout.to_y(value));
    if !layout.plot.grown(2.0).contains(at) {
        return Vec::new();
    }
    [(11.0, 0.10), (7.0, 0.18), (3.2, 1.0)]
        .map(|(radius, opacity)| Shape::dot(at, radius, Fill::faint(Role::Accent, opacity)))
        .into()
}
