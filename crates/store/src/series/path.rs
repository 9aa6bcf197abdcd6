//! Every point of a series along a path, some at a time, so that two long runs are compared without loading them.

use std::collections::VecDeque;
use std::io;

use wire::RunId;

use super::point::Point;
use super::pyramid::Reader;

/// Points in one read.
const AT_ONCE: u64 = 8192;

/// A part of a path: steps `from_step..to_step` of one segment of one run.
#[derive(Debug, Clone)]
pub(crate) struct PathSegment {
    pub(crate) run: RunId,
    pub(crate) segment: u32,
    pub(crate) from_step: u64,
    pub(crate) to_step: Option<u64>,
}

/// An iterator over the points of a series along a path.
#[derive(Debug)]
pub(crate) struct PathPoints {
    /// The remaining parts: reader, next point, and one past the last.
    parts: VecDeque<(Reader, u64, u64)>,
    read: VecDeque<Point>,
}

impl PathPoints {
    pub(super) fn new(readers: Vec<(Reader, u64, Option<u64>)>) -> io::Result<Self> {
        let mut parts = VecDeque::new();
        for (mut reader, from_step, to_step) in readers {
            let from = reader.find(from_step)?;
            let to = to_step.map_or(Ok(reader.len), |to| reader.find(to))?;
            parts.push_back((reader, from, to));
        }
        Ok(Self { parts, read: VecDeque::new() })
    }

    /// The next point as (step, value); `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, f64)>> {
        while self.read.is_empty() {
            let Some((reader, from, to)) = self.parts.front_mut() else { return Ok(None) };
            if from >= to {
                self.parts.pop_front();
                continue;
            }
            let count = (*to - *from).min(AT_ONCE);
            self.read = reader.points(*from, count)?.into();
            *from += count;
        }
        Ok(self.read.pop_front().map(|point| (point.step, point.value)))
    }

    /// The last step on the path; `None` without points.
    pub(crate) fn last_step(&mut self) -> io::Result<Option<u64>> {
        let part = self.parts.iter_mut().rev().find(|(_, from, to)| from < to);
        part.map_or(Ok(None), |(reader, _, to)| Ok(reader.points(*to - 1, 1)?.first().map(|point| point.step)))
    }
}
