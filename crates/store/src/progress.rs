//! How reports move a run's one line: state, losses, speed, and a sparkline that never grows. Pure, and the same however the
//! reports were parcelled.

use serde::{Deserialize, Serialize};
use wire::link::Report;
use wire::series::{Row, name};
use wire::{Event, RunState};

/// The part of a run's summary that reports move.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) state: RunState,
    pub(crate) message: Option<String>,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) progress: Progress,
}

/// Its numbers; kept as JSON, so that a new one needs no migration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// Steps done.
    pub(crate) step: u64,
    pub(crate) loss_train: Option<f64>,
    pub(crate) loss_valid: Option<f64>,
    pub(crate) best_valid: Option<f64>,
    /// Mean over about the last ten steps.
    pub(crate) tokens_per_sec: Option<f64>,
    pub(crate) elapsed_secs: f64,
    pub(crate) sparkline: Sparkline,
}

impl Standing {
    /// Takes the values of a step.
    pub(crate) fn take_row(&mut self, row: &Row) {
        let progress = &mut self.progress;
        for (series, value) in &row.values {
            match series.as_str() {
                name::TRAIN => {
                    progress.step = progress.step.max(row.step.saturating_add(1));
                    progress.loss_train = finite(*value);
                    progress.sparkline.take(*value);
                }
                name::VALID => progress.take_valid(*value),
                name::SECS => progress.elapsed_secs = finite(*value).unwrap_or(progress.elapsed_secs),
                name::TOKENS_PER_SEC => progress.take_speed(*value),
                _ => {}
            }
        }
    }

    /// Takes something that happened.
    pub(crate) fn take_report(&mut self, report: &Report) {
        self.progress.step = self.progress.step.max(report.step);
        if let Event::Evaluated { loss_nats, .. } = report.event {
            self.progress.take_valid(loss_nats);
        }
        if matches!(report.event, Event::Started { .. }) {
            self.started_ms.get_or_insert(report.at_ms);
        }
        let said = match &report.event {
            Event::Failed { message } | Event::Lost { message } => Some(message.clone()),
            Event::NonFinite { what } => Some(format!("{what} is not a number: held")),
            _ => None,
        };
        match report.state {
            Some(state) => self.turn(state, said, report.at_ms),
            None => self.message = said.or(self.message.take()),
        }
    }

    /// Stands differently from `at_ms` on.
    pub(crate) fn turn(&mut self, state: RunState, message: Option<String>, at_ms: i64) {
        self.state = state;
        self.message = message;
        if state == RunState::Running {
            self.started_ms.get_or_insert(at_ms);
        }
        self.ended_ms = if state.is_over() { self.ended_ms.or(Some(at_ms)) } else { None };
    }
}

impl Progress {
    fn take_valid(&mut self, loss: f64) {
        self.loss_valid = finite(loss);
        self.best_valid = [self.best_valid, self.loss_valid].into_iter().flatten().reduce(f64::min);
    }

    fn take_speed(&mut self, value: f64) {
        let Some(now) = finite(value) else { return };
        self.tokens_per_sec = Some(self.tokens_per_sec.map_or(now, |before| 0.9 * before + 0.1 * now));
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A curve in at most [`Sparkline::MOST`] means, each of as many values; when full, neighbours are joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sparkline {
    means: Vec<f32>,
    values_per_mean: u32,
    /// Of the mean that is being made.
    sum: f64,
    count: u32,
}

impl Default for Sparkline {
    fn default() -> Self {
        Self { means: vec![], values_per_mean: 1, sum: 0.0, count: 0 }
    }
}

impl Sparkline {
    /// Points at most.
    pub(crate) const MOST: usize = 60;

    fn take(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.sum += value;
        self.count += 1;
        if self.count < self.values_per_mean {
            return;
        }
        self.means.push((self.sum / f64::from(self.count)) as f32);
        (self.sum, self.count) = (0.0, 0);
        if self.means.len() == Self::MOST {
            self.means = self.means.chunks(2).map(|pair| pair.iter().sum::<f32>() / pair.len() as f32).collect();
            self.values_per_mean = self.values_per_mean.saturating_mul(2);
        }
    }

    /// From the first step to the last.
    pub(crate) fn points(&self) -> Vec<f32> {
        let unfinished = (self.count > 0).then(|| (self.sum / f64::from(self.count)) as f32);
        self.means.iter().copied().chain(unfinished).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_never_grows_and_keeps_its_ends() {
        let mut line = Sparkline::default();
        for step in 0..100_000 {
            line.take(f64::from(step));
            assert!(line.points().len() <= Sparkline::MOST);
        }
        let points = line.points();
        assert!(points.len() > Sparkline::MOST / 2 - 1 && points.is_sorted());
        assert!(points[0] < 4000.0 && points[points.len() - 1] > 96_000.0, "{points:?}");
        line.take(f64::NAN);
        assert_eq!(line.points(), points, "what is no number has no place on it");
    }
}
