//! A stopping rule over finished runs: what it would have saved, and what it would have lost.
//!
//! The runs are trained again in thought, in the order of their numbers, `parallel` at a time, each step taking one unit of time. At each
//! value the rule sees what it would have seen then. Saved is the part of all steps that stopped runs did not train. Regret is the value of the
//! best run that was not stopped minus that of the best run of all; if all were stopped, of the one with the best value when it was stopped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use wire::sweep::stopping::StoppingRule;

use super::{Curve, Stop, decide};

/// A run that the rule would have stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayedStop {
    /// Number of the run.
    pub number: u64,
    pub stop: Stop,
    /// Its rank among all runs by their last value, from 1; `None` without one that is finite.
    pub rank: Option<usize>,
}

/// The effect that a rule would have had on finished runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replay {
    pub rule: StoppingRule,
    /// Its name with its threshold.
    pub label: String,
    /// Steps that all runs trained.
    pub steps: u64,
    /// Steps that would not have been trained.
    pub saved_steps: u64,
    /// In the order in which they would have been stopped.
    pub stopped: Vec<ReplayedStop>,
    /// Last value of the best run.
    pub best: Option<f64>,
    /// Last value of the best run that the rule leaves.
    pub kept: Option<f64>,
}

impl Replay {
    /// Fraction of the steps that the rule saves, 0 to 1.
    pub fn saved(&self) -> f64 {
        if self.steps == 0 { 0.0 } else { self.saved_steps as f64 / self.steps as f64 }
    }

    /// Value of the best run that is left minus that of the best run; 0 if the best is left.
    pub fn regret(&self) -> Option<f64> {
        Some(self.kept? - self.best?)
    }

    /// How many of the best `count` runs would have been stopped.
    pub fn winners_lost(&self, count: usize) -> usize {
        self.stopped.iter().filter(|stopped| stopped.rank.is_some_and(|rank| rank <= count)).count()
    }
}

/// The order in which the values of all runs arrive.
struct Arrivals<'a> {
    runs: &'a [Curve],
    /// Time of the next value of each run that trains, and the run.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// Time at which each run began.
    began: Vec<u64>,
    /// Runs that have not begun.
    waiting: Range<usize>,
}

impl Arrivals<'_> {
    /// Begins the next run that has values.
    fn begin(&mut self, time: u64) {
        if let Some(run) = self.waiting.find(|run| !self.runs[*run].points.is_empty()) {
            self.began[run] = time;
            self.push(run, 0);
        }
    }

    /// Adds value `at` of a run.
    fn push(&mut self, run: usize, at: usize) {
        self.next.push(Reverse((self.began[run] + self.runs[run].points[at].0, run)));
    }
}

/// Replays a rule over runs, in the order in which they are given, with this many at a time.
pub fn replay(rule: &StoppingRule, runs: &[Curve], parallel: usize) -> Replay {
    let mut known: Vec<Curve> = runs
        .iter()
        .map(|run| Curve { points: vec![], is_finished: false, number: run.number, steps: run.steps })
        .collect();
    let mut stops: Vec<(usize, Stop)> = vec![];
    let mut arrivals = Arrivals { runs, next: BinaryHeap::new(), began: vec![0; runs.len()], waiting: 0..runs.len() };
    (0..parallel.max(1)).for_each(|_| arrivals.begin(0));
    while let Some(Reverse((time, run))) = arrivals.next.pop() {
        let at = known[run].points.len();
        known[run].points.push(runs[run].points[at]);
        if at + 1 == runs[run].points.len() {
            known[run].is_finished = runs[run].is_finished;
            arrivals.begin(time);
            continue;
        }
        let others: Vec<&Curve> =
            known.iter().enumerate().filter(|(other, _)| *other != run).map(|(_, one)| one).collect();
        match decide(rule, &known[run], &others) {
            None => arrivals.push(run, at + 1),
            Some(stop) => {
                stops.push((run, stop));
                arrivals.begin(time);
            }
        }
    }
    summary(rule, runs, stops)
}

fn summary(rule: &StoppingRule, runs: &[Curve], stops: Vec<(usize, Stop)>) -> Replay {
    let trained = |run: &Curve| run.points.last().map_or(0, |(step, _)| *step);
    let ranked = ranked(runs);
    let is_stopped = |run: usize| stops.iter().any(|(stopped, _)| *stopped == run);
    let kept = ranked.iter().find(|(_, run)| !is_stopped(*run)).map(|(value, _)| *value);
    let best_when_stopped = stops.iter().filter_map(|(run, stop)| Some((stop.value?, *run)));
    let fallback = best_when_stopped.min_by(|a, b| a.0.total_cmp(&b.0)).and_then(|(_, run)| last_value(&runs[run]));
    Replay {
        rule: *rule,
        label: rule.label(),
        steps: runs.iter().map(trained).sum(),
        saved_steps: stops.iter().map(|(run, stop)| trained(&runs[*run]).saturating_sub(stop.step)).sum(),
        best: ranked.first().map(|(value, _)| *value),
        kept: kept.or(fallback),
        stopped: stops
            .into_iter()
            .map(|(run, stop)| ReplayedStop { number: runs[run].number, stop, rank: rank(&ranked, run) })
            .collect(),
    }
}

fn last_value(run: &Curve) -> Option<f64> {
    run.points.last().map(|(_, value)| *value).filter(|value| value.is_finite())
}

/// The runs whose last value is finite, the best first: the value and the place of the run.
pub(super) fn ranked(runs: &[Curve]) -> Vec<(f64, usize)> {
    let mut ranked: Vec<(f64, usize)> =
        runs.iter().enumerate().filter_map(|(at, run)| Some((last_value(run)?, at))).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    ranked
}

/// The rank of the run at a place, from 1.
pub(super) fn rank(ranked: &[(f64, usize)], run: usize) -> Option<usize> {
    ranked.iter().position(|(_, other)| *other == run).map(|rank| rank + 1)
}
