//! How often what an author predicted came true.
//!
//! An author gives the probability p that the verdict will be `confirmed`; o is 1 if it is, else 0. Brier score: mean (p - o)², 0 for a perfect
//! forecaster, 0.25 for one who always says 0.5. Reliability diagram: the predictions in ten bins of p, in each the mean of p beside the fraction of
//! o; an author is calibrated if both are equal.
//!
//! Sources: Brier 1950, Verification of forecasts expressed in terms of probability (Monthly Weather Review 78); Murphy, Winkler 1977,
//! Reliability of subjective probability forecasts (Applied Statistics 26).

use serde::{Deserialize, Serialize};
use wire::Author;
use wire::experiment::record::{ExperimentSummary, Outcome, Verdict};

/// Bins of the reliability diagram.
const BINS: usize = 10;

/// The predictions of an author beside the verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorScore {
    pub author: Author,
    /// Experiments with a verdict.
    pub experiments: u32,
    pub confirmed: u32,
    pub refuted: u32,
    pub inconclusive: u32,
    /// Mean squared difference of probability and result: 0 is best, 0.25 is that of 0.5 every time.
    pub brier: f64,
    /// Verdicts whose interval contains the predicted difference.
    pub within: u32,
    /// Verdicts with an interval.
    pub intervals: u32,
    /// Bins of probability that have a prediction, in increasing order.
    pub bins: Vec<ProbabilityBin>,
}

/// Predictions of similar probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbabilityBin {
    /// Smallest probability of the bin.
    pub from: f64,
    /// Largest probability of the bin.
    pub to: f64,
    pub count: u32,
    /// Mean of the predicted probabilities.
    pub predicted: f64,
    pub confirmed: u32,
}

/// The scores of all authors of experiments with a verdict, those with the most first.
pub fn scores(experiments: &[ExperimentSummary]) -> Vec<AuthorScore> {
    let mut authors: Vec<(&Author, Vec<(&ExperimentSummary, &Verdict)>)> = vec![];
    for experiment in experiments {
        let Some(verdict) = &experiment.verdict else { continue };
        match authors.iter_mut().find(|(author, _)| *author == &experiment.author) {
            Some((_, known)) => known.push((experiment, verdict)),
            None => authors.push((&experiment.author, vec![(experiment, verdict)])),
        }
    }
    let mut scores: Vec<AuthorScore> = authors.into_iter().map(|(author, known)| score(author, &known)).collect();
    scores.sort_by_key(|score| std::cmp::Reverse(score.experiments));
    scores
}

fn score(author: &Author, known: &[(&ExperimentSummary, &Verdict)]) -> AuthorScore {
    let count = |outcome: Outcome| known.iter().filter(|(_, verdict)| verdict.outcome == outcome).count() as u32;
    let predictions: Vec<(f64, bool)> = known
        .iter()
        .map(|(one, verdict)| (one.spec.prediction.probability, verdict.outcome == Outcome::Confirmed))
        .collect();
    let squares = predictions.iter().map(|(p, is_confirmed)| (p - f64::from(u8::from(*is_confirmed))).powi(2));
    let intervals = known.iter().filter_map(|(one, verdict)| Some((one.spec.prediction.difference, verdict.interval?)));
    AuthorScore {
        author: author.clone(),
        experiments: known.len() as u32,
        confirmed: count(Outcome::Confirmed),
        refuted: count(Outcome::Refuted),
        inconclusive: count(Outcome::Inconclusive),
        brier: squares.sum::<f64>() / known.len() as f64,
        within: intervals.clone().filter(|(predicted, [low, high])| (low..=high).contains(&predicted)).count() as u32,
        intervals: intervals.count() as u32,
        bins: bins(&predictions),
    }
}

fn bins(predictions: &[(f64, bool)]) -> Vec<ProbabilityBin> {
    let bin_of = |p: f64| ((p * BINS as f64) as usize).min(BINS - 1);
    let bin = |at: usize| {
        let inside: Vec<&(f64, bool)> = predictions.iter().filter(|(p, _)| bin_of(*p) == at).collect();
        let sum: f64 = inside.iter().map(|(p, _)| p).sum();
        (!inside.is_empty()).then(|| ProbabilityBin {
            from: at as f64 / BINS as f64,
            to: (at + 1) as f64 / BINS as f64,
            count: inside.len() as u32,
            predicted: sum / inside.len() as f64,
            confirmed: inside.iter().filter(|(_, is_confirmed)| *is_confirmed).count() as u32,
        })
    };
    (0..BINS).filter_map(bin).collect()
}
