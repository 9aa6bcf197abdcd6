//! Every point of chosen curves with its place on every axis, for whoever takes them elsewhere: nothing is folded, ghosts are told.

use std::io;

use super::pyramid::Reader;
use super::walk::Walk;
use crate::error::StoreError;

/// Points in one read.
const AT_ONCE: u64 = 8192;

/// One point of a curve. Places that are not known are NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Step.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: f64,
    /// Seconds at work.
    pub secs: f64,
    /// Arithmetic done.
    pub flops: f64,
    /// Value.
    pub value: f64,
    /// It lies on a stretch that the run has left.
    pub is_ghost: bool,
}

/// One curve of one segment, as it stood when it was asked for. Reading waits for the disk.
pub struct Curve {
    /// Segment of the run's history.
    pub segment: u32,
    /// Name.
    pub name: String,
    /// Points.
    pub len: u64,
    reader: Reader,
    next: u64,
    tokens: Course,
    secs: Course,
    flops_per_token: f64,
    /// Steps of this segment that are on the run's path: from, and one past the last.
    on_path: Option<(u64, Option<u64>)>,
}

/// What all curves of a run share.
pub(super) struct Scale {
    /// Tokens of a step, where no curve of tokens was kept.
    pub(super) tokens_per_step: f64,
    pub(super) flops_per_token: f64,
    /// The run's path: segment, first step, one past the last.
    pub(super) spans: Vec<(u32, u64, Option<u64>)>,
}

impl Curve {
    /// `tokens` and `secs` are curves of the same segment, where there are such.
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
            tokens: Course::new(tokens, scale.tokens_per_step)?,
            secs: Course::new(secs, f64::NAN)?,
            flops_per_token: scale.flops_per_token,
            on_path,
        })
    }

    /// The next points, in rising steps; empty at the end.
    ///
    /// # Errors
    /// A disk that does not give them back.
    pub fn read(&mut self) -> Result<Vec<CurvePoint>, StoreError> {
        self.read_some().map_err(|source| StoreError::unreadable(format!("the curve {}", self.name), source))
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
                is_ghost: !is_on_path,
            });
        }
        Ok(placed)
    }
}

/// A rising curve, followed from left to right: in straight lines between its points and level outside, as [`super::axis`] has it.
struct Course {
    walk: Option<Walk>,
    /// Nothing is read before the first question: a run may have a thousand curves.
    is_begun: bool,
    before: Option<(u64, f64)>,
    after: Option<(u64, f64)>,
    /// Where there is no curve: so much for each step.
    per_step: f64,
}

impl Course {
    fn new(reader: Option<Reader>, per_step: f64) -> io::Result<Self> {
        let walk = reader.map(|reader| Walk::new(vec![(reader, 0, None)])).transpose()?;
        Ok(Self { walk, is_begun: false, before: None, after: None, per_step })
    }

    fn follow(&mut self) -> io::Result<()> {
        self.after = self.walk.as_mut().map_or(Ok(None), Walk::next)?;
        Ok(())
    }

    /// The value at a step; steps must not fall.
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
