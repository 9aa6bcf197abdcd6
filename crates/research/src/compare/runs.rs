//! Comparison of two groups of runs by their final losses: does the change help, whatever the seed?

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::series::Axis;

use super::bits::bits_per_byte;
use super::conditions::{Conditions, Reason, all_have_bytes, unfair};
use super::difference::{Difference, paired, welch};
use super::noise::{NoiseFloor, detectable};
use super::permutation::permutation_p;
use super::sequential::confidence_sequence;
use super::verdict::{Comparison, Unit, Verdict};
use crate::statistics::sample::{mean, variance};

/// Shared seeds from which on runs are paired; with fewer, pairing loses more degrees of freedom than it saves variance.
const ENOUGH_PAIRS: usize = 3;

/// The final loss of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLoss {
    /// Name or id, for messages.
    pub run: String,
    pub seed: u64,
    /// Validation loss, nats/token.
    pub nats_per_token: f64,
    pub conditions: Conditions,
}

impl RunLoss {
    /// Its loss in a unit; NaN in bits per byte if the bytes per token are unknown.
    pub fn value(&self, unit: Unit) -> f64 {
        match unit {
            Unit::BitsPerByte => bits_per_byte(self.nats_per_token, self.conditions.bytes_per_token.unwrap_or(0.0)),
            Unit::NatsPerToken => self.nats_per_token,
        }
    }
}

/// What a comparison of two groups requires and returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunOptions<'a> {
    /// The budget that must be equal: tokens, FLOPs or time. Steps count as tokens.
    pub equal: Axis,
    /// Level of the interval.
    pub level: f64,
    /// Spread over seeds from other runs, in the unit of the comparison, for groups of one run.
    pub noise: Option<&'a NoiseFloor>,
    /// Whether a permutation test is computed too; about a millisecond for groups of 10.
    pub has_permutation: bool,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self { equal: Axis::Tokens, level: 0.95, noise: None, has_permutation: true }
    }
}

/// Compares a change with a baseline, each a group of runs that differ in the seed only, in bits per byte where it is known of all runs, else
/// in nats per token.
///
/// Groups with the same 3 or more seeds are compared in pairs, other groups of at least 2 runs each by Welch's t, and groups of one run by
/// the noise floor. The interval is valid for one look at runs that have ended: who looks again after each further seed, and stops when
/// there is a difference, finds too many. For pairs, [`Comparison::sequential`] is valid for any number of looks.
pub fn compare_runs(baseline: &[RunLoss], change: &[RunLoss], options: &RunOptions) -> Comparison {
    let conditions = |group: &[RunLoss]| group.iter().map(|run| run.conditions.clone()).collect::<Vec<_>>();
    let (of_baseline, of_change) = (conditions(baseline), conditions(change));
    let (of_baseline, of_change): (Vec<_>, Vec<_>) = (of_baseline.iter().collect(), of_change.iter().collect());
    let has_bytes = all_have_bytes(of_baseline.iter().chain(&of_change));
    let unit = if has_bytes { Unit::BitsPerByte } else { Unit::NatsPerToken };
    let values = |group: &[RunLoss]| group.iter().map(|run| run.value(unit)).collect::<Vec<_>>();
    let (a, b) = (values(baseline), values(change));
    let mut reasons = unfair(&of_baseline, &of_change, options.equal);
    reasons.extend(invalid(baseline, change));
    let found = if reasons.is_empty() { difference(baseline, change, unit, options) } else { Err(reasons) };
    let (difference, verdict) = match found {
        Ok(difference) if difference.is_significant() => (Some(difference), Verdict::Different),
        Ok(difference) => {
            let detectable = smallest(&a, &b, options.noise);
            (Some(difference), Verdict::NoDetectableDifference { detectable })
        }
        Err(reasons) => (None, Verdict::NotComparable { reasons }),
    };
    let permutation = difference
        .filter(|_| options.has_permutation && a.len() >= 2 && b.len() >= 2)
        .map(|_| permutation_p(&a, &b, 0));
    let known = |mean: f64| Some(mean).filter(|mean| mean.is_finite());
    let sequential = difference
        .and_then(|_| pairs(baseline, change, unit))
        .and_then(|pairs| confidence_sequence(&pairs, options.level));
    Comparison {
        unit,
        baseline: known(mean(&a)),
        change: known(mean(&b)),
        counts: (a.len(), b.len()),
        difference,
        sequential,
        permutation_p: permutation,
        verdict,
    }
}

/// Runs that cannot be in a group: without a finite loss, or with the seed of another.
fn invalid(baseline: &[RunLoss], change: &[RunLoss]) -> Vec<Reason> {
    let failed = baseline.iter().chain(change).find(|run| !run.nats_per_token.is_finite());
    let failed = failed.map(|run| Reason::NotFinite { run: run.run.clone() });
    let repeated = |group: &[RunLoss]| {
        let mut seen = BTreeSet::new();
        group.iter().find(|run| !seen.insert(run.seed)).map(|run| Reason::RepeatedSeed { seed: run.seed })
    };
    [failed, repeated(baseline).or_else(|| repeated(change))].into_iter().flatten().collect()
}

fn difference(
    baseline: &[RunLoss],
    change: &[RunLoss],
    unit: Unit,
    options: &RunOptions,
) -> Result<Difference, Vec<Reason>> {
    let values = |group: &[RunLoss]| group.iter().map(|run| run.value(unit)).collect::<Vec<_>>();
    let (a, b) = (values(baseline), values(change));
    let few = Reason::TooFewRuns { baseline: a.len(), change: b.len() };
    if a.is_empty() || b.is_empty() {
        return Err(vec![few]);
    }
    if a.len() < 2 || b.len() < 2 {
        let found = options.noise.and_then(|noise| noise.difference(&a, &b, options.level));
        return found.ok_or(vec![few]);
    }
    let found = match pairs(baseline, change, unit) {
        Some(pairs) => paired(&pairs, options.level),
        None => welch(&a, &b, options.level),
    };
    found.ok_or(vec![Reason::NoVariation])
}

/// The values of equal seeds, if both groups have the same seeds and enough of them.
fn pairs(baseline: &[RunLoss], change: &[RunLoss], unit: Unit) -> Option<Vec<(f64, f64)>> {
    let of_seed: BTreeMap<u64, f64> = change.iter().map(|run| (run.seed, run.value(unit))).collect();
    let pair = |run: &RunLoss| Some((run.value(unit), *of_seed.get(&run.seed)?));
    let pairs: Option<Vec<(f64, f64)>> = baseline.iter().map(pair).collect();
    pairs.filter(|pairs| pairs.len() == change.len() && pairs.len() >= ENOUGH_PAIRS)
}

/// The true difference that such groups find in 80 % of cases.
fn smallest(a: &[f64], b: &[f64], noise: Option<&NoiseFloor>) -> Option<f64> {
    let found = if a.len() < 2 || b.len() < 2 {
        noise?.detectable(a.len(), b.len())
    } else {
        let freedom = (a.len() + b.len()) as f64 - 2.0;
        let squares = |values: &[f64]| variance(values) * (values.len() as f64 - 1.0);
        detectable(((squares(a) + squares(b)) / freedom).sqrt(), freedom, a.len(), b.len())
    };
    Some(found).filter(|found| found.is_finite())
}
