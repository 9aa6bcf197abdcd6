//! CMA-ES: draws from a normal distribution over the fractions of the ranges that follows the best trials ([`super::covariance`]).
//!
//! Start: m = 0.5, σ = 1/6 (as `CmaEsSampler` of Optuna 5). Each λ trials with a result, in the order of their numbers, are one generation;
//! a trial that failed is its worst, and one that runs is left out. Points that a slow trial brings from an older distribution are shortened to
//! |C^(-1/2) y| <= sqrt(n) + 2 n / (n + 2), so that they cannot throw the distribution off (Hansen 2011, Injecting External Solutions).
//! Draws outside the ranges, or against a constraint, are repeated 100 times and then moved to the bounds.
//!
//! CMA-ES moves numbers that are always present. Choices and parameters with a condition are drawn by [`super::tpe`].

use wire::sweep::space::{Dimension, SearchSpace};

use super::covariance::Distribution;
use super::tpe::{Groups, Tpe};
use super::{Configuration, Outcome, Sampler, SamplingError, Values, stream};

/// Draws until one is inside the ranges and satisfies the constraints.
const ATTEMPTS: usize = 100;

/// Samples by covariance matrix adaptation.
#[derive(Debug, Clone, Copy)]
pub struct CmaEs {
    pub seed: u64,
}

impl Sampler for CmaEs {
    fn next(
        &self,
        space: &SearchSpace,
        history: &[Configuration],
        number: u64,
    ) -> Result<Option<Values>, SamplingError> {
        let moved: Vec<&Dimension> =
            space.dimensions.iter().filter(|one| one.when.is_empty() && !one.values.is_unordered()).collect();
        if moved.is_empty() {
            return Tpe { seed: self.seed }.next(space, history, number);
        }
        let distribution = distribution(&moved, history);
        let groups = Groups::new(history);
        let mut random = stream(self.seed, number);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let normal: Vec<f64> = moved.iter().map(|_| standard_normal(&mut random)).collect();
            let place = distribution.point(&normal);
            let is_inside = place.iter().all(|fraction| (0.0..=1.0).contains(fraction));
            let values = moved.iter().zip(&place).map(|(one, fraction)| (one.name.clone(), one.values.at(*fraction)));
            let complete = groups.complete(space, values.collect(), &mut random);
            if let Some(values) = complete.filter(|values| space.holds(values)) {
                if is_inside {
                    return Ok(Some(values));
                }
                last = Some(values);
            }
        }
        last.map_or_else(|| Tpe { seed: self.seed }.next(space, history, number), |values| Ok(Some(values)))
    }
}

/// The distribution after the generations of the history.
fn distribution(moved: &[&Dimension], history: &[Configuration]) -> Distribution {
    let mut distribution = Distribution::new(vec![0.5; moved.len()], 1.0 / 6.0);
    let known: Vec<&Configuration> = history.iter().filter(|one| one.outcome != Outcome::Running).collect();
    for generation in known.chunks_exact(distribution.population()) {
        let mut generation = generation.to_vec();
        generation.sort_by(|a, b| a.outcome.compare(&b.outcome).then(a.number.cmp(&b.number)));
        let place = |one: &&Configuration| {
            let fraction = |dimension: &&Dimension| {
                one.values.get(&dimension.name).and_then(|value| dimension.values.fraction(value))
            };
            moved.iter().map(|dimension| fraction(dimension).unwrap_or(0.5)).collect::<Vec<f64>>()
        };
        distribution.update_with(&generation.iter().map(place).collect::<Vec<_>>());
    }
    distribution
}

/// A standard normal value by the method of Box and Muller (1958).
fn standard_normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}
