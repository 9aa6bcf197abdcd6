//! The shapes of a curve. A bucket is drawn as a band from its minimum to its maximum under the line of the means, so that a
//! spike of one step is visible at any zoom.

use wire::series::Bucket;

use crate::curve::{Curve, Style, extent, has_value, middle, visible};
use crate::layout::Layout;
use crate::scene::{Dash, Fill, Point, Role, Shape, Stroke};

/// One position on a drawn curve, in pixels.
#[derive(Debug, Clone, Copy)]
struct Column {
    x: f64,
    top: f64,
    line: f64,
    bottom: f64,
}

/// The parts of a curve between gaps: maximal runs of buckets with values.
type Parts = Vec<Vec<Column>>;

impl Curve<'_> {
    /// Its shapes, except the dot at its end; for every style except [`Style::Stacked`].
    /// `opacity` is that of abandoned branches, relative to a few of them.
    pub(crate) fn shapes(&self, layout: &Layout, opacity: f64) -> Vec<Shape> {
        let seen = visible(self.buckets, layout.x.from, layout.x.to);
        let parts = columns(seen, layout);
        let mut shapes = Vec::new();
        match self.style {
            Style::Planned => lines(&parts, self.stroke(1.5).dashed(Dash::Dashed).faint(0.8), &mut shapes),
            Style::Abandoned => {
                if opacity >= 1.0 {
                    bands(&parts, self.role, 0.10, &mut shapes);
                }
                lines(&parts, self.stroke(1.1).faint(0.6 * opacity), &mut shapes);
            }
            Style::Band => bands(&parts, self.role, 0.22, &mut shapes),
            Style::Measured | Style::Stacked => self.measured(&parts, layout, &mut shapes),
        }
        shapes
    }

    fn measured(&self, parts: &Parts, layout: &Layout, shapes: &mut Vec<Shape>) {
        bands(parts, self.role, 0.22, shapes);
        match self.smoothing {
            Some(length) if length > 0.0 => {
                lines(parts, self.stroke(1.0).faint(0.35), shapes);
                // The window of a bucket at the edge of the view reaches beyond it.
                let smoothed = smoothed(self.buckets, length);
                let seen = visible(&smoothed, layout.x.from, layout.x.to);
                lines(&columns(seen, layout), self.stroke(1.9), shapes);
            }
            _ => lines(parts, self.stroke(1.6), shapes),
        }
        dots(parts, self.role, shapes);
    }

    fn stroke(&self, width: f64) -> Stroke {
        Stroke::solid(self.role, width).dashed(self.role.dash())
    }
}

