//! Which values of a trial a stopping rule reads. Of a trial with a value at each of a million steps, ASHA reads those at its rungs, and the
//! median rule those that were the best so far.
//!
//! Decisions over the kept values are those over all values. If trials have different numbers of steps, their rungs differ too: then ASHA and
//! Hyperband read a thinned series, and the value of another trial at a rung may be one of a later step.

use wire::sweep::stopping::StoppingRule;

use super::asha::Asha;
use super::hyperband;

/// Most values that are kept of a trial. Of more, each second one is dropped, except the last two.
pub const MAX_KEPT: usize = 128;

/// Adds a value to those that are kept of trial `number`, which has `steps` steps. Returns whether the rule may decide by it.
/// `has_equal_steps`: all trials have as many steps. `previous` is the step of the value before, kept or not.
pub fn keep(
    rule: &StoppingRule,
    number: u64,
    steps: u64,
    has_equal_steps: bool,
    previous: Option<u64>,
    kept: &mut Vec<(u64, f64)>,
    (step, value): (u64, f64),
) -> bool {
    let asha = match *rule {
        StoppingRule::Median { .. } => {
            keep_best(kept, (step, value));
            return true;
        }
        StoppingRule::Asha { eta, min_fraction } => Asha::from_fraction(eta, min_fraction, steps),
        StoppingRule::Hyperband { eta, brackets } => {
            hyperband::asha(eta, brackets, hyperband::bracket(eta, brackets, number), steps)
        }
    };
    let mut rungs = asha.rungs().skip_while(|rung| previous.is_some_and(|previous| *rung <= previous));
    let passes_rung = rungs.next().is_some_and(|rung| rung <= step);
    if !has_equal_steps || passes_rung {
        kept.push((step, value));
        thin(kept);
    }
    !has_equal_steps || passes_rung
}

/// Keeps the values that were the best so far, and the last one.
fn keep_best(kept: &mut Vec<(u64, f64)>, point: (u64, f64)) {
    if let Some(((_, last), before)) = kept.split_last() {
        let best_before = before.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        if *last >= best_before {
            kept.pop();
        }
    }
    kept.push(point);
    thin(kept);
}

fn thin(kept: &mut Vec<(u64, f64)>) {
    if kept.len() <= MAX_KEPT {
        return;
    }
    let end = kept.len() - 2;
    let mut at = 0;
    kept.retain(|_| {
        at += 1;
        at > end || at % 2 == 1
    });
}

#[cfg(test)]
mod tests {
    use super::super::{Curve, decide};
    use super::*;

    /// Values that fall and jump about, the same at each call.
    fn values(number: u64, steps: u64, every: u64) -> Vec<(u64, f64)> {
        let mut random = fastrand::Rng::with_seed(number);
        let end = 2.0 + random.f64();
        let value = |at: u64, noise: f64| end + 3.0 / (1.0 + at as f64 / 20.0) + 0.3 * noise;
        (1..=steps / every).map(|at| (at * every, value(at * every, random.f64()))).collect()
    }

    #[test]
    fn decisions_over_the_kept_values_are_those_over_all_values() {
        let steps = 400;
        let hyperband = StoppingRule::Hyperband { eta: 3, brackets: 3 };
        for rule in [StoppingRule::median(), StoppingRule::asha(), hyperband] {
            let mut whole: Vec<Curve> = vec![];
            let mut kept: Vec<Curve> = vec![];
            let mut stops = 0;
            for number in 0..30 {
                let curve = |points| Curve { number, steps, points, is_finished: false };
                let (mut all, mut few) = (curve(vec![]), curve(vec![]));
                for point in values(number, steps, 5) {
                    let previous = all.points.last().map(|(step, _)| *step);
                    all.points.push(point);
                    let may_decide = keep(&rule, number, steps, true, previous, &mut few.points, point);
                    let by_all = decide(&rule, &all, &whole.iter().collect::<Vec<_>>());
                    let by_few = if may_decide { decide(&rule, &few, &kept.iter().collect::<Vec<_>>()) } else { None };
                    assert_eq!(by_all, by_few, "{rule:?}, trial {number} at step {}", point.0);
                    if by_all.is_some() {
                        stops += 1;
                        break;
                    }
                }
                let is_finished = all.points.last().is_some_and(|(step, _)| *step == steps);
                whole.push(Curve { is_finished, ..all });
                kept.push(Curve { is_finished, ..few });
            }
            assert!(stops > 3, "{rule:?} stopped {stops}");
        }
    }

    #[test]
    fn a_long_trial_keeps_few_values() {
        for rule in [StoppingRule::median(), StoppingRule::asha(), StoppingRule::hyperband()] {
            for has_equal_steps in [true, false] {
                let (mut kept, mut previous) = (vec![], None);
                for step in 1..=20_000 {
                    // Falls at each step, so that each value is the best so far.
                    let value = 1.0 / step as f64;
                    keep(&rule, 0, 20_000, has_equal_steps, previous, &mut kept, (step, value));
                    previous = Some(step);
                }
                assert!(kept.len() <= MAX_KEPT && kept.is_sorted_by_key(|(step, _)| *step), "{rule:?}: {}", kept.len());
                assert!(!has_equal_steps || rule != StoppingRule::asha() || kept.len() < 6, "{kept:?}");
            }
        }
    }
}
