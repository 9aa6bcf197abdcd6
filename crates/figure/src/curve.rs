//! One curve of a chart: its look, and how its buckets become shapes. A bucket is drawn as the band from its least to its
//! greatest value under the line of its means, so that a spike one step wide is there at any zoom.

use wire::series::Bucket;

use crate::layout::Layout;
use crate::scene::{Dash, Fill, Point, Role, Shape, Stroke};

/// How a curve stands among the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Measured: a band and a line.
    #[default]
    Measured,
    /// An abandoned stretch: faint, under the rest.
    Abandoned,
    /// Not yet come to pass: dashed, no band.
    Planned,
    /// A part of a whole: an area on top of the stacked curves before it.
    Stacked,
}

/// A named curve; a run with gaps or several segments may be several of these with one name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve<'a> {
    /// Name for the legend; an empty one is left out of it.
    pub name: &'a str,
    /// Colour.
    pub role: Role,
    /// In order of x, as the series query gives them.
    pub buckets: &'a [Bucket],
    pub style: Style,
    /// Whether it is the curve of a live run, which gets a dot at its end.
    pub is_live: bool,
    /// Length of a running mean, in units of x; the measured curve stays, faint. It depends on x alone, so it keeps its shape
    /// when one zooms.
    pub smoothing: Option<f64>,
    /// Whether its name is written at its end, as for abandoned segments, which the legend cannot distinguish.
    pub is_labelled: bool,
}

impl<'a> Curve<'a> {
    /// A measured curve.
    pub fn new(name: &'a str, role: Role, buckets: &'a [Bucket]) -> Self {
        Self { name, role, buckets, style: Style::Measured, is_live: false, smoothing: None, is_labelled: false }
    }

    /// The last bucket with a value.
    pub fn last(&self) -> Option<&'a Bucket> {
        self.buckets.iter().rev().find(|bucket| has_value(bucket))
    }
}

/// The bucket of one value at `x`, for curves that are computed and not stored (a planned schedule, say).
pub fn point(step: u64, x: f64, value: f64) -> Bucket {
    let count = u64::from(value.is_finite());
    Bucket { step, last_step: step, x, last_x: x, min: value, max: value, mean: value, count }
}

/// Whether it holds a number; a bucket without one is a gap.
pub fn has_value(bucket: &Bucket) -> bool {
    bucket.count > 0 && bucket.mean.is_finite()
}

/// Where on the x axis a bucket is drawn: its middle.
pub fn middle(bucket: &Bucket) -> f64 {
    bucket.x + (bucket.last_x - bucket.x) / 2.0
}

/// The lowest and highest value of a bucket that count, in this order.
pub(crate) fn extent(bucket: &Bucket) -> (f64, f64) {
    let low = if bucket.min.is_finite() { bucket.min.min(bucket.mean) } else { bucket.mean };
    let high = if bucket.max.is_finite() { bucket.max.max(bucket.mean) } else { bucket.mean };
    (low, high)
}

/// The buckets that can be seen between two places, and one more on each side so that lines reach the edges.
pub(crate) fn visible(buckets: &[Bucket], from: f64, to: f64) -> &[Bucket] {
    let first = buckets.partition_point(|bucket| bucket.last_x < from).saturating_sub(1);
    let last = (buckets.partition_point(|bucket| bucket.x <= to) + 1).min(buckets.len());
    buckets.get(first..last).unwrap_or(&[])
}

/// One place on a drawn curve, in pixels.
#[derive(Debug, Clone, Copy)]
struct Column {
    x: f64,
    top: f64,
    line: f64,
    bottom: f64,
}

/// The parts between gaps.
type Stretches = Vec<Vec<Column>>;

impl Curve<'_> {
    /// Its shapes, except the dot at its end; for every style except [`Style::Stacked`].
    pub(crate) fn shapes(&self, layout: &Layout) -> Vec<Shape> {
        let seen = visible(self.buckets, layout.x.from, layout.x.to);
        let stretches = columns(seen, layout);
        let mut shapes = Vec::new();
        match self.style {
            Style::Planned => lines(&stretches, self.stroke(1.5).dashed(Dash::Dashed).faint(0.8), &mut shapes),
            Style::Abandoned => {
                bands(&stretches, self.role, 0.10, &mut shapes);
                lines(&stretches, self.stroke(1.1).faint(0.6), &mut shapes);
            }
            Style::Measured | Style::Stacked => self.measured(&stretches, seen, layout, &mut shapes),
        }
        shapes
    }

    fn measured(&self, stretches: &Stretches, seen: &[Bucket], layout: &Layout, shapes: &mut Vec<Shape>) {
        bands(stretches, self.role, 0.22, shapes);
        match self.smoothing {
            Some(length) if length > 0.0 => {
                lines(stretches, self.stroke(1.0).faint(0.35), shapes);
                lines(&columns(&smoothed(seen, length), layout), self.stroke(1.9), shapes);
            }
            _ => lines(stretches, self.stroke(1.6), shapes),
        }
        dots(stretches, self.role, shapes);
    }

    fn stroke(&self, width: f64) -> Stroke {
        Stroke::solid(self.role, width).dashed(self.role.dash())
    }
}

