//! Multiple choice by likelihood, as in the LM Evaluation Harness (Gao et al. 2024): the model chooses the choice with the highest
//! log p(choice | prompt), or the highest per token or per byte. A tie is not a right answer, so a model that tells nothing apart scores 0.

use wire::task::item::ChoiceItem;
use wire::task::result::name;

use super::sequences::{Sequence, nats};
use super::{Score, TaskModel};
use crate::error::EngineError;

/// The likelihood of one choice.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Likelihood {
    /// -ln p(choice | prompt).
    nats: f64,
    tokens: f64,
    bytes: f64,
}

pub(super) fn score(task: &TaskModel, items: &[ChoiceItem]) -> Result<Score, EngineError> {
    let sequences = items.iter().enumerate().map(|(at, item)| {
        let choices: Vec<&str> = item.choices.iter().map(String::as_str).collect();
        task.parts.continuations(at + 1, &item.prompt, &choices)
    });
    let sequences: Vec<Sequence> = sequences.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let texts = items.iter().flat_map(|item| &item.choices);
    let likelihoods: Vec<Likelihood> = nats(task, &sequences)?
        .into_iter()
        .zip(&sequences)
        .zip(texts)
        .map(|((nats, sequence), text)| Likelihood { nats, tokens: sequence.scored() as f64, bytes: text.len() as f64 })
        .collect();
    let mut rest = likelihoods.as_slice();
    let mut answered = Vec::with_capacity(items.len());
    for item in items {
        let (choices, later) = rest.split_at(item.choices.len());
        answered.push((choices, item.answer));
        rest = later;
    }
    Ok(grade(&answered))
}

/// The score of items: the likelihoods of the choices of each, and the index of its right one.
fn grade(items: &[(&[Likelihood], usize)]) -> Score {
    let right = |cost: fn(&Likelihood) -> f64| {
        items.iter().filter(|(choices, answer)| is_lowest(choices.iter().map(cost), *answer)).count() as u64
    };
    let sum =
        |value: fn(&Likelihood) -> f64| items.iter().map(|(choices, answer)| value(&choices[*answer])).sum::<f64>();
    let fraction = |count: u64| count as f64 / items.len() as f64;
    let correct = right(|choice| choice.nats);
    let nats = sum(|choice| choice.nats);
    Score {
        correct: Some(correct),
        metrics: vec![
            (name::ACCURACY, fraction(correct)),
            (name::ACCURACY_PER_TOKEN, fraction(right(|choice| choice.nats / choice.tokens))),
            (name::ACCURACY_PER_BYTE, fraction(right(|choice| choice.nats / choice.bytes))),
            (name::ANSWER_NATS_PER_TOKEN, nats / sum(|choice| choice.tokens)),
            (name::ANSWER_BITS_PER_BYTE, nats / std::f64::consts::LN_2 / sum(|choice| choice.bytes)),
        ],
    }
}

/// Whether the cost at `answer` is lower than every other one. A cost that is not finite is never lowest.
fn is_lowest(costs: impl Iterator<Item = f64>, answer: usize) -> bool {
    let costs: Vec<f64> = costs.collect();
    let own = costs[answer];
    own.is_finite() && costs.iter().enumerate().all(|(at, cost)| at == answer || own < *cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likelihood(nats: f64, tokens: f64, bytes: f64) -> Likelihood {
        Likelihood { nats, tokens, bytes }
    }

    #[test]
    fn normalization_by_length_can_change_the_choice() {
        // The long right choice loses by its sum, wins per token and per byte.
        let long = [likelihood(6.0, 6.0, 24.0), likelihood(4.0, 2.0, 4.0)];
        // Wins by its sum alone.
        let short = [likelihood(9.0, 9.0, 30.0), likelihood(3.0, 1.0, 8.0)];
        let score = grade(&[(&long, 0), (&short, 1)]);
        assert_eq!(score.correct, Some(1));
        let value = |name: &str| score.metrics.iter().find(|metric| metric.0 == name).unwrap().1;
        assert_eq!(
            (value(name::ACCURACY), value(name::ACCURACY_PER_TOKEN), value(name::ACCURACY_PER_BYTE)),
            (0.5, 0.5, 0.5)
        );
        assert!((value(name::ANSWER_NATS_PER_TOKEN) - 9.0 / 7.0).abs() < 1e-12);
        assert!((value(name::ANSWER_BITS_PER_BYTE) - 9.0 / 32.0 / 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn ties_and_non_finite_likelihoods_are_not_right() {
        assert!(is_lowest([1.0, 2.0].into_iter(), 0) && !is_lowest([1.0, 2.0].into_iter(), 1));
        assert!(!is_lowest([1.0, 1.0].into_iter(), 0) && !is_lowest([1.0, 1.0].into_iter(), 1));
        assert!(!is_lowest([f64::NAN, 1.0].into_iter(), 0) && !is_lowest([f64::NAN, 1.0].into_iter(), 1));
        assert!(!is_lowest([f64::INFINITY, f64::INFINITY].into_iter(), 0));
    }

    #[test]
    fn perfect_likelihoods_score_one_and_invented_ones_near_chance() {
        let choices = [likelihood(0.0, 2.0, 5.0), likelihood(9.0, 2.0, 5.0), likelihood(8.0, 3.0, 4.0)];
        let score = grade(&[(&choices, 0), (&choices, 0)]);
        assert!(score.metrics[..3].iter().all(|(_, value)| *value == 1.0), "{:?}", score.metrics);
        assert_eq!(score.metrics[3].1, 0.0);
        let mut random = crate::kernels::random::Counter::new(4, 0);
        let drawn: Vec<[Likelihood; 3]> =
            (0..3000).map(|_| [0; 3].map(|_| likelihood(random.uniform(), 1.0, 1.0))).collect();
        let items: Vec<(&[Likelihood], usize)> =
            drawn.iter().enumerate().map(|(at, all)| (all.as_slice(), at % 3)).collect();
        let accuracy = grade(&items).metrics[0].1;
        assert!((accuracy - 1.0 / 3.0).abs() < 0.04, "{accuracy}");
    }
}
