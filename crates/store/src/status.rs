//! How reports change the summary of a run: state, losses, speed, and a sparkline of bounded length. Pure: the result does not depend
//! on how reports were batched.

use serde::{Deserialize, Serialize};
use wire::control::checkpoint::CheckpointInfo;
use wire::run::plan::RunPlan;
use wire::series::{Row, name};
use wire::transport::link::Report;
use wire::{Event, RunState};

/// Steps over which the time of a step is averaged: an evaluation takes as long as many steps.
const TIMED_STEPS: u32 = 200;

/// The part of a run's summary that reports change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunStatus {
    pub(crate) state: RunState,
    pub(crate) message: Option<String>,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) progress: Progress,
}

/// The numbers of the status, stored as JSON, so that a new one needs no migration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// Newest segment of the run's history.
    pub(crate) segment: u32,
    /// Steps done.
    pub(crate) step: u64,
    /// Steps that were trained, those of abandoned segments included; none of the parent of a fork.
    pub(crate) trained_steps: u64,
    pub(crate) loss_train: Option<f64>,
    pub(crate) loss_valid: Option<f64>,
    pub(crate) best_valid: Option<f64>,
    /// Mean over about the last ten steps.
    pub(crate) tokens_per_sec: Option<f64>,
    pub(crate) elapsed_secs: f64,
    /// Seconds per step with evaluations and samples: the mean over all steps, then over about the last [`TIMED_STEPS`].
    pub(crate) secs_per_step: Option<f64>,
    /// Number of steps in it.
    pub(crate) timed_steps: u32,
    /// Step of the last validation loss on the path, so that one that is measured again counts once.
    pub(crate) valid_step: Option<u64>,
    /// Step of the sparkline's first value.
    pub(crate) first_step: Option<u64>,
    pub(crate) sparkline: Sparkline,
}

impl RunStatus {
    /// Applies the values of a step. Steps that are repeated after a crash and steps of an abandoned segment change nothing.
    pub(crate) fn apply_row(&mut self, row: &Row) {
        let progress = &mut self.progress;
        if row.segment < progress.segment {
            return;
        }
        progress.segment = row.segment;
        let is_new = row.step >= progress.step;
        for (series, value) in &row.values {
            match series.as_str() {
                name::TRAIN if is_new => {
                    progress.step = row.step.saturating_add(1);
                    progress.trained_steps += 1;
                    progress.loss_train = finite(*value);
                    progress.first_step.get_or_insert(row.step);
                    progress.sparkline.add(*value);
                }
                name::VALID if progress.valid_step.is_none_or(|last| row.step > last) => {
                    progress.valid_step = Some(row.step);
                    progress.add_valid(*value);
                }
                name::SECS => {
                    let now = finite(*value).unwrap_or(0.0).max(progress.elapsed_secs);
                    if is_new {
                        progress.add_step_time(now - progress.elapsed_secs);
                    }
                    progress.elapsed_secs = now;
                }
                name::TOKENS_PER_SEC if is_new => progress.add_speed(*value),
                _ => {}
            }
        }
    }

    /// Applies an event.
    pub(crate) fn apply_report(&mut self, report: &Report) {
        match &report.event {
            Event::RolledBack { checkpoint, best_valid, .. } => {
                self.progress.roll_back(report.segment, checkpoint.step, *best_valid);
            }
            _ if report.segment < self.progress.segment => {}
            _ => self.progress.step = self.progress.step.max(report.step),
        }
        if let Event::Evaluated { loss_nats, .. } = report.event {
            self.progress.add_valid(loss_nats);
        }
        if matches!(report.event, Event::Started { .. } | Event::Continued { .. }) {
            self.started_ms.get_or_insert(report.at_ms);
        }
        let message = match &report.event {
            Event::Failed { message } | Event::Lost { message } => Some(message.clone()),
            event @ Event::NonFinite { .. } => Some(event.phrase()),
            Event::BudgetReached { what } => Some(format!("budget reached: {what}")),
            _ => None,
        };
        match report.state {
            Some(state) => self.set_state(state, message, report.at_ms),
            None => self.message = message.or(self.message.take()),
        }
    }

    /// Applies a report of a worker. A late one, after the run was taken from the worker, can end the run but not set it running.
    pub(crate) fn apply_worker_report(&mut self, mut report: Report) -> Report {
        if !self.state.is_live() && report.state.is_some_and(RunState::is_live) {
            report.state = None;
        }
        self.apply_report(&report);
        report
    }

    /// Sets the state from `at_ms` on.
    pub(crate) fn set_state(&mut self, state: RunState, message: Option<String>, at_ms: i64) {
        self.state = state;
        self.message = message;
        if state == RunState::Running {
            self.started_ms.get_or_insert(at_ms);
        }
        self.ended_ms = if state.is_over() { self.ended_ms.or(Some(at_ms)) } else { None };
    }
}

impl Progress {
    /// The progress of a new run; a fork starts with the step and training loss of its parent's checkpoint. It has no validation loss before
    /// its own evaluation.
    pub(crate) fn new(plan: &RunPlan, begins_with: Option<&CheckpointInfo>) -> Self {
        let origin = plan.origin.as_ref();
        Self {
            step: origin.map_or(0, |origin| origin.from.checkpoint.step),
            best_valid: origin.and_then(|origin| origin.best_valid),
            loss_train: begins_with.and_then(|info| info.loss_train),
            ..Self::default()
        }
    }

