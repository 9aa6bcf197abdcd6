//! One curve of a chart: its name, its style and its buckets. `line` draws it.

use wire::series::Bucket;

use crate::scene::Role;

/// Usual length of a running mean, as a fraction of the range of x in view.
pub const SMOOTHING: f64 = 0.02;

/// The style of a curve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Measured: a band and a line.
    #[default]
    Measured,
    /// An abandoned segment: faint, drawn below the other curves.
    Abandoned,
    /// A planned curve: dashed, without a band.
    Planned,
    /// A range: a band without a line.
    Band,
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
    /// Length of a centred running mean, in units of x; the measured curve stays, faint.
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

/// Abandoned branches of a chart that are named one by one; more of them are one entry with their number, and fainter.
pub const NAMED_BRANCHES: usize = 3;

/// The number of abandoned branches, if they are too many to be named.
pub(crate) fn folded(curves: &[Curve]) -> Option<usize> {
    let branches = curves.iter().filter(|curve| curve.style == Style::Abandoned && !curve.name.is_empty()).count();
    (branches > NAMED_BRANCHES).then_some(branches)
}

/// The opacity of abandoned branches, relative to that of a few: many of them together must not hide the path.
pub(crate) fn branch_opacity(curves: &[Curve]) -> f64 {
    let branches = curves.iter().filter(|curve| curve.style == Style::Abandoned).count();
    (6.0 / branches.max(1) as f64).clamp(0.3, 1.0)
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

/// The position of a bucket on the x axis: its middle.
pub fn middle(bucket: &Bucket) -> f64 {
    bucket.x + (bucket.last_x - bucket.x) / 2.0
}

/// The lowest and highest value of a bucket that count, in this order.
pub(crate) fn extent(bucket: &Bucket) -> (f64, f64) {
    let low = if bucket.min.is_finite() { bucket.min.min(bucket.mean) } else { bucket.mean };
    let high = if bucket.max.is_finite() { bucket.max.max(bucket.mean) } else { bucket.mean };
    (low, high)
}

/// The buckets that are visible between two positions, and one more on each side so that lines reach the edges.
pub(crate) fn visible(buckets: &[Bucket], from: f64, to: f64) -> &[Bucket] {
    let first = buckets.partition_point(|bucket| bucket.last_x < from).saturating_sub(1);
    let last = (buckets.partition_point(|bucket| bucket.x <= to) + 1).min(buckets.len());
    buckets.get(first..last).unwrap_or(&[])
}
