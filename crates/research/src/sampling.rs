//! Samplers: the points of the trials of a sweep. A lower value of a trial is better.
//!
//! - [`grid`], [`random`], [`quasi_random`] and [`dirichlet`] choose points without looking at results;
//! - [`tpe`] and [`cma_es`] choose them by the results of earlier trials; [`parzen`], [`covariance`] and [`eigen`] are their parts.
//!
//! The point of a trial is a pure function of the sampler's seed, the number of the trial, and the earlier trials as they are stored, so a
//! server that restarts continues as if it had not. Trials that run in parallel are part of the history, too: [`tpe`] keeps away from them.
//!
//! A space with seeds trains each configuration once per seed, in consecutive trials. Samplers see one result for each configuration, the mean
//! over its seeds.
//!
//! ```
//! use research::sampling::{Outcome, Trial, next_point, sampler};
//! use wire::sweep::{sampler::SamplerKind, space::Space};
//!
//! let space: Space = serde_json::from_str(r#"{"parameters": {"optimizer.learning_rate": {"log": [1e-4, 1e-1]}}}"#)?;
//! let (space, sampler) = (space.check()?, sampler(SamplerKind::Tpe, 1));
//! let mut trials: Vec<Trial> = vec![];
//! for number in 0..40 {
//!     let point = next_point(&*sampler, &space, &trials, number)?.expect("only a grid ends");
//!     let learning_rate = point.values["optimizer.learning_rate"].as_f64().unwrap();
//!     let loss = (learning_rate / 3e-3).ln().powi(2);
//!     trials.push(Trial { number, point, outcome: Outcome::Finished(loss) });
//! }
//! let best = trials.iter().map(|trial| trial.outcome.value().unwrap()).fold(f64::INFINITY, f64::min);
//! assert!(best < 0.01, "{best}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cma_es;
pub mod covariance;
pub mod dirichlet;
mod eigen;
pub mod grid;
pub mod parzen;
pub mod quasi_random;
pub mod random;
pub mod tpe;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;
use wire::PlanError;
use wire::sweep::sampler::SamplerKind;
use wire::sweep::space::{Point, SearchSpace};

use crate::statistics::sample::mean;

/// Values by parameter.
pub type Values = BTreeMap<String, Value>;

/// A trial of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// From 0, in the order in which the trials were created.
    pub number: u64,
    pub point: Point,
    pub outcome: Outcome,
}

/// The result of a trial, or of the trials of a configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It is queued or trains.
    Running,
    /// It ended with this value.
    Finished(f64),
    /// A rule stopped it at this step with this value.
    Stopped { step: u64, value: f64 },
    /// It diverged, or its values make no valid plan. A trial that failed by a fault of a machine is trained again instead.
    Failed,
}

impl Outcome {
    /// Its value, if it has one that is finite.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Finished(value) | Self::Stopped { value, .. } => Some(value).filter(|value| value.is_finite()),
            Self::Running | Self::Failed => None,
        }
    }

    /// Order from the best: those that finished by value, stopped ones by step and then value, failed ones, and those without a result.
    pub fn compare(&self, other: &Self) -> Ordering {
        let key = |outcome: &Self| match *outcome {
            Self::Finished(value) if value.is_finite() => (0, value, 0.0),
            Self::Stopped { step, value } if value.is_finite() => (1, -(step as f64), value),
            Self::Finished(_) | Self::Stopped { .. } | Self::Failed => (2, 0.0, 0.0),
            Self::Running => (3, 0.0, 0.0),
        };
        let (a, b) = (key(self), key(other));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    }

    /// The result of a configuration from those of its seeds: the mean of those that finished, once none runs.
    fn of_seeds(outcomes: &[Self]) -> Self {
        let of = |kind: fn(&Self) -> bool| outcomes.iter().copied().filter(kind).collect::<Vec<_>>();
        let values = |kept: &[Self]| mean(&kept.iter().filter_map(|outcome| outcome.value()).collect::<Vec<_>>());
        let finished = of(|outcome| matches!(outcome, Self::Finished(_)) && outcome.value().is_some());
        let stopped = of(|outcome| matches!(outcome, Self::Stopped { .. }));
        let last = stopped
            .iter()
            .filter_map(|outcome| if let Self::Stopped { step, .. } = outcome { Some(*step) } else { None })
            .max();
        match last {
            _ if outcomes.contains(&Self::Running) => Self::Running,
            _ if !finished.is_empty() => Self::Finished(values(&finished)),
            Some(step) => Self::Stopped { step, value: values(&stopped) },
            None => Self::Failed,
        }
    }
}

