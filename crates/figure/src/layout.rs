//! The geometry of a chart: its ranges, its rectangles, and the conversion between values and pixels.

use wire::series::Bucket;

use crate::axis::{Scale, ScaleKind};
use crate::cluster::{Cluster, clusters};
use crate::curve::{Curve, Style, extent, has_value, middle, visible};
use crate::scene::{Font, Point, Rect, Size, text_width};
use crate::spec::ChartSpec;
use crate::{axis, stack};

/// Font height of ticks and remarks.
pub(crate) const SMALL: f64 = 11.0;
/// Font height of titles.
pub(crate) const TITLE: f64 = 13.0;
/// Height of the row of markers.
pub(crate) const LANE: f64 = 18.0;
/// Width of one character of a tick label, for the gap beside it.
const GAP: f64 = 8.0;

/// The geometry of a drawn chart, used to interpret pointer and key events.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Size of the drawing.
    pub size: Size,
    /// Rectangle of the curves.
    pub plot: Rect,
    /// Rectangle of the row of markers, if the chart has one.
    pub lane: Option<Rect>,
    /// Values from left to right.
    pub x: Scale,
    /// Values from bottom to top.
    pub y: Scale,
    /// The visible markers of the specification from left to right; those that would overlap are together.
    pub clusters: Vec<Cluster>,
}

/// The value of a curve at a position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Index of the curve.
    pub curve: usize,
    /// Its nearest bucket with a value.
    pub bucket: Bucket,
    /// Position of its line there.
    pub at: Point,
}

impl Layout {
    /// The geometry of `spec` and `curves` on a canvas of `size`; any size, any values.
    pub fn new(spec: &ChartSpec, curves: &[Curve], size: Size) -> Self {
        let size = Size::new(sane(size.width), sane(size.height));
        let x = x_scale(spec, curves);
        let y = y_scale(spec, curves, &x);
        let top = if spec.frame.has_header { 30.0 } else { 8.0 };
        let lane = if spec.frame.has_lane { LANE } else { 0.0 };
        let foot = if spec.frame.has_x_labels { 22.0 } else { 6.0 };
        let height = size.height - top - lane - foot;
        let labels = axis::ticks(&y, y_target(height), &spec.unit);
        let widest = labels.iter().map(|tick| text_width(&tick.label, SMALL, Font::Numbers)).fold(0.0, f64::max);
        let left = spec.frame.left_margin.map_or((widest + GAP + 6.0).max(36.0), sane).min(size.width / 2.0);
        let plot = Rect::new(left, top, size.width - left - 12.0, height);
        let lane = spec.frame.has_lane.then(|| Rect::new(plot.x, plot.bottom(), plot.width, lane));
        let mut layout = Self { size, plot, lane, x, y, clusters: Vec::new() };
        let positions: Vec<f64> = spec.markers.iter().map(|marker| layout.visible_x(marker.x)).collect();
        layout.clusters = clusters(&positions);
        layout
    }

    fn visible_x(&self, x: f64) -> f64 {
        if self.x.contains(x) { self.to_x(x) } else { f64::NAN }
    }

    /// Pixels from the left of a value of x.
    pub fn to_x(&self, value: f64) -> f64 {
        self.plot.x + self.x.position(value) * self.plot.width
    }

    /// Pixels from the top of a value of y; NaN if a logarithmic scale has no position for it.
    pub fn to_y(&self, value: f64) -> f64 {
        self.plot.bottom() - self.y.position(value) * self.plot.height
    }

    /// The value of x at pixels from the left: the inverse of [`Self::to_x`]; the left end on a plot without width.
    pub fn from_x(&self, pixels: f64) -> f64 {
        if self.plot.width > 0.0 { self.x.value((pixels - self.plot.x) / self.plot.width) } else { self.x.from }
    }