    /// Returns to a checkpoint, in a new segment.
    fn roll_back(&mut self, segment: u32, step: u64, best_valid: Option<f64>) {
        self.segment = segment;
        self.step = step;
        self.best_valid = best_valid;
        self.valid_step = step.checked_sub(1).and_then(|before| Some(self.valid_step?.min(before)));
        self.sparkline.truncate_to(step.saturating_sub(self.first_step.unwrap_or(step)));
    }

    /// Restores the losses of a checkpoint.
    pub(crate) fn restore_losses(&mut self, info: &CheckpointInfo) {
        self.loss_train = info.loss_train;
        self.loss_valid = info.loss_valid;
    }

    fn add_valid(&mut self, loss: f64) {
        self.loss_valid = finite(loss);
        self.best_valid = [self.best_valid, self.loss_valid].into_iter().flatten().reduce(f64::min);
    }

    fn add_step_time(&mut self, secs: f64) {
        self.timed_steps = (self.timed_steps + 1).min(TIMED_STEPS);
        let before = self.secs_per_step.unwrap_or(secs);
        self.secs_per_step = Some(before + (secs - before) / f64::from(self.timed_steps));
    }

    fn add_speed(&mut self, value: f64) {
        let Some(now) = finite(value) else { return };
        self.tokens_per_sec = Some(self.tokens_per_sec.map_or(now, |before| 0.9 * before + 0.1 * now));
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A series of at most [`Sparkline::MAX`] means over equally many values; when it is full, neighbours are merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sparkline {
    means: Vec<f32>,
    values_per_mean: u32,
    /// Sum over the values of the unfinished mean.
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
    pub(crate) const MAX: usize = 60;

    fn add(&mut self, value: f64) {
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
        if self.means.len() == Self::MAX {
            self.means = self.means.chunks(2).map(|pair| pair.iter().sum::<f32>() / pair.len() as f32).collect();
            self.values_per_mean = self.values_per_mean.saturating_mul(2);
        }
    }

    /// Truncates to the first `values`. A mean that is cut keeps its value with a smaller count.
    fn truncate_to(&mut self, values: u64) {
        let each = u64::from(self.values_per_mean.max(1));
        let (whole, rest) = ((values / each) as usize, (values % each) as u32);
        if let Some(mean) = self.means.get(whole) {
            (self.sum, self.count) = (f64::from(*mean) * f64::from(rest), rest);
            self.means.truncate(whole);
        } else if whole == self.means.len() && rest < self.count {
            (self.sum, self.count) = (self.sum / f64::from(self.count) * f64::from(rest), rest);
        }
    }

    /// The means from the first step to the last.
    pub(crate) fn points(&self) -> Vec<f32> {
        let unfinished = (self.count > 0).then(|| (self.sum / f64::from(self.count)) as f32);
        self.means.iter().copied().chain(unfinished).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_step_includes_evaluations_and_follows_the_speed() {
        let mut status = RunStatus {
            state: RunState::Running,
            message: None,
            started_ms: None,
            ended_ms: None,
            // A fork: the steps of its parent are not its own.
            progress: Progress { step: 7500, ..Progress::default() },
        };
        let mut secs = 0.0;
        let mut train = |steps: std::ops::Range<u64>, each: f64| {
            for step in steps {
                secs += each + if step % 100 == 99 { 10.0 } else { 0.0 };
                let values = vec![(name::TRAIN.to_owned(), 1.0), (name::SECS.to_owned(), secs)];
                status.apply_row(&Row { segment: 0, step, values });
            }
            status.progress.secs_per_step.unwrap()
        };
        assert!((train(7500..7600, 0.1) - 0.2).abs() < 1e-9, "0.1 s per step and 10 s per 100 steps");
        let slower = train(7600..9600, 1.0);
        assert!((slower - 1.1).abs() < 0.05, "{slower}");
    }

    #[test]
    fn a_sparkline_has_bounded_length_and_keeps_its_ends() {
        let mut line = Sparkline::default();
        for step in 0..100_000 {
            line.add(f64::from(step));
            assert!(line.points().len() <= Sparkline::MAX);
        }
        let points = line.points();
        assert!(points.len() > Sparkline::MAX / 2 - 1 && points.is_sorted());
        assert!(points[0] < 4000.0 && points[points.len() - 1] > 96_000.0, "{points:?}");
        line.add(f64::NAN);
        assert_eq!(line.points(), points, "non-finite values are left out");
    }

    #[test]
    fn a_truncated_sparkline_equals_a_shorter_one() {
        let of = |values: u32| {
            let mut line = Sparkline::default();
            (0..values).for_each(|step| line.add(f64::from(step)));
            line
        };
        for (had, left) in [(50, 20), (59, 0), (50, 50), (50, 70)] {
            let mut line = of(had);
            line.truncate_to(u64::from(left));
            assert_eq!(line, of(had.min(left)), "{had} cut to {left}");
        }
        let mut long = of(1000);
        long.truncate_to(500);
        let points = long.points();
        assert!(
            points.is_sorted() && points[points.len() - 1] < 501.0 && points[points.len() - 1] > 470.0,
            "{points:?}"
        );
        (500..1000).for_each(|step| long.add(f64::from(step)));
        assert!(long.points().len() <= Sparkline::MAX && long.points().is_sorted());
    }
}
