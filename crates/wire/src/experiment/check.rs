//! The valid values of an experiment. Whether its runs can be planned is checked by the server.

use super::{Baseline, Change, DecisionRule, ExperimentBudget, ExperimentSpec, Metric, Prediction};
use crate::error::PlanError;
use crate::hyperparameters::table;
use crate::number::grouped;
use crate::run::plan::MAX_STEPS;
use crate::run::spec::RunSpec;
use crate::series::name::EVAL;
use crate::series::{NAME_CHARS, is_series};

/// Longest title, characters.
pub const TITLE_CHARS: usize = 80;
/// Longest hypothesis, characters.
pub const HYPOTHESIS_CHARS: usize = 4_000;
/// Most hyperparameters of a change.
const MAX_OVERRIDES: usize = 64;
/// Most datasets of a change.
const MAX_DATASETS: usize = 32;
/// Fewest pairs that give an interval.
pub const FEWEST_PAIRS: u32 = 3;
/// Most pairs of an experiment.
pub const MOST_PAIRS: u32 = 50;
/// The hyperparameter at which a run pauses.
pub const BREAKPOINTS: &str = "breakpoints";
/// Largest difference or effect.
const LARGEST: f64 = 1e12;
/// Most device hours of an experiment.
const MOST_HOURS: f64 = 100_000.0;

impl ExperimentSpec {
    /// Checks all values that do not depend on the lab.
    ///
    /// # Errors
    /// The first field that is invalid.
    pub fn check(&self) -> Result<(), PlanError> {
        check_text("title", &self.title, TITLE_CHARS, false)?;
        check_text("hypothesis", &self.hypothesis, HYPOTHESIS_CHARS, true)?;
        self.baseline.check()?;
        self.change.check()?;
        self.metric.check()?;
        self.rule.check()?;
        self.prediction.check(&self.rule)?;
        self.budget.check(&self.rule)
    }
}

fn check_text(field: &str, text: &str, most: usize, has_lines: bool) -> Result<(), PlanError> {
    let is_refused = |c: char| c.is_control() && !(has_lines && c == '\n');
    let count = text.chars().count();
    if text.trim().is_empty() || count > most || text.chars().any(is_refused) {
        let lines = if has_lines { "" } else { " on one line" };
        return Err(PlanError::new(field, format!("the {field} of {count} characters is not valid"))
            .hint(format!("enter 1 to {} characters{lines}", grouped(most as u64))));
    }
    Ok(())
}

impl Baseline {
    fn check(&self) -> Result<(), PlanError> {
        match (&self.run, &self.spec) {
            (Some(_), None) => check_steps(self.steps),
            (None, Some(spec)) => match self.steps {
                None => check_spec(spec),
                Some(_) => Err(PlanError::new("baseline.steps", "steps are given beside a specification")
                    .hint("set baseline.spec.steps")),
            },
            (Some(_), Some(_)) => Err(PlanError::new("baseline", "a run and a specification are both given")
                .hint("give one of baseline.run and baseline.spec")),
            (None, None) => Err(PlanError::new("baseline", "neither a run nor a specification is given")
                .hint("give one of baseline.run and baseline.spec")),
        }
    }
}

fn check_steps(steps: Option<u64>) -> Result<(), PlanError> {
    match steps.filter(|steps| !(1..=MAX_STEPS).contains(steps)) {
        None => Ok(()),
        Some(steps) => Err(PlanError::new("baseline.steps", format!("steps {} is out of range", grouped(steps)))
            .hint(format!("enter a whole number from 1 to {}", grouped(MAX_STEPS)))),
    }
}

fn check_spec(spec: &RunSpec) -> Result<(), PlanError> {
    let has_breakpoints = spec.overrides.contains_key(BREAKPOINTS);
    let refused = [
        (
            has_breakpoints,
            "overrides.breakpoints",
            "a run of an experiment does not pause",
            "leave out the breakpoints",
        ),
        (spec.parent.is_some(), "parent", "a fork cannot be the baseline", "give the specification of a new run"),
        (spec.project.is_some(), "project", "the project is that of the experiment", "set project beside baseline"),
        (spec.name.is_some(), "name", "the runs are named by the title of the experiment", "leave out the name"),
    ];
    match refused.into_iter().find(|(is_given, ..)| *is_given) {
        Some((_, field, message, hint)) => Err(PlanError::new(&format!("baseline.spec.{field}"), message).hint(hint)),
        None => Ok(()),
    }
}

