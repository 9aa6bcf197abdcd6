//! Checks the values of goals, proposals and suggestions. The server checks whether the runs can be planned.

use serde_json::Value;

use super::record::NewLoopProposal;
use super::{LoopGoal, LoopRule, LoopScreening, UNIT};
use crate::error::PlanError;
use crate::experiment::check::BREAKPOINTS;
use crate::experiment::record::REASON_CHARS;
use crate::number::grouped;
use crate::sweep::space::{Parameter, SearchSpace, Space, Target, target};

/// Longest title, characters: the sweeps of the rounds add their number to it.
pub const TITLE_CHARS: usize = 40;
/// Maximum device hours of a loop.
const MOST_HOURS: f64 = 100_000.0;
/// The unit of hyperparameters that are numbers of steps.
const STEPS: &str = "steps";

impl LoopGoal {
    /// Checks all values that do not depend on the lab. Returns the search space.
    ///
    /// # Errors
    /// The first field that is invalid.
    pub fn check(&self) -> Result<SearchSpace, PlanError> {
        let count = self.title.chars().count();
        if self.title.trim().is_empty() || count > TITLE_CHARS || self.title.chars().any(char::is_control) {
            return Err(PlanError::new("title", format!("the title of {count} characters is not valid"))
                .hint(format!("enter 1 to {TITLE_CHARS} characters on one line")));
        }
        self.check_base()?;
        let hours = self.budget.device_hours;
        if !(hours > 0.0 && hours <= MOST_HOURS) {
            return Err(PlanError::new("budget.device_hours", format!("{hours} device hours are out of range"))
                .hint(format!("enter a number above 0, at most {}", grouped(MOST_HOURS as u64))));
        }
        self.screening.check()?;
        self.rule.check()?;
        self.parameters.iter().try_for_each(|(path, parameter)| check_parameter(path, parameter))?;
        self.space()
    }

    /// The search space.
    ///
    /// # Errors
    /// A range that is invalid.
    pub fn space(&self) -> Result<SearchSpace, PlanError> {
        Space { parameters: self.parameters.clone(), ..Space::default() }.check()
    }

    fn check_base(&self) -> Result<(), PlanError> {
        let base = &self.base;
        let refused = [
            (base.parent.is_some(), "parent", "a fork cannot be the base", "give a preset and a dataset"),
            (base.project.is_some(), "project", "the project is that of the loop", "set project outside of base"),
            (base.name.is_some(), "name", "the runs are named by the title of the loop", "leave out the name"),
            (base.priority.is_some(), "priority", "the runs of a loop have the default priority", "leave it out"),
            (!base.tasks.is_empty(), "tasks", "the runs of a loop are not scored on tasks", "leave out the tasks"),
            (
                base.overrides.contains_key(BREAKPOINTS),
                "overrides.breakpoints",
                "the runs of a loop cannot have breakpoints",
                "leave out the breakpoints",
            ),
        ];
        match refused.into_iter().find(|(is_given, ..)| *is_given) {
            Some((_, field, message, hint)) => Err(PlanError::new(&format!("base.{field}"), message).hint(hint)),
            None => Ok(()),
        }
    }

    /// A value of a hyperparameter as it is proposed: [`Values::rounded`]. One that the goal does not permit stays as it is, and
    /// [`Self::check_value`] refuses it.
    ///
    /// [`Values::rounded`]: crate::sweep::space::Values::rounded
    pub fn rounded(&self, parameter: &str, value: &Value) -> Value {
        let space = self.space().ok();
        let dimension = space.as_ref().and_then(|space| space.dimensions.iter().find(|one| one.name == parameter));
        dimension.and_then(|dimension| dimension.values.rounded(value)).unwrap_or_else(|| value.clone())
    }

    /// A proposal of an agent with rounded values.
    pub fn rounded_proposal(&self, new: &NewLoopProposal) -> NewLoopProposal {
        let values = new.values.iter().map(|value| self.rounded(&new.parameter, value)).collect();
        NewLoopProposal { values, ..new.clone() }
    }

