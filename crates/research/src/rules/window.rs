//! The newest values of a series, and counts over them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::statistics::line::Line;
use crate::statistics::sample::{MAD_OF_NORMAL, median_and_mad};

/// The newest `N` values with their steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window<const N: usize>(VecDeque<(u64, f64)>);

impl<const N: usize> Window<N> {
    /// Adds a value; the oldest one leaves a full window.
    pub(super) fn push(&mut self, step: u64, value: f64) {
        if self.0.len() == N {
            self.0.pop_front();
        }
        self.0.push_back((step, value));
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() == N
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn first_step(&self) -> Option<u64> {
        self.0.front().map(|(step, _)| *step)
    }

    /// First step of the newest `count` values; `None` if there are fewer.
    pub(super) fn first_step_of(&self, count: usize) -> Option<u64> {
        self.0.get(self.0.len().checked_sub(count)?).map(|(step, _)| *step)
    }

    pub(super) fn last_step(&self) -> Option<u64> {
        self.0.back().map(|(step, _)| *step)
    }

    /// The values, oldest first.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = f64> + Clone + '_ {
        self.0.iter().map(|(_, value)| *value)
    }

    /// Step and value as coordinates, oldest first.
    pub(super) fn points(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> + Clone + '_ {
        self.0.iter().map(|(step, value)| (*step as f64, *value))
    }
}

/// The newest `N` values of a metric around a line through them: how far the next value is from where the line leads.
///
/// z = (y - line(x)) / scale with scale = MAD / 0.6745 of the residuals (Iglewicz, Hoaglin 1993). The line removes the trend, whose fall
/// would otherwise enlarge the scale; the median absolute deviation is not enlarged by earlier outliers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend<const N: usize> {
    window: Window<N>,
    /// Values so far.
    count: u64,
}

/// The distance of a value from the trend before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Residual {
    /// In robust standard deviations.
    pub(super) z: f64,
    /// In the unit of the values.
    pub(super) rise: f64,
    /// Robust standard deviation of the residuals.
    pub(super) scale: f64,
    /// First step of the window.
    pub(super) first_step: u64,
}

impl<const N: usize> Trend<N> {
    /// Values are added at most this many scales from the line, so that one outlier does not turn it.
    const LARGEST_Z: f64 = 4.0;
    /// Values before which nothing is compared: the fall at the start of a run is no line.
    const ENOUGH: u64 = 2 * N as u64;

    /// Compares a value with the trend and adds it. `None` until twice the window has been read, and after a gap as long as the window.
    /// `smallest` bounds the scale from below.
    pub(super) fn feed(&mut self, step: u64, value: f64, smallest: f64) -> Option<Residual> {
        let residual = self.residual(step, value, smallest);
        let kept = residual.map_or(value, |residual| {
            let bound = Self::LARGEST_Z * residual.scale;
            value - residual.rise + residual.rise.clamp(-bound, bound)
        });
        self.push(step, kept);
        residual.filter(|_| self.count > Self::ENOUGH)
    }

    /// Adds a value without a comparison.
    pub(super) fn push(&mut self, step: u64, value: f64) {
        if self.has_gap(step) {
            *self = Self::default();
        }
        self.window.push(step, value);
        self.count += 1;
    }

    /// Compares a value of a step after the window with the trend. `None` before the window is full, and after a gap.
    pub(super) fn residual(&self, step: u64, value: f64, smallest: f64) -> Option<Residual> {
        if !self.window.is_full() || self.has_gap(step) {
            return None;
        }
        // Steps relative to this one keep all digits of a long run.
        let points = self.window.points().map(|(x, y)| (x - step as f64, y));
        let line = Line::fit(points.clone())?;
        let mut residuals: Vec<f64> = points.map(|(x, y)| y - line.at(x)).collect();
        let (center, mad) = median_and_mad(&mut residuals);
        let scale = (mad / MAD_OF_NORMAL).max(smallest);
        let rise = value - line.at(0.0) - center;
        Some(Residual { z: rise / scale, rise, scale, first_step: self.window.first_step()? })
    }

    fn has_gap(&self, step: u64) -> bool {
        self.window.last_step().is_some_and(|last| step - last > N as u64)
    }
}

/// The fraction of true ones among the newest `N` conditions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Share<const N: usize> {
    conditions: VecDeque<(u64, bool)>,
    count: u32,
}

impl<const N: usize> Share<N> {
    pub(super) fn push(&mut self, step: u64, is_true: bool) {
        if self.conditions.len() == N
            && let Some((_, was_true)) = self.conditions.pop_front()
        {
            self.count -= u32::from(was_true);
        }
        self.conditions.push_back((step, is_true));
        self.count += u32::from(is_true);
    }

    /// The fraction, once `N` conditions have been read.
    pub(super) fn of_full(&self) -> Option<f64> {
        (self.conditions.len() == N).then(|| f64::from(self.count) / N as f64)
    }

    pub(super) fn first_step(&self) -> Option<u64> {
        self.conditions.front().map(|(step, _)| *step)
    }
}