/// Buckets become columns, one each; where they are closer than half a pixel those of a pixel are folded, extremes kept.
fn columns(buckets: &[Bucket], layout: &Layout) -> Stretches {
    let is_crowded = buckets.len() as f64 > 2.0 * layout.plot.width.max(1.0);
    let mut stretches = Stretches::new();
    let mut stretch: Vec<Column> = Vec::new();
    let mut folded = 0u64;
    for bucket in buckets {
        let Some(column) = column(bucket, layout) else {
            if !stretch.is_empty() {
                stretches.push(std::mem::take(&mut stretch));
            }
            continue;
        };
        match stretch.last_mut() {
            Some(last) if is_crowded && last.x.floor() == column.x.floor() => {
                folded += 1;
                last.top = last.top.min(column.top);
                last.bottom = last.bottom.max(column.bottom);
                last.line += (column.line - last.line) / (folded + 1) as f64;
            }
            _ => {
                folded = 0;
                stretch.push(column);
            }
        }
    }
    if !stretch.is_empty() {
        stretches.push(stretch);
    }
    stretches
}

fn column(bucket: &Bucket, layout: &Layout) -> Option<Column> {
    let (x, line) = (layout.to_x(middle(bucket)), layout.to_y(bucket.mean));
    let (low, high) = extent(bucket);
    let (top, bottom) = (layout.to_y(high), layout.to_y(low));
    // On a logarithmic scale 0 is below any place: the band then goes down to the edge.
    let bottom = if bottom.is_nan() { layout.plot.bottom() } else { bottom };
    (has_value(bucket) && x.is_finite() && line.is_finite()).then_some(Column { x, top, line, bottom })
}

fn lines(stretches: &Stretches, stroke: Stroke, shapes: &mut Vec<Shape>) {
    for stretch in stretches.iter().filter(|stretch| stretch.len() > 1) {
        let points = stretch.iter().map(|column| Point::new(column.x, column.line)).collect();
        shapes.push(Shape::Polyline { points, stroke });
    }
}

/// The band of each part, with a hairline around it: a spike one pixel wide would otherwise be too pale to see.
fn bands(stretches: &Stretches, role: Role, opacity: f64, shapes: &mut Vec<Shape>) {
    for stretch in stretches.iter().filter(|stretch| stretch.iter().any(|column| column.bottom - column.top > 0.2)) {
        let upper = stretch.iter().map(|column| Point::new(column.x, column.top));
        let lower = stretch.iter().rev().map(|column| Point::new(column.x, column.bottom));
        let points: Vec<Point> = upper.chain(lower).collect();
        shapes.push(Shape::Area { points, fill: Fill::faint(role, opacity) });
        spikes(stretch, role, shapes);
    }
}

/// Reach above or below the line, in pixels, that makes a column worth a line of its own.
const SPIKE_REACH: f64 = 14.0;

/// Where a column stands out from both of its neighbours, a line to its end.
fn spikes(stretch: &[Column], role: Role, shapes: &mut Vec<Shape>) {
    let stroke = Stroke::solid(role, 1.2).faint(0.75);
    for (at, column) in stretch.iter().enumerate() {
        let around = [at.checked_sub(1).and_then(|before| stretch.get(before)), stretch.get(at + 1)];
        let beside =
            |edge: fn(&Column) -> f64| around.iter().flatten().map(move |other| edge(other)).fold(0.0, f64::max);
        let (above, below) = (beside(|other| other.line - other.top), beside(|other| other.bottom - other.line));
        for (reach, usual, end) in
            [(column.line - column.top, above, column.top), (column.bottom - column.line, below, column.bottom)]
        {
            if reach > SPIKE_REACH && reach > 4.0 * usual {
                shapes.push(Shape::line(Point::new(column.x, column.line), Point::new(column.x, end), stroke));
            }
        }
    }
}

/// Pixels between points from which each gets a dot.
const DOT_SPACING: f64 = 14.0;

/// Dots on isolated or widely spaced points, so that single measurements are visible.
fn dots(stretches: &Stretches, role: Role, shapes: &mut Vec<Shape>) {
    for stretch in stretches {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
        let spacing = (last.x - first.x) / (stretch.len() - 1).max(1) as f64;
        if stretch.len() == 1 || spacing >= DOT_SPACING {
            let dot = |column: &Column| Shape::dot(Point::new(column.x, column.line), 2.2, Fill::solid(role));
            shapes.extend(stretch.iter().map(dot));
        }
    }
}

/// The running mean: each bucket pulls by its distance in x, so that a thousand steps in one bucket weigh as they would alone.
fn smoothed(buckets: &[Bucket], length: f64) -> Vec<Bucket> {
    let mut mean: Option<(f64, f64)> = None;
    let follow = |bucket: &Bucket| {
        if !has_value(bucket) {
            return *bucket;
        }
        let (at, value) = (bucket.last_x, bucket.mean);
        let next = match mean {
            None => value,
            Some((before, old)) => old + (value - old) * (1.0 - (-((at - before).max(0.0) / length)).exp()),
        };
        mean = Some((at, next));
        Bucket { min: next, max: next, mean: next, ..*bucket }
    };
    buckets.iter().map(follow).collect()
}