    /// Checks a value against the range of a hyperparameter of the goal; `field` names the place of the value.
    ///
    /// # Errors
    /// The goal does not list the hyperparameter, or the value is outside its range.
    pub fn check_value(&self, parameter: &str, value: &Value, field: &str) -> Result<(), PlanError> {
        let space = self.space()?;
        let Some(dimension) = space.dimensions.iter().find(|one| one.name == parameter) else {
            let known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
            return Err(PlanError::new("parameter", format!("{parameter:?} is not a hyperparameter of the goal"))
                .hint(format!("choose one of {}", known.join(", "))));
        };
        match dimension.values.contains(value) {
            true => Ok(()),
            false => Err(PlanError::new(field, format!("{value} is outside the range of {parameter} in the goal"))
                .hint("enter a value within the range")),
        }
    }

    /// Checks a proposal of an agent.
    ///
    /// # Errors
    /// The first field that is invalid.
    pub fn check_proposal(&self, new: &NewLoopProposal) -> Result<(), PlanError> {
        let most = self.screening.values as usize;
        if new.values.is_empty() || new.values.len() > most {
            return Err(PlanError::new("values", format!("{} values are given", new.values.len()))
                .hint(format!("give 1 to {most} values, as many as the goal screens in a round")));
        }
        let is_repeated = |(at, value): (usize, &Value)| new.values[..at].contains(value);
        if new.values.iter().enumerate().any(is_repeated) {
            return Err(PlanError::new("values", "a value occurs twice").hint("give each value once"));
        }
        new.values.iter().try_for_each(|value| self.check_value(&new.parameter, value, "values"))?;
        let effect = self.rule.effect;
        if !(new.prediction.difference <= -effect && new.prediction.difference.is_finite()) {
            let message = format!("the predicted difference {} is not an improvement", new.prediction.difference);
            return Err(PlanError::new("prediction.difference", message)
                .hint(format!("enter −{effect} {UNIT} or less: the smallest effect that counts, as a difference")));
        }
        if !(0.0..=1.0).contains(&new.prediction.probability) {
            let message = format!("the probability {} is out of range", new.prediction.probability);
            return Err(PlanError::new("prediction.probability", message).hint("enter 0 to 1"));
        }
        check_reason(&new.reason)
    }
}

/// Checks the reason of a stop, a veto or a proposal.
///
/// # Errors
/// It is empty, too long, or has control characters.
pub fn check_reason(reason: &str) -> Result<(), PlanError> {
    let count = reason.chars().count();
    match !reason.trim().is_empty() && count <= REASON_CHARS && !reason.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(PlanError::new("reason", format!("a reason of {count} characters is not valid"))
            .hint(format!("enter 1 to {REASON_CHARS} characters on one line"))),
    }
}

/// Refuses hyperparameters in steps: a screening trial has fewer steps, so the same value would have another effect there.
fn check_parameter(path: &str, parameter: &Parameter) -> Result<(), PlanError> {
    let refused = |message: String, hint: &str| Err(PlanError::new(&format!("parameters.{path}"), message).hint(hint));
    match target(path)? {
        _ if !parameter.when.is_empty() => {
            refused("a parameter of a research loop cannot have a condition".into(), "leave out when, or start a sweep")
        }
        Target::Hyperparameter(row) if row.unit == STEPS => refused(
            format!("{path} is a number of steps, and screening trials have fewer steps"),
            "leave it out; warm-up and evaluation interval are scaled to the steps of a trial",
        ),
        Target::Hyperparameter(_) => Ok(()),
        _ => refused(
            format!("{path} is not a hyperparameter"),
            "name paths of the table of hyperparameters, such as optimizer.learning_rate",
        ),
    }
}

impl LoopScreening {
    fn check(&self) -> Result<(), PlanError> {
        if !(0.05..=0.9).contains(&self.fraction) {
            return Err(PlanError::new(
                "screening.fraction",
                format!("the fraction {} is out of range", self.fraction),
            )
            .hint("enter 0.05 to 0.9"));
        }
        within("screening.seeds", self.seeds, 2, 20)?;
        within("screening.values", self.values, 1, 16)?;
        within("screening.at_once", self.at_once, 1, 64)?;
        let below = |error: PlanError| PlanError { field: format!("screening.stopping.{}", error.field), ..error };
        self.stopping.check().map_err(below)
    }
}

