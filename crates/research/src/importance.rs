//! Importance of parameters: the fraction of the variance of the results over the search space that comes from each parameter alone.
//!
//! Functional ANOVA (Hutter, Hoos, Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014), as in Optuna's
//! `FanovaImportanceEvaluator`: a random forest predicts the value from the places of the parameters on the unit cube. A tree is constant on
//! boxes, so its main effects have a closed form:
//!
//! ```text
//! m = sum over leaves v(leaf) vol(leaf)                                         mean over the cube
//! V = sum over leaves (v(leaf) - m)^2 vol(leaf)                                 variance over the cube
//! a_d(x) = sum over leaves with x in [low_d, high_d) v(leaf) vol(leaf) / (high_d - low_d)    marginal of parameter d
//! V_d = integral over x of (a_d(x) - m)^2                                       its variance
//! importance of d = mean over trees of V_d / V
//! ```
//!
//! The rest to 1 are interactions. The cube is uniform in the scale of each parameter, so that a logarithmic range counts by its logarithm.
//! A parameter whose condition does not hold has the middle of its range. [`Importance::explained`] is the out-of-bag R² of the forest
//! (Breiman 2001): what it predicts of results that a tree was not grown on.
//!
//! [`forest`] grows the trees.

mod forest;

use wire::sweep::results::{ParameterImportance, SweepImportance};
use wire::sweep::space::SearchSpace;

use crate::sampling::{Configuration, Outcome, Trial, configurations};
use crate::statistics::sample::{mean, variance};
use forest::{Forest, Leaf, Tree};

/// Fewest results: with fewer, a forest fits noise.
pub const NEEDED: usize = 8;
/// Trees of the forest.
const TREES: usize = 64;

/// The importance of the parameters, from the configurations that finished; `seed` draws the samples of the trees. The same results and
/// seed give the same importances.
pub fn importance(space: &SearchSpace, trials: &[Trial], seed: u64) -> SweepImportance {
    let history = configurations(space, trials.iter());
    let finished: Vec<&Configuration> = history.iter().filter(|one| is_finished(one)).collect();
    let places: Vec<Vec<f64>> = finished.iter().map(|one| place(space, one)).collect();
    let values: Vec<f64> = finished.iter().filter_map(|one| one.outcome.value()).collect();
    let mut found = SweepImportance {
        configurations: finished.len() as u64,
        needed: NEEDED as u64,
        explained: None,
        parameters: vec![],
    };
    if values.len() < NEEDED || space.dimensions.is_empty() || values.iter().all(|value| *value == values[0]) {
        return found;
    }
    let forest = Forest::grow(&places, &values, TREES, seed);
    found.explained = forest.explained(&places, &values);
    found.parameters = parameters(space, &forest);
    found
}

fn is_finished(one: &Configuration) -> bool {
    matches!(one.outcome, Outcome::Finished(_)) && one.outcome.value().is_some()
}

/// The place of a configuration on the unit cube.
fn place(space: &SearchSpace, one: &Configuration) -> Vec<f64> {
    let place = |dimension: &wire::sweep::space::Dimension| {
        one.values.get(&dimension.name).and_then(|value| dimension.values.fraction(value)).unwrap_or(0.5)
    };
    space.dimensions.iter().map(place).collect()
}

/// The mean and the spread over trees, from the most important parameter.
fn parameters(space: &SearchSpace, forest: &Forest) -> Vec<ParameterImportance> {
    let by_tree: Vec<Vec<f64>> = forest.trees.iter().filter_map(fractions).collect();
    let of_dimension = |(at, dimension): (usize, &wire::sweep::space::Dimension)| {
        let fractions: Vec<f64> = by_tree.iter().map(|tree| tree[at]).collect();
        let spread = if fractions.len() > 1 { variance(&fractions).sqrt() } else { 0.0 };
        ParameterImportance { name: dimension.name.clone(), fraction: mean(&fractions), spread }
    };
    let mut found: Vec<ParameterImportance> = space.dimensions.iter().enumerate().map(of_dimension).collect();
    if by_tree.is_empty() {
        return vec![];
    }
    found.sort_by(|a, b| b.fraction.total_cmp(&a.fraction).then_with(|| a.name.cmp(&b.name)));
    found
}

/// The fraction of the variance of a tree that comes from each dimension alone; `None` for a tree that is constant.
fn fractions(tree: &Tree) -> Option<Vec<f64>> {
    let leaves = tree.leaves();
    let mean: f64 = leaves.iter().map(|leaf| leaf.value * leaf.volume()).sum();
    let total: f64 = leaves.iter().map(|leaf| (leaf.value - mean).powi(2) * leaf.volume()).sum();
    let dimensions = leaves.first().map_or(0, |leaf| leaf.bounds.len());
    (total > 0.0).then(|| (0..dimensions).map(|at| marginal_variance(&leaves, at, mean) / total).collect())
}

