//! Tree-structured Parzen estimator: where are points of good trials dense and those of the others not?
//!
//! The best γ = min(⌈n / 10⌉, 25) of n trials with a result give a density l, all others, also those that still run, a density g
//! ([`super::parzen`]). Of 24 draws from l, the one with the largest ln l - ln g is trained. Parameters without a condition are drawn together,
//! and then each parameter whose condition holds by itself, from the trials that have it. Draws that violate a constraint do not count. The
//! first 10 trials are quasi-random.
//!
//! Sources: Bergstra et al. 2011; Watanabe 2023 (arXiv 2304.11127); `TPESampler` of Optuna 5 with its defaults (multivariate, constant liar),
//! whose first trials are random instead. The crate `tpe` draws each parameter by itself, knows no conditions, and depends on a random number
//! generator that does not compile for the browser as it configures it.

use serde_json::Value;
use wire::sweep::space::{Dimension, SearchSpace};

use super::parzen::Parzen;
use super::quasi_random::QuasiRandom;
use super::random::Random;
use super::{Configuration, Outcome, Sampler, SamplingError, Values, stream};

/// Trials with a result before the first that is drawn from them.
const STARTUP: usize = 10;
/// Draws of which the best is taken.
const CANDIDATES: usize = 24;
/// Times that 24 draws are tried when constraints allow none.
const ROUNDS: usize = 50;

/// Samples by tree-structured Parzen estimators.
#[derive(Debug, Clone, Copy)]
pub struct Tpe {
    pub seed: u64,
}

impl Sampler for Tpe {
    fn next(
        &self,
        space: &SearchSpace,
        history: &[Configuration],
        number: u64,
    ) -> Result<Option<Values>, SamplingError> {
        let known = history.iter().filter(|one| one.outcome != Outcome::Running).count();
        if known < STARTUP {
            let first = QuasiRandom { seed: self.seed }.next(space, history, number)?;
            return first
                .map_or_else(|| Random { seed: self.seed }.next(space, history, number), |values| Ok(Some(values)));
        }
        let mut random = stream(self.seed, number);
        let groups = Groups::new(history);
        let found = (0..ROUNDS).find_map(|_| groups.complete(space, Values::new(), &mut random));
        found.map_or_else(|| Random { seed: self.seed }.next(space, history, number), |values| Ok(Some(values)))
    }
}

/// The good trials and the others, each in the order of their numbers.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    good: Vec<&'a Configuration>,
    other: Vec<&'a Configuration>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(history: &'a [Configuration]) -> Self {
        let known = history.iter().filter(|one| one.outcome != Outcome::Running).count();
        let mut order: Vec<&Configuration> = history.iter().collect();
        order.sort_by(|a, b| a.outcome.compare(&b.outcome).then(a.number.cmp(&b.number)));
        let is_good =
            |(rank, one): &(usize, &Configuration)| *rank < known.div_ceil(10).min(25) && one.outcome.value().is_some();
        let count = order.iter().copied().enumerate().filter(is_good).count();
        let by_number = |group: &[&'a Configuration]| {
            let mut group = group.to_vec();
            group.sort_by_key(|one| one.number);
            group
        };
        Self { good: by_number(&order[..count]), other: by_number(&order[count..]) }
    }

    /// Adds the parameters that `values` does not have yet; `None` if no draw satisfies the constraints.
    pub(super) fn complete(&self, space: &SearchSpace, values: Values, random: &mut fastrand::Rng) -> Option<Values> {
        let is_missing = |dimension: &&Dimension| !values.contains_key(&dimension.name);
        let together: Vec<&Dimension> =
            space.dimensions.iter().filter(|one| one.when.is_empty()).filter(is_missing).collect();
        let alone: Vec<&Dimension> = space.dimensions.iter().filter(|one| !one.when.is_empty()).collect();
        let mut values = if together.is_empty() { values } else { self.draw(space, &together, values, random)? };
        for dimension in alone {
            if dimension.is_active(&values) {
                values = self.draw(space, &[dimension], values, random)?;
            }
        }
        Some(values)
    }

    /// Adds the best of 24 draws of these parameters.
    fn draw(
        &self,
        space: &SearchSpace,
        dimensions: &[&Dimension],
        values: Values,
        random: &mut fastrand::Rng,
    ) -> Option<Values> {
        let estimator = |group: &[&'a Configuration]| {
            let point =
                |one: &&'a Configuration| dimensions.iter().map(|dimension| one.values.get(&dimension.name)).collect();
            let points: Vec<Vec<&Value>> = group.iter().filter_map(point).collect();
            Parzen::new(dimensions.iter().map(|dimension| &dimension.values).collect(), &points)
        };
        let (good, other) = (estimator(&self.good), estimator(&self.other));
        let with = |drawn: &[Value]| {
            let names = dimensions.iter().map(|dimension| dimension.name.clone());
            values.clone().into_iter().chain(names.zip(drawn.iter().cloned())).collect::<Values>()
        };
        let draws: Vec<Vec<Value>> = (0..CANDIDATES).map(|_| good.sample(random)).collect();
        let allowed = draws.into_iter().map(|drawn| (with(&drawn), drawn)).filter(|(values, _)| space.holds(values));
        let scored = allowed.map(|(values, drawn)| (good.log_density(&drawn) - other.log_density(&drawn), values));
        scored.reduce(|best, one| if one.0 > best.0 { one } else { best }).map(|(_, values)| values)
    }
}