    /// The value of y at pixels from the top: the inverse of [`Self::to_y`]; the lower end on a plot without height.
    pub fn from_y(&self, pixels: f64) -> f64 {
        if self.plot.height > 0.0 {
            self.y.value((self.plot.bottom() - pixels) / self.plot.height)
        } else {
            self.y.from
        }
    }

    /// The nearest values to a value of x, at most one per curve; curves that end before it or begin after it are left
    /// out.
    pub fn readings(&self, curves: &[Curve], x: f64) -> Vec<Reading> {
        let slack = (self.x.to - self.x.from) * 0.01;
        let read = |(index, curve): (usize, &Curve)| {
            let bucket = nearest(curve.buckets, x).filter(|bucket| x >= bucket.x - slack || is_between(curve, x))?;
            let bucket = Some(bucket).filter(|bucket| x <= bucket.last_x + slack || is_between(curve, x))?;
            let value =
                if curve.style == Style::Stacked { stack::top(curves, index, middle(bucket)) } else { bucket.mean };
            let at = Point::new(self.to_x(middle(bucket)), self.to_y(value));
            Some(Reading { curve: index, bucket: *bucket, at })
        };
        curves.iter().enumerate().filter_map(read).collect()
    }

    /// The markers under a pointer, if some are within `reach` pixels in the row of markers.
    pub fn cluster_near(&self, at: Point, reach: f64) -> Option<&Cluster> {
        let lane = self.lane.filter(|lane| lane.grown(reach).contains(at))?;
        let distance = |cluster: &Cluster| (cluster.x - at.x).abs() - cluster.half_width();
        let near = self.clusters.iter().filter(|cluster| distance(cluster) <= reach.min(lane.height));
        near.min_by(|one, two| distance(one).total_cmp(&distance(two)))
    }

    /// The range of x after zooming by `factor` (above 1 is closer) about a pixel, whose value does not move.
    pub fn zoomed(&self, pixels: f64, factor: f64) -> (f64, f64) {
        let at = if self.plot.width > 0.0 { (pixels - self.plot.x) / self.plot.width } else { 0.5 };
        let factor = if factor.is_finite() && factor > 0.0 { factor } else { 1.0 };
        (self.x.value(at - at / factor), self.x.value(at + (1.0 - at) / factor))
    }

    /// The range of x after dragging by so many pixels to the right.
    pub fn dragged(&self, pixels: f64) -> (f64, f64) {
        let by = if self.plot.width > 0.0 { pixels / self.plot.width } else { 0.0 };
        (self.x.value(-by), self.x.value(1.0 - by))
    }
}

fn sane(length: f64) -> f64 {
    if length.is_finite() { length.clamp(0.0, 100_000.0) } else { 0.0 }
}

/// Number of grid lines for a height.
pub(crate) fn y_target(height: f64) -> usize {
    ((height / 40.0) as usize).clamp(2, 8)
}

fn is_between(curve: &Curve, x: f64) -> bool {
    let valued = || curve.buckets.iter().filter(|bucket| has_value(bucket));
    valued().next().is_some_and(|first| first.x <= x) && curve.last().is_some_and(|last| x <= last.last_x)
}

/// The bucket with a value whose middle is nearest; buckets are in order of x.
pub fn nearest(buckets: &[Bucket], x: f64) -> Option<&Bucket> {
    if x.is_nan() {
        return None;
    }
    let split = buckets.partition_point(|bucket| middle(bucket) < x);
    let before = buckets[..split].iter().rev().find(|bucket| has_value(bucket));
    let after = buckets[split..].iter().find(|bucket| has_value(bucket));
    match (before, after) {
        (Some(one), Some(two)) if x - middle(one) <= middle(two) - x => Some(one),
        (Some(one), None) => Some(one),
        (_, two) => two,
    }
}