/// The variance of the marginal of a dimension, which is constant between the bounds of the leaves: each leaf adds its part at its
/// lower bound and subtracts it at its upper one.
fn marginal_variance(leaves: &[Leaf], at: usize, mean: f64) -> f64 {
    let mut changes: Vec<(f64, f64)> = Vec::with_capacity(2 * leaves.len());
    for leaf in leaves {
        let (low, high) = leaf.bounds[at];
        let part = leaf.value * leaf.volume() / (high - low);
        changes.extend([(low, part), (high, -part)]);
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut marginal, mut variance) = (0.0, 0.0);
    for pair in changes.windows(2) {
        marginal += pair[0].1;
        variance += (marginal - mean).powi(2) * (pair[1].0 - pair[0].0);
    }
    variance
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wire::sweep::space::{Point, Space};

    use super::*;

    fn space(parameters: Value) -> SearchSpace {
        let space: Space = serde_json::from_value(json!({ "parameters": parameters })).unwrap();
        space.check().unwrap()
    }

    /// Results of a function of the places of two hyperparameters, at `count` points of a fixed random sequence.
    fn history(space: &SearchSpace, count: u64, value: impl Fn(f64, f64, &mut fastrand::Rng) -> f64) -> Vec<Trial> {
        let mut random = fastrand::Rng::with_seed(7);
        let names: Vec<String> = space.dimensions.iter().map(|one| one.name.clone()).collect();
        (0..count)
            .map(|number| {
                let (a, b) = (random.f64(), random.f64());
                let of = |at: usize, place: f64| (names[at].clone(), space.dimensions[at].values.at(place));
                let values = [of(0, a), of(1, b)].into_iter().collect();
                let point = Point { values, seed: None };
                Trial { number, point, outcome: Outcome::Finished(value(a, b, &mut random)) }
            })
            .collect()
    }

    fn two() -> SearchSpace {
        space(
            json!({ "optimizer.learning_rate": { "log": [1e-4, 1e-2] }, "optimizer.weight_decay": { "float": [0, 1] } }),
        )
    }

    fn fraction(found: &SweepImportance, name: &str) -> f64 {
        found.parameters.iter().find(|one| one.name == name).unwrap().fraction
    }

    #[test]
    fn a_planted_function_gives_its_variances() {
        // f = 4 x + 2 y: the variances are 16 / 12 and 4 / 12, so the fractions are 0.8 and 0.2.
        let space = two();
        let found = importance(&space, &history(&space, 200, |a, b, _| 4.0 * a + 2.0 * b), 1);
        assert_eq!((found.configurations, found.parameters[0].name.as_str()), (200, "optimizer.learning_rate"));
        assert!((fraction(&found, "optimizer.learning_rate") - 0.8).abs() < 0.06, "{found:?}");
        assert!((fraction(&found, "optimizer.weight_decay") - 0.2).abs() < 0.06, "{found:?}");
        assert!(found.explained.unwrap() > 0.9, "{found:?}");
        assert_eq!(found, importance(&space, &history(&space, 200, |a, b, _| 4.0 * a + 2.0 * b), 1), "it repeats");
    }

    #[test]
    fn an_interaction_belongs_to_no_parameter_alone() {
        // f = sign(x - 1/2) sign(y - 1/2): both main effects are 0.
        let space = two();
        let sign = |place: f64| if place > 0.5 { 1.0 } else { -1.0 };
        let found = importance(&space, &history(&space, 300, |a, b, _| sign(a) * sign(b)), 1);
        let alone: f64 = found.parameters.iter().map(|one| one.fraction).sum();
        assert!(alone < 0.25, "{found:?}");
    }

    #[test]
    fn noise_is_not_explained() {
        let space = two();
        let found = importance(&space, &history(&space, 100, |_, _, random| random.f64()), 1);
        assert!(found.explained.unwrap() < 0.15, "{found:?}");
    }

    #[test]
    fn too_few_or_equal_results_have_no_importance() {
        let space = two();
        let few = importance(&space, &history(&space, NEEDED as u64 - 1, |a, _, _| a), 1);
        assert_eq!((few.configurations, few.explained, few.parameters.len()), (NEEDED as u64 - 1, None, 0));
        let equal = importance(&space, &history(&space, 20, |_, _, _| 1.0), 1);
        assert_eq!((equal.explained, equal.parameters.len()), (None, 0));
        let mut running = history(&space, 20, |a, _, _| a);
        running.iter_mut().for_each(|one| one.outcome = Outcome::Stopped { step: 3, value: 1.0 });
        assert_eq!(importance(&space, &running, 1).configurations, 0, "stopped trials have the value of another step");
    }
}
