//! Values on the x axis: the step itself, or a non-decreasing series of the same segment (tokens, seconds), interpolated linearly between
//! its points and constant outside.

use std::collections::HashMap;
use std::io;

use wire::RunPlan;
use wire::series::{Axis, name};

use super::folder::RunFolder;
use super::pyramid::Reader;
use crate::error::StoreError;

/// Maps steps to x values, for one segment.
pub(super) struct StepToX {
    scale: f64,
    source: Source,
    /// Series of a run mostly have the same steps, so each lookup is cached.
    known: HashMap<u64, f64>,
}

enum Source {
    /// Proportional to the step, counted from `after`: the step itself, or tokens if no series of them exists.
    Steps {
        after: f64,
    },
    Curve(Reader),
    /// Unknown: all x values are 0.
    Unknown,
}

impl StepToX {
    pub(super) fn new(folder: &mut RunFolder, segment: u32, axis: Axis, plan: &RunPlan) -> Result<Self, StoreError> {
        let (scale, series) = match axis {
            Axis::Step => return Ok(Self { scale: 1.0, source: Source::Steps { after: 0.0 }, known: HashMap::new() }),
            Axis::Tokens => (1.0, name::TOKENS),
            Axis::Flops => (plan.recipe.model.flops_per_token(), name::TOKENS),
            Axis::Secs => (1.0, name::SECS),
        };
        let (scale, source) = match folder.reader(segment, series)? {
            Some(reader) => (scale, Source::Curve(reader)),
            None if axis == Axis::Secs => (scale, Source::Unknown),
            None => (scale * plan.tokens_per_step() as f64, Source::Steps { after: 1.0 }),
        };
        Ok(Self { scale, source, known: HashMap::new() })
    }

    /// The x value of a step.
    pub(super) fn x(&mut self, step: u64) -> io::Result<f64> {
        let reader = match &mut self.source {
            Source::Steps { after } => return Ok((step as f64 + *after) * self.scale),
            Source::Unknown => return Ok(0.0),
            Source::Curve(reader) => reader,
        };
        if let Some(x) = self.known.get(&step) {
            return Ok(*x);
        }
        let x = along(reader, step)? * self.scale;
        self.known.insert(step, x);
        Ok(x)
    }

    /// Steps with x values in `from..=to`, as the first and one past the last (`None`: no end).
    pub(super) fn steps(&mut self, from: Option<f64>, to: Option<f64>) -> io::Result<(u64, Option<u64>)> {
        let from = from.filter(|from| !from.is_nan());
        let to = to.filter(|to| !to.is_nan());
        let first = match from {
            Some(from) => self.first(|x| x >= from)?,
            None => Some(0),
        };
        let end = match to {
            Some(to) => self.first(|x| x > to)?,
            None => None,
        };
        Ok((first.unwrap_or(u64::MAX), end))
    }

    /// The first step whose x value is `far` enough, by bisection; x values never decrease.
    fn first(&mut self, far: impl Fn(f64) -> bool) -> io::Result<Option<u64>> {
        let (mut low, mut high) = (0, u64::MAX);
        if !far(self.x(high)?) {
            return Ok(None);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if far(self.x(middle)?) { high = middle } else { low = middle + 1 }
        }
        Ok(Some(low))
    }
}

/// The value of a series at a step, interpolated.
fn along(reader: &mut Reader, step: u64) -> io::Result<f64> {
    let at = reader.find(step)?;
    if at == reader.len {
        return Ok(reader.points(reader.len - 1, 1)?[0].value);
    }
    if at == 0 {
        return Ok(reader.points(0, 1)?[0].value);
    }
    let pair = reader.points(at - 1, 2)?;
    let (before, after) = (pair[0], pair[1]);
    let fraction = (step - before.step) as f64 / (after.step - before.step) as f64;
    Ok(if fraction >= 1.0 { after.value } else { before.value + (after.value - before.value) * fraction })
}
