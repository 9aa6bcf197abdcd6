//! A plot of points, lines and bands on two scales: its frame with ticks, and the positions of values.

use figure::scene::{Anchor, Fill, Point, Rect, Role, Shape, Size, Stroke, Text};
use figure::{Scale, axis};

const LEFT: f64 = 54.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 38.0;
/// Pixels for each tick label.
const TICK_WIDTH: f64 = 80.0;
const TICK_HEIGHT: f64 = 48.0;

/// The scales of a plot and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plot {
    x: Scale,
    y: Scale,
    size: Size,
    /// Pixels at the right of the plot, for labels of curves.
    right: f64,
}

impl Plot {
    pub(crate) fn new(x: Scale, y: Scale, size: Size) -> Self {
        Self { x, y, size, right: 14.0 }
    }

    /// The plot with room for labels at its right.
    pub(crate) fn with_right(self, right: f64) -> Self {
        Self { right, ..self }
    }

    /// The area of the values.
    pub(crate) fn area(&self) -> Rect {
        Rect::new(LEFT, TOP, self.size.width - LEFT - self.right, self.size.height - TOP - BOTTOM)
    }

    /// The position of a value; NaN for one that a logarithmic scale does not have.
    pub(crate) fn at(&self, x: f64, y: f64) -> Point {
        let area = self.area();
        Point::new(area.x + area.width * self.x.position(x), area.bottom() - area.height * self.y.position(y))
    }

    /// Grid lines with labels. `x` and `y` are a label with its unit, which decides how ticks are written.
    pub(crate) fn frame(&self, x: (&str, &str), y: (&str, &str)) -> Vec<Shape> {
        let (area, grid) = (self.area(), || Stroke::solid(Role::Grid, 1.0));
        let mut shapes = vec![];
        for tick in axis::ticks(&self.y, (area.height / TICK_HEIGHT) as usize, y.1) {
            let at = self.at(self.x.from, tick.value).y;
            shapes.push(Shape::line(Point::new(area.x, at), Point::new(area.right(), at), grid()));
            let text = Text::numbers(Point::new(area.x - 6.0, at + 3.5), tick.label, 10.0, Role::InkSoft);
            shapes.push(text.anchored(Anchor::End).into());
        }
        for tick in axis::ticks(&self.x, (area.width / TICK_WIDTH) as usize, x.1) {
            let at = self.at(tick.value, self.y.from).x;
            shapes.push(Shape::line(Point::new(at, area.y), Point::new(at, area.bottom()), grid()));
            let text = Text::numbers(Point::new(at, area.bottom() + 14.0), tick.label, 10.0, Role::InkSoft);
            shapes.push(text.anchored(Anchor::Middle).into());
        }
        shapes.push(Text::words(Point::new(4.0, 13.0), y.0, 11.0, Role::InkSoft).into());
        let below = Point::new(area.right(), self.size.height - 5.0);
        shapes.push(Text::words(below, x.0, 11.0, Role::InkSoft).anchored(Anchor::End).into());
        shapes
    }

    /// A line through values; nothing with fewer than two positions.
    pub(crate) fn line(&self, values: impl Iterator<Item = (f64, f64)>, stroke: Stroke) -> Option<Shape> {
        let points = self.positions(values);
        (points.len() > 1).then_some(Shape::Polyline { points, stroke })
    }

    /// The area between two values at each x: (x, low, high).
    pub(crate) fn band(&self, values: &[(f64, f64, f64)], fill: Fill) -> Option<Shape> {
        let below = values.iter().map(|(x, low, _)| (*x, *low));
        let above = values.iter().rev().map(|(x, _, high)| (*x, *high));
        let points = self.positions(below.chain(above));
        (points.len() > 2).then_some(Shape::Area { points, fill })
    }

    /// A dot; nothing for a value without a position.
    pub(crate) fn dot(&self, x: f64, y: f64, radius: f64, fill: Fill) -> Option<Shape> {
        self.positions(std::iter::once((x, y))).pop().map(|at| Shape::dot(at, radius, fill))
    }

    /// A vertical line over the whole height, with a label at its top.
    pub(crate) fn mark(&self, x: f64, label: &str, stroke: Stroke, row: usize) -> Vec<Shape> {
        let (area, at) = (self.area(), self.at(x, self.y.from).x);
        if !at.is_finite() || !(area.x - 1.0..=area.right() + 1.0).contains(&at) {
            return vec![];
        }
        let (anchor, shift) = if at > area.x + area.width / 2.0 { (Anchor::End, -4.0) } else { (Anchor::Start, 4.0) };
        let text = Text::words(Point::new(at + shift, area.y + 12.0 + 13.0 * row as f64), label, 11.0, Role::InkSoft);
        let line = Shape::line(Point::new(at, area.y), Point::new(at, area.bottom()), stroke);
        vec![line, text.anchored(anchor).into()]
    }

    /// Shapes clipped to the area of the values.
    pub(crate) fn clipped(&self, shapes: Vec<Shape>) -> Shape {
        Shape::Group { clip: self.area(), shapes }
    }

    fn positions(&self, values: impl Iterator<Item = (f64, f64)>) -> Vec<Point> {
        let points = values.map(|(x, y)| self.at(x, y));
        points.filter(|point| point.x.is_finite() && point.y.is_finite()).collect()
    }
}

/// The least and the greatest of finite values; `None` without one.
pub(crate) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

#[cfg(test)]
mod tests {
    use figure::ScaleKind;

    use super::*;

    #[test]
    fn values_have_positions_in_the_area() {
        let x = Scale::new(ScaleKind::Log, 1e6, 1e8);
        let plot = Plot::new(x, Scale::new(ScaleKind::Linear, 1.0, 3.0), Size::new(268.0, 162.0)).with_right(14.0);
        assert_eq!(plot.area(), Rect::new(54.0, 24.0, 200.0, 100.0));
        let middle = plot.at(1e7, 2.0);
        assert!((middle.x - 154.0).abs() < 1e-9 && (middle.y - 74.0).abs() < 1e-9, "{middle:?}");
        let stroke = Stroke::solid(Role::Ink, 1.0);
        assert_eq!(plot.line([(0.0, 2.0), (1e7, 2.0)].into_iter(), stroke), None, "0 has no place on a log scale");
        assert!(plot.dot(1e7, 2.0, 3.0, Fill::solid(Role::Ink)).is_some());
        assert!(plot.mark(1e9, "far", stroke, 0).is_empty(), "beyond the scale");
        assert_eq!(extent([2.0, f64::NAN, 1.0].into_iter()), Some((1.0, 2.0)));
    }
}