impl Change {
    fn check(&self) -> Result<(), PlanError> {
        if *self == Self::default() {
            return Err(PlanError::new("change", "nothing is changed")
                .hint("give change.overrides, change.corpus, change.mix or change.tokenizer"));
        }
        if self.overrides.len() > MAX_OVERRIDES {
            return Err(PlanError::new(
                "change.overrides",
                format!("{} hyperparameters are given", self.overrides.len()),
            )
            .hint(format!("give at most {MAX_OVERRIDES}")));
        }
        for (path, value) in &self.overrides {
            let field = format!("change.overrides.{path}");
            let Some(row) = table::find(path).filter(|row| row.path != BREAKPOINTS) else {
                return Err(PlanError::new(&field, format!("{path:?} is not a hyperparameter of an experiment"))
                    .hint("enter a path of the table of hyperparameters, such as optimizer.learning_rate"));
            };
            row.check(value).map_err(|error| PlanError { field, ..error })?;
        }
        self.check_data()
    }

    fn check_data(&self) -> Result<(), PlanError> {
        if self.corpus.is_some() && self.mix.is_some() {
            return Err(PlanError::new("change.mix", "a dataset and a mix are both given")
                .hint("give one of change.corpus and change.mix"));
        }
        let datasets = self.mix.as_ref().map_or(1, |mix| mix.len());
        if !(1..=MAX_DATASETS).contains(&datasets) {
            return Err(PlanError::new("change.mix", format!("{datasets} datasets are given"))
                .hint(format!("give 1 to {MAX_DATASETS} datasets with their weights")));
        }
        Ok(())
    }
}

impl Metric {
    fn check(&self) -> Result<(), PlanError> {
        let Some(series) = &self.series else {
            return match self.higher_is_better {
                false => Ok(()),
                true => Err(PlanError::new("metric.higher_is_better", "a larger validation loss is not better")
                    .hint("name another series in metric.series, or leave it out")),
            };
        };
        if !is_series(series) {
            let shown: String = series.chars().take(NAME_CHARS).collect();
            return Err(PlanError::new("metric.series", format!("no run has a series {shown:?}"))
                .hint("enter a series that the training reports, such as loss.train"));
        }
        if series.starts_with(EVAL) {
            return Err(PlanError::new("metric.series", format!("{series} is computed after the run has ended"))
                .hint("enter a series that the training reports, such as loss.valid"));
        }
        Ok(())
    }
}

impl DecisionRule {
    fn check(&self) -> Result<(), PlanError> {
        let Self { effect, alpha, min_pairs, max_pairs } = *self;
        if !(effect > 0.0 && effect <= LARGEST) {
            return Err(PlanError::new("rule.effect", format!("the smallest effect {effect} is out of range"))
                .hint("enter a number above 0, in the unit of the metric"));
        }
        if !(0.001..=0.5).contains(&alpha) {
            return Err(PlanError::new("rule.alpha", format!("alpha {alpha} is out of range"))
                .hint("enter 0.001 to 0.5, such as 0.05"));
        }
        if !(FEWEST_PAIRS..=MOST_PAIRS).contains(&max_pairs) {
            return Err(PlanError::new("rule.max_pairs", format!("at most {max_pairs} pairs is out of range"))
                .hint(format!("enter {FEWEST_PAIRS} to {MOST_PAIRS}")));
        }
        if !(FEWEST_PAIRS..=max_pairs).contains(&min_pairs) {
            return Err(PlanError::new("rule.min_pairs", format!("at least {min_pairs} pairs is out of range"))
                .hint(format!("enter {FEWEST_PAIRS} to {max_pairs}: fewer pairs give no interval")));
        }
        Ok(())
    }
}