/// Buckets become columns, one each; if buckets are closer than half a pixel, those of one pixel are merged with their
/// extremes.
fn columns(buckets: &[Bucket], layout: &Layout) -> Parts {
    let is_crowded = buckets.len() as f64 > 2.0 * layout.plot.width.max(1.0);
    let mut parts = Parts::new();
    let mut part: Vec<Column> = Vec::new();
    let mut merged = 0u64;
    for bucket in buckets {
        let Some(column) = column(bucket, layout) else {
            if !part.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            continue;
        };
        match part.last_mut() {
            Some(last) if is_crowded && last.x.floor() == column.x.floor() => {
                merged += 1;
                last.top = last.top.min(column.top);
                last.bottom = last.bottom.max(column.bottom);
                last.line += (column.line - last.line) / (merged + 1) as f64;
            }
            _ => {
                merged = 0;
                part.push(column);
            }
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

fn column(bucket: &Bucket, layout: &Layout) -> Option<Column> {
    let (x, line) = (layout.to_x(middle(bucket)), layout.to_y(bucket.mean));
    let (low, high) = extent(bucket);
    let (top, bottom) = (layout.to_y(high), layout.to_y(low));
    // On a logarithmic scale 0 has no position: the band then goes down to the edge.
    let bottom = if bottom.is_nan() { layout.plot.bottom() } else { bottom };
    (has_value(bucket) && x.is_finite() && line.is_finite()).then_some(Column { x, top, line, bottom })
}

fn lines(parts: &Parts, stroke: Stroke, shapes: &mut Vec<Shape>) {
    for part in parts.iter().filter(|part| part.len() > 1) {
        let points = part.iter().map(|column| Point::new(column.x, column.line)).collect();
        shapes.push(Shape::Polyline { points, stroke });
    }
}

/// The band of each part, with a hairline around it: a spike one pixel wide would otherwise be too pale to see.
fn bands(parts: &Parts, role: Role, opacity: f64, shapes: &mut Vec<Shape>) {
    for part in parts.iter().filter(|part| part.iter().any(|column| column.bottom - column.top > 0.2)) {
        let upper = part.iter().map(|column| Point::new(column.x, column.top));
        let lower = part.iter().rev().map(|column| Point::new(column.x, column.bottom));
        let points: Vec<Point> = upper.chain(lower).collect();
        shapes.push(Shape::Area { points, fill: Fill::faint(role, opacity) });
        spikes(part, role, shapes);
    }
}

/// Reach above or below the line, in pixels, from which a column gets a separate line.
const SPIKE_REACH: f64 = 14.0;

/// A line to the end of each column that is much longer than its two neighbours.
fn spikes(part: &[Column], role: Role, shapes: &mut Vec<Shape>) {
    let stroke = Stroke::solid(role, 1.2).faint(0.75);
    for (at, column) in part.iter().enumerate() {
        let around = [at.checked_sub(1).and_then(|before| part.get(before)), part.get(at + 1)];
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
fn dots(parts: &Parts, role: Role, shapes: &mut Vec<Shape>) {
    for part in parts {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let spacing = (last.x - first.x) / (part.len() - 1).max(1) as f64;
        if part.len() == 1 || spacing >= DOT_SPACING {
            let dot = |column: &Column| Shape::dot(Point::new(column.x, column.line), 2.2, Fill::solid(role));
            shapes.extend(part.iter().map(dot));
        }
    }
}

/// The centred running mean: each bucket becomes the mean of all steps within half the length on either side. Near an end the window is
/// shorter on both sides, so that the mean of a falling loss does not lag behind it there either.
fn smoothed(buckets: &[Bucket], length: f64) -> Vec<Bucket> {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return vec![] };
    let (start, end) = (middle(first), middle(last));
    let around = |bucket: &Bucket| {
        if !has_value(bucket) {
            return *bucket;
        }
        let at = middle(bucket);
        let half = (length / 2.0).min(at - start).min(end - at).max(0.0);
        let from = buckets.partition_point(|other| middle(other) < at - half);
        let to = buckets.partition_point(|other| middle(other) <= at + half);
        let mean = mean(&buckets[from..to]);
        Bucket { min: mean, max: mean, mean, ..*bucket }
    };
    buckets.iter().map(around).collect()
}

/// The mean of all steps of some buckets, of which at least one has a value.
fn mean(buckets: &[Bucket]) -> f64 {
    let valued = buckets.iter().filter(|bucket| has_value(bucket));
    let (sum, steps) = valued.fold((0.0, 0.0), |(sum, steps), bucket| {
        let count = bucket.count as f64;
        (sum + bucket.mean * count, steps + count)
    });
    sum / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(step: u64, mean: f64) -> Bucket {
        let x = step as f64;
        Bucket { step, last_step: step, x, last_x: x, min: mean, max: mean, mean, count: 1 }
    }

    #[test]
    fn a_running_mean_lags_nowhere() {
        let falling: Vec<Bucket> = (0..100).map(|step| bucket(step, 5.0 - 0.03 * step as f64)).collect();
        for (bucket, smoothed) in falling.iter().zip(smoothed(&falling, 15.0)) {
            assert!(
                (bucket.mean - smoothed.mean).abs() < 1e-9,
                "step {}: {} of {}",
                bucket.step,
                smoothed.mean,
                bucket.mean
            );
        }
    }

    #[test]
    fn a_running_mean_is_that_of_the_steps_around() {
        let mut buckets: Vec<Bucket> =
            [1.0, 3.0, 2.0, f64::NAN, 6.0].iter().zip(0..).map(|(mean, step)| bucket(step, *mean)).collect();
        buckets[1].count = 3;
        let means: Vec<f64> = smoothed(&buckets, 2.0).iter().map(|bucket| bucket.mean).collect();
        assert_eq!(means[..3], [1.0, (1.0 + 3.0 * 3.0 + 2.0) / 5.0, (3.0 * 3.0 + 2.0) / 4.0]);
        assert!(means[3].is_nan(), "a gap stays");
        assert_eq!(means[4], 6.0);
        assert!(smoothed(&[], 2.0).is_empty());
    }
}