fn x_scale(spec: &ChartSpec, curves: &[Curve]) -> Scale {
    let mut range = Range::default();
    for bucket in curves.iter().flat_map(|curve| curve.buckets.first().into_iter().chain(curve.buckets.last())) {
        range.add(bucket.x);
        range.add(bucket.last_x);
    }
    let (from, to) = range.ends();
    Scale::new(spec.x_scale, spec.from.unwrap_or(from), spec.to.unwrap_or(to))
}

fn y_scale(spec: &ChartSpec, curves: &[Curve], x: &Scale) -> Scale {
    let mut range = Range { is_log: spec.y_scale == ScaleKind::Log, ..Range::default() };
    let mut spread = Spread::default();
    for curve in curves.iter().filter(|curve| !matches!(curve.style, Style::Stacked | Style::Abandoned)) {
        for bucket in inside(curve, x) {
            let (low, high) = extent(bucket);
            range.add(low);
            range.add(high);
            range.add(bucket.mean);
            spread.add(spec, low, high);
        }
    }
    if let Some((low, high)) = spread.ends(spec) {
        range = Range { low, high, ..range };
    }
    if let Some(top) = stack::highest(curves, x) {
        range.add(0.0);
        range.add(top);
    }
    if spec.has_zero {
        range.add(0.0);
    }
    // Abandoned segments must not compress the other curves; where they leave the axis, the edge has a marker.
    let abandoned = curves.iter().filter(|curve| curve.style == Style::Abandoned).flat_map(|curve| inside(curve, x));
    let abandoned: Vec<(f64, f64)> = abandoned.map(extent).collect();
    let lowest = abandoned.iter().map(|(low, _)| *low).fold(f64::INFINITY, f64::min);
    let highest = abandoned.iter().map(|(_, high)| *high).fold(f64::NEG_INFINITY, f64::max);
    if range.low > range.high {
        [lowest, highest].into_iter().for_each(|value| range.add(value));
    }
    // A branch that was better than the path is shown, and a spike that was rolled back; one that diverged far is not.
    range.add_if_near(lowest, 2.0);
    range.add_if_near(highest, if spec.y_fraction.is_some() { NEAR } else { SPIKE });
    for reference in &spec.references {
        range.add_if_near(reference.value, NEAR);
    }
    let (low, high) = range.ends();
    let scale = Scale::new(spec.y_scale, spec.y_from.unwrap_or(low), spec.y_to.unwrap_or(high));
    let padded = scale.padded(0.06);
    // Fixed ends stay, and what is never negative does not get a margin below 0.
    let keeps_low =
        spec.y_from.is_some() || (scale.kind == ScaleKind::Linear && scale.from >= 0.0 && padded.from < 0.0);
    let from = match (spec.y_from.is_some(), keeps_low) {
        (true, _) => scale.from,
        (false, true) => 0.0,
        (false, false) => padded.from,
    };
    Scale::new(scale.kind, from, if spec.y_to.is_some() { scale.to } else { padded.to })
}

/// Growth of the y axis that leaves the curves most of their height.
const NEAR: f64 = 1.35;

/// Growth of the y axis that leaves the curves a third of its height, for spikes of abandoned branches.
const SPIKE: f64 = 3.0;

/// The buckets of a curve that have values between the ends of the x axis.
fn inside<'a>(curve: &Curve<'a>, x: &'a Scale) -> impl Iterator<Item = &'a Bucket> {
    let seen = visible(curve.buckets, x.from, x.to).iter();
    seen.filter(|bucket| has_value(bucket) && bucket.last_x >= x.from && bucket.x <= x.to)
}

/// The minimum and the maximum of some values; values that the scale cannot show are ignored.
#[derive(Debug, Clone, Copy)]
struct Range {
    is_log: bool,
    low: f64,
    high: f64,
}

