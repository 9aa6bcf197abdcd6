//! Every point of the selected series with its x value on every axis, for exports: nothing is aggregated, and points of abandoned segments
//! are marked.

use std::io;

use super::path::PathPoints;
use super::pyramid::Reader;
use crate::error::StoreError;

/// Points in one read.
const AT_ONCE: u64 = 8192;

/// A point of a series. Unknown x values are NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    pub step: u64,
    /// Tokens trained on.
    pub tokens: f64,
    /// Training time, seconds.
    pub secs: f64,
    /// Floating-point operations.
    pub flops: f64,
    pub value: f64,
    /// Whether it belongs to an abandoned segment.
    pub is_abandoned: bool,
}

/// A series of one segment, with the points stored when it was requested. Reading blocks the thread.
pub struct Curve {
    /// Segment of the run's history.
    pub segment: u32,
    pub name: String,
    /// Number of points.
    pub len: u64,
    reader: Reader,
    next: u64,
    tokens: Interpolation,
    secs: Interpolation,
    flops_per_token: f64,
    /// Steps of this segment on the run's path: the first, and one past the last.
    on_path: Option<(u64, Option<u64>)>,
}

/// The axes that all series of a run share.
pub(super) struct Scale {
    /// Tokens per step, if no series of tokens exists.
    pub(super) tokens_per_step: f64,
    pub(super) flops_per_token: f64,
    /// The run's path: segment, first step, one past the last.
    pub(super) spans: Vec<(u32, u64, Option<u64>)>,
}

impl Curve {
    /// `tokens` and `secs` are series of the same segment, if they exist.
    pub(super) fn new(
        segment: u32,
        name: &str,
        reader: Reader,
        [tokens, secs]: [Option<Reader>; 2],
        scale: &Scale,
    ) -> io::Result<Self> {
        let on_path = scale.spans.iter().find(|(of, ..)| *of == segment).map(|(_, from, to)| (*from, *to));
        Ok(Self {
            segment,
            name: name.to_owned(),
            len: reader.len,
            reader,
            next: 0,
            tokens: Interpolation::new(tokens, scale.tokens_per_step)?,
            secs: Interpolation::new(secs, f64::NAN)?,
            flops_per_token: scale.flops_per_token,
            on_path,
        })
    }

    /// The next points, in increasing steps; empty at the end.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn read(&mut self) -> Result<Vec<CurvePoint>, StoreError> {
        self.read_some().map_err(|source| StoreError::unreadable(format!("the series {}", self.name), source))
    }

    fn read_some(&mut self) -> io::Result<Vec<CurvePoint>> {
        let points = self.reader.points(self.next, (self.len - self.next).min(AT_ONCE))?;
        self.next += points.len() as u64;
        let mut placed = Vec::with_capacity(points.len());
        for point in points {
            let step = point.step;
            let tokens = self.tokens.at(step)?;
            let is_on_path = self.on_path.is_some_and(|(from, to)| step >= from && to.is_none_or(|to| step < to));
            placed.push(CurvePoint {
                step,
                tokens,
                secs: self.secs.at(step)?,
                flops: tokens * self.flops_per_token,
                value: point.value,
                is_abandoned: !is_on_path,
            });
        }
        Ok(placed)
    }
}

/// A non-decreasing series, read from left to right and interpolated as in [`super::axis`].
struct Interpolation {
    walk: Option<PathPoints>,
    /// Whether reading has begun. It begins at the first use, because a run may have a thousand series.
    is_begun: bool,
    before: Option<(u64, f64)>,
    after: Option<(u64, f64)>,
    /// Increase per step, if no series exists.
    per_step: f64,
}

impl Interpolation {
    fn new(reader: Option<Reader>, per_step: f64) -> io::Result<Self> {
        let walk = reader.map(|reader| PathPoints::new(vec![(reader, 0, None)])).transpose()?;
        Ok(Self { walk, is_begun: false, before: None, after: None, per_step })
    }

    fn follow(&mut self) -> io::Result<()> {
        self.after = self.walk.as_mut().map_or(Ok(None), PathPoints::next)?;
        Ok(())
    }

    /// The value at a step; steps must not decrease.
    fn at(&mut self, step: u64) -> io::Result<f64> {
        if !self.is_begun {
            self.is_begun = true;
            self.follow()?;
        }
        while let Some(passed) = self.after.filter(|(at, _)| *at <= step) {
            self.before = Some(passed);
            self.follow()?;
        }
        Ok(match (self.before, self.after) {
            (Some((at, value)), _) if at == step => value,
            (Some((from, low)), Some((to, high))) => low + (high - low) * ((step - from) as f64 / (to - from) as f64),
            (Some((_, value)), None) | (None, Some((_, value))) => value,
            (None, None) => (step as f64 + 1.0) * self.per_step,
        })
    }
}
