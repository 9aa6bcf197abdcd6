//! What stands on the x axis: the step itself, or a curve of the same segment that only rises (tokens, seconds), in straight lines
//! between its points and level outside.

use std::collections::HashMap;
use std::io;

use wire::RunPlan;
use wire::series::{Axis, name};

use super::folder::RunFolder;
use super::pyramid::Reader;
use crate::error::StoreError;

/// From steps to places on the axis, for one segment.
pub(super) struct Places {
    scale: f64,
    course: Course,
    /// Curves of a run mostly have the same steps, so each is looked up once.
    known: HashMap<u64, f64>,
}

enum Course {
    /// In steps; tokens stand in a fixed relation to them where no curve was kept.
    Steps {
        after: f64,
    },
    Curve(Reader),
    /// Nothing is known: all stands at 0.
    Nowhere,
}

impl Places {
    pub(super) fn new(folder: &mut RunFolder, segment: u32, axis: Axis, plan: &RunPlan) -> Result<Self, StoreError> {
        let (scale, series) = match axis {
            Axis::Step => return Ok(Self { scale: 1.0, course: Course::Steps { after: 0.0 }, known: HashMap::new() }),
            Axis::Tokens => (1.0, name::TOKENS),
            Axis::Flops => (plan.recipe.model.flops_per_token(), name::TOKENS),
            Axis::Secs => (1.0, name::SECS),
        };
        let (scale, course) = match folder.reader(segment, series)? {
            Some(reader) => (scale, Course::Curve(reader)),
            None if axis == Axis::Secs => (scale, Course::Nowhere),
            None => (scale * plan.tokens_per_step() as f64, Course::Steps { after: 1.0 }),
        };
        Ok(Self { scale, course, known: HashMap::new() })
    }

    /// The place of a step.
    pub(super) fn x(&mut self, step: u64) -> io::Result<f64> {
        let reader = match &mut self.course {
            Course::Steps { after } => return Ok((step as f64 + *after) * self.scale),
            Course::Nowhere => return Ok(0.0),
            Course::Curve(reader) => reader,
        };
        if let Some(x) = self.known.get(&step) {
            return Ok(*x);
        }
        let x = along(reader, step)? * self.scale;
        self.known.insert(step, x);
        Ok(x)
    }

    /// Steps whose places are in `from..=to`, as first and one past the last (`None`: no end).
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

    /// The first step whose place is `far` enough; places never fall.
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

/// The curve's value at a step.
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
    let share = (step - before.step) as f64 / (after.step - before.step) as f64;
    Ok(if share >= 1.0 { after.value } else { before.value + (after.value - before.value) * share })
}