impl Default for Range {
    fn default() -> Self {
        Self { is_log: false, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Range {
    fn add(&mut self, value: f64) {
        if value.is_finite() && (!self.is_log || value > 0.0) {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }

    /// Extends the range to a value if it becomes less than `growth` times as long.
    fn add_if_near(&mut self, value: f64, growth: f64) {
        let length = |low: f64, high: f64| if self.is_log { (high / low).ln() } else { high - low };
        if self.low < self.high
            && length(self.low.min(value), self.high.max(value)) < growth * length(self.low, self.high)
        {
            self.add(value);
        }
    }

    fn ends(&self) -> (f64, f64) {
        if self.low <= self.high { (self.low, self.high) } else { (f64::NAN, f64::NAN) }
    }
}

/// All extremes, for the fraction of them that a clipped axis shows.
#[derive(Debug, Default)]
struct Spread {
    lows: Vec<f64>,
    highs: Vec<f64>,
}

impl Spread {
    fn add(&mut self, spec: &ChartSpec, low: f64, high: f64) {
        if spec.y_fraction.is_some() && (spec.y_scale == ScaleKind::Linear || low > 0.0) {
            self.lows.push(low);
            self.highs.push(high);
        }
    }

    /// The range that contains the fraction `y_fraction` of the extremes on each side.
    fn ends(mut self, spec: &ChartSpec) -> Option<(f64, f64)> {
        let fraction = spec.y_fraction?.clamp(0.5, 1.0);
        self.lows.sort_unstable_by(f64::total_cmp);
        self.highs.sort_unstable_by(f64::total_cmp);
        let last = self.lows.len().checked_sub(1)?;
        let index = ((last as f64) * fraction).ceil() as usize;
        Some((self.lows[last - index], self.highs[index]))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chart::chart;
    use crate::curve::point;
    use crate::scene::Role;

    /// Reproducible random values.
    pub(crate) struct Random(u64);

    impl Random {
        pub(crate) fn new(seed: u64) -> Self {
            Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
        }

        pub(crate) fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }

        pub(crate) fn below(&mut self, bound: usize) -> usize {
            (self.next() >> 16) as usize % bound
        }

        /// 0 to 1.
        pub(crate) fn unit(&mut self) -> f64 {
            (self.next() >> 11) as f64 / (1u64 << 53) as f64
        }

        /// Any double: small, huge, negative, not a number.
        pub(crate) fn wild(&mut self) -> f64 {
            match self.below(12) {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 => 0.0,
                4 => f64::MAX,
                5 => f64::MIN_POSITIVE,
                6 => -self.unit() * 1e3,
                7 => f64::from_bits(self.next()),
                8 => self.below(1_000_000) as f64,
                _ => self.unit() * 10.0,
            }
        }
    }

    #[test]
    fn pixels_and_values_are_inverse() {
        let mut random = Random::new(3);
        for _ in 0..2000 {
            let buckets: Vec<Bucket> = (0..50).map(|step| point(step, step as f64, 1.0 + random.unit())).collect();
            let spec = ChartSpec {
                y_scale: if random.below(2) == 0 { ScaleKind::Log } else { ScaleKind::Linear },
                ..ChartSpec::default()
            };
            let size = Size::new(100.0 + random.unit() * 900.0, 100.0 + random.unit() * 400.0);
            let layout = Layout::new(&spec, &[Curve::new("loss", Role::Accent, &buckets)], size);
            let (x, y) = (random.unit() * 49.0, 1.0 + random.unit());
            assert!((layout.from_x(layout.to_x(x)) - x).abs() < 1e-9);
            assert!((layout.from_y(layout.to_y(y)) - y).abs() < 1e-9);
            let (from, to) = layout.zoomed(layout.to_x(x), 3.0);
            let closer = ChartSpec { from: Some(from), to: Some(to), ..spec };
            let zoomed = Layout {
                plot: layout.plot,
                ..Layout::new(&closer, &[Curve::new("loss", Role::Accent, &buckets)], size)
            };
            assert!((zoomed.to_x(x) - layout.to_x(x)).abs() < 1e-6, "the value under the pointer does not move");
        }
    }

    #[test]
    fn readings_are_the_nearest_values() {
        let buckets: Vec<Bucket> = (0..100)
            .map(|step| point(step, step as f64 * 10.0, if step == 50 { f64::NAN } else { step as f64 }))
            .collect();
        let later = [point(0, 900.0, 1.0), point(1, 990.0, 2.0)];
        let curves = [Curve::new("a", Role::Run(0), &buckets), Curve::new("b", Role::Run(1), &later)];
        let layout = Layout::new(&ChartSpec::default(), &curves, Size::new(800.0, 300.0));
        let at = |x| {
            layout.readings(&curves, x).iter().map(|reading| (reading.curve, reading.bucket.mean)).collect::<Vec<_>>()
        };
        assert_eq!(at(123.0), [(0, 12.0)]);
        assert_eq!(at(500.0), [(0, 49.0)], "a gap reads as its neighbour");
        assert_eq!(at(950.0), [(0, 95.0), (1, 2.0)]);
        assert_eq!(at(5000.0), []);
        assert_eq!(at(f64::NAN), []);
    }

    #[test]
    fn an_abandoned_branch_below_the_path_stays_on_a_clipped_logarithmic_axis() {
        let loss = |step: u64| 1.2 + 3.0 * (-(step as f64) / 200.0).exp();
        let part = |from: u64, to: u64| (from..to).map(|step| point(step, step as f64, loss(step))).collect();
        let (path, left): (Vec<Bucket>, Vec<Bucket>) = (part(0, 400), part(400, 900));
        let abandoned = Curve { style: Style::Abandoned, ..Curve::new("", Role::Abandoned, &left) };
        let spec = ChartSpec { y_fraction: Some(0.99), y_scale: ScaleKind::Log, ..ChartSpec::default() };
        let curves = [abandoned, Curve::new("train", Role::Accent, &path)];
        let layout = Layout::new(&spec, &curves, Size::new(800.0, 300.0));
        assert!(layout.y.from < loss(899), "{:?}", layout.y);
    }

    #[test]
    fn a_spike_of_an_abandoned_branch_is_on_the_axis_unless_outliers_are_ignored() {
        let path: Vec<Bucket> = (0..100).map(|step| point(step, step as f64, 4.0 - step as f64 * 0.02)).collect();
        let top = |spike: f64, y_fraction| {
            let left = [point(50, 50.0, 3.0), point(51, 51.0, spike), point(52, 52.0, 3.0)];
            let abandoned = Curve { style: Style::Abandoned, ..Curve::new("", Role::Abandoned, &left) };
            let curves = [abandoned, Curve::new("train", Role::Accent, &path)];
            let spec = ChartSpec { y_fraction, ..ChartSpec::default() };
            Layout::new(&spec, &curves, Size::new(800.0, 300.0)).y.to
        };
        assert!(top(7.5, None) > 7.5, "shown");
        assert!(top(7.5, Some(0.99)) < 5.0, "ignored");
        assert!(top(75.0, None) < 5.0, "a divergence would leave the path no height");
    }

    #[test]
    fn a_fraction_below_one_leaves_spikes_at_the_edge() {
        let mut buckets: Vec<Bucket> =
            (0..1000).map(|step| point(step, step as f64, 2.0 + (step % 7) as f64 * 0.01)).collect();
        buckets[500].max = 400.0;
        let curves = [Curve::new("loss", Role::Accent, &buckets)];
        let whole = Layout::new(&ChartSpec::default(), &curves, Size::new(800.0, 300.0));
        assert!(whole.y.to >= 400.0);
        let spec = ChartSpec { y_fraction: Some(0.99), ..ChartSpec::default() };
        let drawing = chart(&spec, &curves, Size::new(800.0, 300.0));
        assert!(drawing.layout.y.to < 3.0);
        let mut clipped = 0;
        drawing.scene.walk(&mut |shape| clipped += usize::from(matches!(shape, crate::Shape::Marker { .. })));
        assert_eq!(clipped, 1, "the spike is marked");
    }
}
