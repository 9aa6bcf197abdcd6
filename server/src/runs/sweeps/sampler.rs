//! The points of a sweep, computed on a thread of their own.

use research::sampling::{self, Outcome, SamplingError};
use store::TrialRecord;
use wire::sweep::record::TrialState;
use wire::sweep::space::{Point, SearchSpace};
use wire::sweep::spec::SweepSpec;

use crate::error::ApiError;
use crate::lab::Lab;

/// The point of trial `number`; `None` if the sampler has no more.
///
/// # Errors
/// The computation panicked. The inner error says why there is no such point.
pub(super) async fn point(
    lab: &Lab,
    spec: &SweepSpec,
    space: &SearchSpace,
    history: Vec<TrialRecord>,
    number: u64,
) -> Result<Result<Option<Point>, SamplingError>, ApiError> {
    let trials = outcomes(spec, history);
    let (kind, seed, space) = (spec.sampler, spec.seed, space.clone());
    let chosen = move || sampling::next_point(&*sampling::sampler(kind, seed), &space, &trials, number);
    lab.samplers.compute(chosen).await
}

/// The trials as samplers read them: a lower value is better.
pub(super) fn outcomes(spec: &SweepSpec, history: Vec<TrialRecord>) -> Vec<sampling::Trial> {
    let direction = spec.metric.direction;
    let trial = |TrialRecord { trial, .. }: TrialRecord| {
        let value = trial.last.map(|value| direction.as_lower_is_better(value));
        let outcome = match (trial.state, value) {
            (TrialState::Queued | TrialState::Running, _) => Outcome::Running,
            (TrialState::Finished, Some(value)) => Outcome::Finished(value),
            (TrialState::Stopped, Some(value)) => Outcome::Stopped { step: trial.last_step.unwrap_or(0), value },
            _ => Outcome::Failed,
        };
        sampling::Trial { number: trial.number, point: trial.point, outcome }
    };
    history.into_iter().map(trial).collect()
}