/// The values that are trained once with each seed, and what came of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// From 0: the number of a trial divided by the number of seeds.
    pub number: u64,
    pub values: Values,
    pub outcome: Outcome,
}

/// Errors of samplers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// The constraints leave almost nothing.
    #[error("none of {attempts} draws satisfies the constraints; widen the ranges or relax the constraints")]
    NothingSatisfies { attempts: usize },
    /// The grid is too large.
    #[error(transparent)]
    Space(#[from] PlanError),
}

/// A way to choose points.
pub trait Sampler: Send + Sync {
    /// The values of configuration `number`, by the configurations before it in increasing numbers; `None` if there are no more.
    ///
    /// # Errors
    /// The constraints leave almost nothing, or the grid is too large.
    fn next(
        &self,
        space: &SearchSpace,
        history: &[Configuration],
        number: u64,
    ) -> Result<Option<Values>, SamplingError>;
}

/// The sampler of this kind and seed.
pub fn sampler(kind: SamplerKind, seed: u64) -> Box<dyn Sampler> {
    match kind {
        SamplerKind::Grid => Box::new(grid::Grid),
        SamplerKind::Random => Box::new(random::Random { seed }),
        SamplerKind::QuasiRandom => Box::new(quasi_random::QuasiRandom { seed }),
        SamplerKind::Tpe => Box::new(tpe::Tpe { seed }),
        SamplerKind::CmaEs => Box::new(cma_es::CmaEs { seed }),
        SamplerKind::Dirichlet => Box::new(dirichlet::Dirichlet { seed }),
    }
}

/// The point of trial `number`; `None` if there are no more. Of the history, trials with smaller numbers count, in any order.
///
/// # Errors
/// The constraints leave almost nothing, or the grid is too large.
pub fn next_point(
    sampler: &dyn Sampler,
    space: &SearchSpace,
    trials: &[Trial],
    number: u64,
) -> Result<Option<Point>, SamplingError> {
    let (configuration, repeat) = (number / space.repeats(), number % space.repeats());
    let earlier = trials.iter().filter(|trial| trial.number < number);
    let first = earlier.clone().find(|trial| trial.number / space.repeats() == configuration);
    let values = match first {
        Some(trial) => Some(trial.point.values.clone()),
        None => sampler.next(space, &configurations(space, earlier), configuration)?,
    };
    let seed = space.seeds.get(repeat as usize).copied();
    Ok(values.map(|values| Point { values, seed }))
}

/// One configuration for all seeds of equal values, in increasing numbers.
pub(crate) fn configurations<'a>(space: &SearchSpace, trials: impl Iterator<Item = &'a Trial>) -> Vec<Configuration> {
    let mut groups = BTreeMap::<u64, Vec<&Trial>>::new();
    for trial in trials {
        groups.entry(trial.number / space.repeats()).or_default().push(trial);
    }
    let configuration = |(number, trials): (u64, Vec<&Trial>)| Configuration {
        number,
        values: trials[0].point.values.clone(),
        outcome: Outcome::of_seeds(&trials.iter().map(|trial| trial.outcome).collect::<Vec<_>>()),
    };
    groups.into_iter().map(configuration).collect()
}

/// The random numbers of a trial: those of two trials, or of two sweeps, are independent (SplitMix64 of seed and number).
fn stream(seed: u64, number: u64) -> fastrand::Rng {
    let mixed = (seed ^ number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    fastrand::Rng::with_seed(mixed ^ (mixed >> 31))
}

/// The configuration at fractions of the ranges, one for each dimension; conditions decide which are read.
fn at_fractions(space: &SearchSpace, mut fraction: impl FnMut(usize) -> f64) -> Values {
    let mut values = Values::new();
    for (at, dimension) in space.dimensions.iter().enumerate() {
        let fraction = fraction(at);
        if dimension.is_active(&values) {
            values.insert(dimension.name.clone(), dimension.values.at(fraction));
        }
    }
    values
}