impl LoopRule {
    fn check(&self) -> Result<(), PlanError> {
        if !(self.effect > 0.0 && self.effect <= 100.0) {
            return Err(PlanError::new("rule.effect", format!("the smallest effect {} is out of range", self.effect))
                .hint(format!("enter a number above 0, in {UNIT}")));
        }
        if !(0.01..=0.5).contains(&self.alpha) {
            return Err(PlanError::new("rule.alpha", format!("alpha {} is out of range", self.alpha))
                .hint("enter 0.01 to 0.5, such as 0.05"));
        }
        within("rule.tests", self.tests, 1, 40)?;
        within("rule.max_pairs", self.max_pairs, 4, 50)?;
        within("rule.confirmation_pairs", self.confirmation_pairs, 3, 50)
    }
}

fn within(field: &str, value: u32, low: u32, high: u32) -> Result<(), PlanError> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => {
            Err(PlanError::new(field, format!("{field} {value} is out of range"))
                .hint(format!("enter {low} to {high}")))
        }
    }
}

/// Whether two values are equal. Numbers may differ by the rounding of writing them as JSON and reading them again.
pub fn is_same_value(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-12 * one.abs().max(other.abs()),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal() -> LoopGoal {
        serde_json::from_str(
            r#"{"title":"Tune","base":{"preset":"tiny","corpus":"tales","steps":300},
            "parameters":{"optimizer.learning_rate":{"log":[1e-4,1e-1]},"batch.size":{"choices":[4,8]}},
            "budget":{"device_hours":0.5}}"#,
        )
        .unwrap()
    }

    #[test]
    fn an_invalid_value_names_its_field() {
        assert_eq!(goal().check().unwrap().dimensions.len(), 2);
        let check = |field: &str, change: fn(&mut LoopGoal)| {
            let mut goal = goal();
            change(&mut goal);
            assert_eq!(goal.check().unwrap_err().field, field);
        };
        check("title", |goal| goal.title = "x".repeat(41));
        check("base.name", |goal| goal.base.name = Some("a".into()));
        check("budget.device_hours", |goal| goal.budget.device_hours = 0.0);
        check("screening.fraction", |goal| goal.screening.fraction = 1.0);
        check("screening.seeds", |goal| goal.screening.seeds = 1);
        check("rule.effect", |goal| goal.rule.effect = 0.0);
        check("rule.max_pairs", |goal| goal.rule.max_pairs = 3);
        check("parameters.schedule.warmup_steps", |goal| {
            let range = Parameter { int: Some([1, 10]), ..Parameter::default() };
            goal.parameters.insert("schedule.warmup_steps".into(), range);
        });
        check("parameters.steps", |goal| {
            let range = Parameter { int: Some([1, 10]), ..Parameter::default() };
            goal.parameters.insert("steps".into(), range);
        });
        check("parameters", |goal| goal.parameters.clear());
    }

    #[test]
    fn a_proposal_stays_within_the_goal() {
        let new = |text: &str| serde_json::from_str::<NewLoopProposal>(text).unwrap();
        let valid = r#"{"parameter":"batch.size","values":[4],"prediction":{"difference":-0.02,"probability":0.5},"reason":"Smaller batches."}"#;
        assert_eq!(goal().check_proposal(&new(valid)), Ok(()));
        for (from, to, field) in [
            ("batch.size", "model.layers", "parameter"),
            ("[4]", "[16]", "values"),
            ("[4]", "[]", "values"),
            ("[4]", "[4,4]", "values"),
            ("[4]", "[4.5]", "values"),
            ("-0.02", "0.02", "prediction.difference"),
            ("0.5", "1.5", "prediction.probability"),
            ("Smaller batches.", "", "reason"),
        ] {
            assert_eq!(goal().check_proposal(&new(&valid.replace(from, to))).unwrap_err().field, field, "{to}");
        }
    }
}
