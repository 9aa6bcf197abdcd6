//! How often what was predicted came true, of the rules and of the authors of experiments.
//!
//! A finding of a rule predicts that something is wrong with a run. People mark findings as correct or as wrong: of these n findings, x were
//! correct. The fraction x/n has the interval of Wilson (1927), which stays within 0 and 1 for few findings
//! ([`crate::compare::wilson`]). Findings that nobody has judged do not count. An author predicts the verdict of an experiment
//! ([`crate::experiment::scores`]).

use serde::{Deserialize, Serialize};
use wire::diagnosis::{Calibration, FindingCounts};
use wire::experiment::record::ExperimentSummary;

use crate::compare::wilson;
use crate::experiment::{AuthorScore, scores};
use crate::rules::rule;

/// Level of the intervals of fractions.
const LEVEL: f64 = 0.95;

/// The findings of a rule beside the judgement of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleScore {
    #[serde(flatten)]
    pub counts: FindingCounts,
    /// Fraction of the judged findings that were correct; `None` if none was judged.
    pub fraction: Option<f64>,
    /// Ends of its 95 % interval (Wilson).
    pub interval: Option<[f64; 2]>,
    /// How often the rule was wrong on healthy runs that were measured for this version; `None` if that was not measured.
    pub measured: Option<Calibration>,
}

/// How often the rules and the authors of a project were right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectCalibration {
    /// Rules with findings, those with the most judged ones first.
    pub rules: Vec<RuleScore>,
    /// Authors of experiments with a verdict, those with the most first.
    pub authors: Vec<AuthorScore>,
}

/// The calibration of a project from its findings and its experiments.
pub fn calibration(findings: Vec<FindingCounts>, experiments: &[ExperimentSummary]) -> ProjectCalibration {
    ProjectCalibration { rules: rule_scores(findings), authors: scores(experiments) }
}

/// The scores of rules, those with the most judged findings first, then by label.
pub fn rule_scores(findings: Vec<FindingCounts>) -> Vec<RuleScore> {
    let mut scores: Vec<RuleScore> = findings.into_iter().map(score).collect();
    let judged = |score: &RuleScore| score.counts.correct + score.counts.wrong;
    scores
        .sort_by(|one, other| judged(other).cmp(&judged(one)).then_with(|| one.counts.label.cmp(&other.counts.label)));
    scores
}

fn score(counts: FindingCounts) -> RuleScore {
    let judged = counts.correct + counts.wrong;
    let known = (judged > 0).then(|| (counts.correct as f64 / judged as f64, wilson(counts.correct, judged, LEVEL)));
    RuleScore {
        fraction: known.map(|(fraction, _)| fraction),
        interval: known.map(|(_, (low, high))| [low, high]),
        measured: rule(&counts.rule).and_then(|rule| rule.info().calibration),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rule: &str, label: &str, findings: u64, correct: u64, wrong: u64) -> FindingCounts {
        FindingCounts { rule: rule.to_owned(), label: label.to_owned(), findings, correct, wrong }
    }

    #[test]
    fn only_judged_findings_count_and_rules_with_the_most_come_first() {
        let found = rule_scores(vec![
            counts("plateau", "Plateau", 7, 0, 0),
            counts("epochs", "Repeated data", 3, 0, 1),
            counts("loss_spike", "Loss spike", 12, 8, 2),
            counts("gone", "A rule of another version", 2, 1, 0),
        ]);
        let order: Vec<&str> = found.iter().map(|score| score.counts.rule.as_str()).collect();
        assert_eq!(order, ["loss_spike", "gone", "epochs", "plateau"]);
        let spike = &found[0];
        assert_eq!(spike.fraction, Some(0.8));
        // Wilson's interval of 8 of 10, by the formula: (x + z²/2)/(n + z²) ± z/(n + z²) √(x (n − x)/n + z²/4) with z = 1.959964.
        let [low, high] = spike.interval.unwrap();
        assert!((low - 0.490162).abs() < 1e-5 && (high - 0.943318).abs() < 1e-5, "{low} to {high}");
        assert_eq!((found[3].fraction, found[3].interval), (None, None));
        assert_eq!((found[2].fraction, found[1].fraction), (Some(0.0), Some(1.0)));
        assert_eq!(found[1].measured, None, "no rule has this id");
    }
}
