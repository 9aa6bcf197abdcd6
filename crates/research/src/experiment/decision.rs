//! The verdict of an experiment, looked at after every added pair of seeds.
//!
//! Let d be the difference of a pair, variant minus baseline, and s the sign of the predicted difference. With the confidence sequence
//! [low, high] of the mean of s d at level 1 - α, and the smallest effect that counts, e > 0, fixed before the first run:
//!
//! - confirmed if low > 0 and mean(s d) >= e;
//! - refuted if high < e;
//! - inconclusive after the most pairs, or when the budget is used, if neither holds.
//!
//! The interval contains the true mean at all numbers of pairs together with a probability of at least 1 - α. So without an effect the verdict
//! is `confirmed` with a probability of at most α, and with an effect of e or more it is `refuted` with a probability of at most α, however often
//! it is looked at. An interval can exclude both 0 and e: a proven effect that is too small to count is refuted.
//!
//! Sources: the interval as in `compare/sequential.rs` (Wang, Ramdas 2024, arXiv 2310.03722); two bounds, no effect and the smallest effect of
//! interest: Lakens, Scheel, Isager 2018, Equivalence Testing for Psychological Research (doi 10.1177/2515245918770963).

use wire::experiment::ExperimentSpec;
use wire::experiment::record::{Outcome, Verdict};
use wire::number::in_sentence;

use crate::compare::confidence_sequence;
use crate::statistics::sample::mean;

/// The difference, variant minus baseline, as it was known after some pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Number of pairs.
    pub pairs: usize,
    pub difference: f64,
    /// Ends of its interval; `None` for fewer than 3 pairs, and if all differences are equal.
    pub interval: Option<[f64; 2]>,
}

/// The difference after each pair (baseline, variant), with intervals that are valid at all of them together.
pub fn looks(pairs: &[(f64, f64)], level: f64) -> Vec<Look> {
    (1..=pairs.len()).map(|count| look(&pairs[..count], level)).collect()
}

fn look(pairs: &[(f64, f64)], level: f64) -> Look {
    let differences: Vec<f64> = pairs.iter().map(|(baseline, variant)| variant - baseline).collect();
    let interval = confidence_sequence(pairs, level).map(|found| [found.low, found.high]);
    Look { pairs: pairs.len(), difference: mean(&differences), interval }
}

/// The verdict by the rule of the experiment; `None` while more pairs are needed. `pairs` are (baseline, variant), in the order of their seeds.
pub fn decide(spec: &ExperimentSpec, pairs: &[(f64, f64)]) -> Option<Verdict> {
    let rule = &spec.rule;
    if pairs.len() < rule.min_pairs as usize {
        return None;
    }
    let look = look(pairs, rule.level());
    match outcome(spec, &look) {
        Some(outcome) => Some(verdict(spec, &look, outcome, &reason(spec, outcome))),
        None if pairs.len() >= rule.max_pairs as usize => {
            Some(conclude(spec, pairs, &format!("{} pairs are the most that the rule allows", rule.max_pairs)))
        }
        None => None,
    }
}

/// The verdict `inconclusive`; `why` no further pair is trained.
pub fn conclude(spec: &ExperimentSpec, pairs: &[(f64, f64)], why: &str) -> Verdict {
    let look = look(pairs, spec.rule.level());
    verdict(spec, &look, Outcome::Inconclusive, &format!("{why}, and {}", undecided(spec, &look)))
}

fn undecided(spec: &ExperimentSpec, look: &Look) -> String {
    let (rule, effect) = (&spec.rule, with_unit(spec, spec.rule.effect));
    if look.pairs < rule.min_pairs as usize {
        return format!("the rule needs at least {} pairs", rule.min_pairs);
    }
    match signed(spec, look) {
        None => "differences that are all equal have no interval".to_owned(),
        Some([low, _]) if low > 0.0 => format!("the difference is smaller than the smallest effect, {effect}"),
        Some(_) => format!("the interval contains 0 and the smallest effect, {effect}"),
    }
}

fn outcome(spec: &ExperimentSpec, look: &Look) -> Option<Outcome> {
    let [low, high] = signed(spec, look)?;
    if low > 0.0 && spec.prediction.difference.signum() * look.difference >= spec.rule.effect {
        return Some(Outcome::Confirmed);
    }
    (high < spec.rule.effect).then_some(Outcome::Refuted)
}

/// The interval of the effect in the predicted direction.
fn signed(spec: &ExperimentSpec, look: &Look) -> Option<[f64; 2]> {
    let [low, high] = look.interval?;
    Some(if spec.prediction.difference < 0.0 { [-high, -low] } else { [low, high] })
}

fn reason(spec: &ExperimentSpec, outcome: Outcome) -> String {
    let effect = with_unit(spec, spec.rule.effect);
    match outcome {
        Outcome::Refuted => format!("the interval excludes an effect of {effect} in the predicted direction"),
        _ => format!("the interval excludes 0, and the difference is at least the smallest effect, {effect}"),
    }
}

fn verdict(spec: &ExperimentSpec, look: &Look, outcome: Outcome, reason: &str) -> Verdict {
    let level = spec.rule.level();
    let count = if look.pairs == 1 { "1 pair".to_owned() } else { format!("{} pairs", look.pairs) };
    let mut word: String = outcome.word().to_owned();
    word[..1].make_ascii_uppercase();
    let found = (look.pairs > 0).then(|| {
        let interval = look.interval.map(|[low, high]| {
            let percent = in_sentence(100.0 * level);
            format!(", {percent}\u{202f}% interval {} to {}", in_sentence(low), in_sentence(high))
        });
        let label = spec.metric.label();
        let difference = with_unit(spec, look.difference);
        format!(
            " The {label} of the variant minus that of the baseline is {difference}{}.",
            interval.unwrap_or_default()
        )
    });
    let sentence = format!("{word} after {count}: {reason}.{}", found.unwrap_or_default());
    let difference = (look.pairs > 0).then_some(look.difference);
    Verdict { outcome, difference, interval: look.interval, level, pairs: look.pairs as u32, sentence }
}

fn with_unit(spec: &ExperimentSpec, value: f64) -> String {
    format!("{}\u{202f}{}", in_sentence(value), spec.metric.unit()).trim_end().to_owned()
}
