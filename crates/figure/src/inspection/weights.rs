//! A weight matrix: its values as a heat map, and their histogram.

use wire::inspect::result::MatrixSummary;

use super::{Heading, label, page, scene};
use crate::heat::{describe_histogram, heat, histogram, histogram_ticks, scale_bar};
use crate::number;
use crate::ramp::Ramp;
use crate::scene::{Anchor, Point, Rect, Role, Scene, Shape, Size, Stroke, Text};

/// Between the two panels, and height of the labels below them, pixels.
const GAP: f64 = 32.0;
const FOOT: f64 = 34.0;
/// Wider than this, the panels are side by side.
const WIDE: f64 = 1.3;

/// Draws a matrix; the colours of signed values depend on the background.
pub fn weights(heading: &Heading, matrix: &MatrixSummary, size: Size, is_dark: bool) -> Scene {
    let (mut shapes, rest) = page(heading, size);
    let (map, bars) = panels(rest);
    let ramp = Ramp::signed(is_dark);
    let ends = ramp.ends(matrix.mean.low, matrix.mean.high);
    let map = shaped(map, matrix);
    shapes.push(heat(&matrix.mean, map, ramp, ends));
    shapes.extend(scale_bar(Rect::new(map.x, map.bottom() + 10.0, 120.0_f64.min(map.width), 6.0), ramp, ends, ""));
    shapes.extend(histogram(&matrix.histogram, bars));
    let (left, right) = (Point::new(bars.x, bars.bottom()), Point::new(bars.right(), bars.bottom()));
    shapes.push(Shape::line(left, right, Stroke::solid(Role::AxisLine, 1.0)));
    for (fraction, text) in histogram_ticks(&matrix.histogram) {
        let anchor = [Anchor::Start, Anchor::Middle, Anchor::End][(fraction * 2.0).round().clamp(0.0, 2.0) as usize];
        shapes.push(label(Point::new(bars.x + fraction * bars.width, bars.bottom() + 14.0), text, anchor));
    }
    let note = Text::words(Point::new(bars.x, bars.bottom() + 28.0), "values by magnitude", 10.0, Role::InkSoft);
    shapes.push(note.into());
    scene(heading, size, summary(matrix), shapes)
}

/// The rectangles of the heat map and of the histogram.
fn panels(rest: Rect) -> (Rect, Rect) {
    if rest.width > WIDE * rest.height {
        let width = (rest.width - GAP) / 2.0;
        let panel = |x: f64| Rect::new(x, rest.y, width, rest.height - FOOT);
        (panel(rest.x), panel(rest.x + width + GAP))
    } else {
        let height = rest.height / 2.0;
        let panel = |y: f64| Rect::new(rest.x, y, rest.width, height - FOOT);
        (panel(rest.y), panel(rest.y + height))
    }
}

/// The rectangle with the proportions of a matrix, as large as fits; very long ones are drawn wider than they are.
fn shaped(panel: Rect, matrix: &MatrixSummary) -> Rect {
    let [rows, columns] = matrix.shape.map(|side| f64::from(side.max(1)));
    let ratio = (columns / rows).clamp(0.25, 4.0);
    let width = panel.width.min(panel.height * ratio);
    Rect::new(panel.x, panel.y, width, width / ratio)
}

fn summary(matrix: &MatrixSummary) -> String {
    let [rows, columns] = matrix.shape;
    let rms = number::short(matrix.moments.rms);
    format!(
        "{}: {rows} × {columns} values, root mean square {rms}; {}.",
        matrix.tensor,
        describe_histogram(&matrix.histogram)
    )
}