impl Prediction {
    fn check(&self, rule: &DecisionRule) -> Result<(), PlanError> {
        let Self { difference, probability } = *self;
        if !(difference.abs() >= rule.effect && difference.abs() <= LARGEST) {
            let message = format!("the predicted difference {difference} is not at least the effect {}", rule.effect);
            return Err(PlanError::new("prediction.difference", message)
                .hint("predict at least the smallest effect that counts, with a sign: variant minus baseline"));
        }
        if !(0.0..=1.0).contains(&probability) {
            return Err(PlanError::new(
                "prediction.probability",
                format!("the probability {probability} is out of range"),
            )
            .hint("enter 0 to 1: how sure you are that the verdict will be confirmed"));
        }
        Ok(())
    }
}

impl ExperimentBudget {
    fn check(&self, rule: &DecisionRule) -> Result<(), PlanError> {
        let Self { steps, device_hours, pairs } = *self;
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(PlanError::new("budget.steps", format!("at most {} steps is out of range", grouped(steps)))
                .hint(format!("enter a whole number from 1 to {}", grouped(MAX_STEPS))));
        }
        if !(device_hours > 0.0 && device_hours <= MOST_HOURS) {
            return Err(PlanError::new("budget.device_hours", format!("{device_hours} device hours are out of range"))
                .hint(format!("enter a number above 0, at most {}", grouped(MOST_HOURS as u64))));
        }
        match pairs.filter(|pairs| !(rule.min_pairs..=rule.max_pairs).contains(pairs)) {
            None => Ok(()),
            Some(pairs) => Err(PlanError::new("budget.pairs", format!("at most {pairs} pairs is out of range"))
                .hint(format!("enter {} to {}, the pairs of the decision rule", rule.min_pairs, rule.max_pairs))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::tests::spec;

    #[test]
    fn an_invalid_value_names_its_field() {
        assert_eq!(spec().check(), Ok(()));
        let check = |field: &str, change: fn(&mut ExperimentSpec)| {
            let mut spec = spec();
            change(&mut spec);
            assert_eq!(spec.check().unwrap_err().field, field);
        };
        check("title", |spec| spec.title = " ".into());
        check("title", |spec| spec.title = "a\nb".into());
        check("hypothesis", |spec| spec.hypothesis = "x".repeat(4_001));
        check("baseline", |spec| spec.baseline = Baseline::default());
        check("baseline", |spec| spec.baseline.run = Some("amber-fox".parse().unwrap()));
        check("baseline.steps", |spec| spec.baseline.steps = Some(10));
        check("baseline.spec.name", |spec| {
            spec.baseline.spec.as_mut().unwrap().name = Some("a".into());
        });
        check("change", |spec| spec.change = Change::default());
        check("change.overrides.mood", |spec| {
            spec.change.overrides.insert("mood".into(), 1.into());
        });
        check("change.overrides.optimizer.learning_rate", |spec| {
            spec.change.overrides.insert("optimizer.learning_rate".into(), (-1).into());
        });
        check("change.mix", |spec| {
            spec.change.corpus = Some("sums".parse().unwrap());
            spec.change.mix = Some(Default::default());
        });
        check("change.mix", |spec| spec.change.mix = Some(Default::default()));
        check("metric.higher_is_better", |spec| spec.metric.higher_is_better = true);
        check("metric.series", |spec| spec.metric.series = Some("eval/capitals/accuracy".into()));
        check("metric.series", |spec| spec.metric.series = Some("loss.unknown".into()));
        check("rule.effect", |spec| spec.rule.effect = 0.0);
        check("rule.alpha", |spec| spec.rule.alpha = f64::NAN);
        check("rule.max_pairs", |spec| spec.rule.max_pairs = 51);
        check("rule.min_pairs", |spec| spec.rule.min_pairs = 2);
        check("rule.min_pairs", |spec| spec.rule.min_pairs = 9);
        check("prediction.difference", |spec| spec.prediction.difference = 0.01);
        check("prediction.difference", |spec| spec.prediction.difference = f64::INFINITY);
        check("prediction.probability", |spec| spec.prediction.probability = 1.1);
        check("budget.steps", |spec| spec.budget.steps = 0);
        check("budget.device_hours", |spec| spec.budget.device_hours = 0.0);
        check("budget.pairs", |spec| spec.budget.pairs = Some(9));
    }
}
