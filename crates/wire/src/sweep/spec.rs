//! The specification of a sweep, as a person writes it in TOML or JSON, and its check.
//!
//! ```toml
//! name = "learning rate and width"
//! sampler = "tpe"
//! trials = 40
//! at_once = 2
//!
//! [base]
//! preset = "tiny"
//! corpus = "tales"
//! steps = 500
//!
//! [space.parameters]
//! "optimizer.learning_rate" = { log = [1e-4, 1e-2] }
//! "model.d_model" = { choices = [32, 64] }
//!
//! [stopping]
//! rule = "asha"
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sampler::SamplerKind;
use super::space::{IMPORTED, MAX_SEEDS, SearchSpace, Space, Values, WEIGHT};
use super::stopping::StoppingRule;
use crate::error::PlanError;
use crate::id::CorpusId;
use crate::number::grouped;
use crate::run::spec::RunSpec;
use crate::series::name;
use crate::task::TaskName;

/// Most trials of a sweep.
pub const MAX_TRIALS: u64 = 2_000;
/// Most trials that train or wait at a time.
pub const MAX_AT_ONCE: u32 = 64;
/// Most combinations of a grid, before conditions and constraints remove some.
pub const MAX_COMBINATIONS: u64 = 10_000;
/// Most constraints of a space.
pub const MAX_CONSTRAINTS: usize = 100;
/// Longest specification as JSON, bytes.
pub const MAX_SPEC_BYTES: usize = 100_000;
/// Longest choice as JSON, bytes.
const MAX_CHOICE_BYTES: usize = 500;
/// Longest name of a sweep and of a metric, characters.
const MAX_NAME_CHARS: usize = 60;
const MAX_METRIC_CHARS: usize = 200;

/// The specification of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// Name for people, 1 to 60 characters. The run of trial 3 is named `NAME 3`.
    pub name: String,
    /// The run of each trial, apart from the values of its point: preset, datasets, steps, device or pool, project.
    #[serde(default)]
    pub base: RunSpec,
    pub space: Space,
    #[serde(default)]
    pub sampler: SamplerKind,
    /// Seed of the sampler; 1 by default.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// Trials to train, 1 to 2000; by default all of the grid. Samplers other than the grid need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<u64>,
    /// Each point is trained with this many seeds, from that of the base on; 1 by default. `space.seeds` names the seeds instead.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub seeds_per_point: u32,
    /// Trials that train or wait at a time, 1 to 64; 1 by default. At most one of them waits in the queue.
    #[serde(default = "one")]
    pub at_once: u32,
    #[serde(default)]
    pub metric: Metric,
    /// The rule that stops trials early; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StoppingRule>,
    /// Whether a trial is stopped when a rule raises an alert about its run.
    #[serde(default)]
    pub stop_on_alerts: bool,
    /// Priority of the runs of the trials, -1000 to 1000; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The study that the sweep was imported from; leave it out of a sweep to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
}

/// The series by which trials are compared. The value of a trial is its last one.
///
/// JSON: `{"name": "eval/capitals/accuracy", "direction": "higher"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Metric {
    /// Name of a series; `loss.valid` by default. The checkpoints of a trial are scored on the task of `eval/TASK/METRIC`.
    pub name: String,
    /// Whether lower or higher values are better.
    pub direction: Direction,
}

/// Whether lower or higher values of a metric are better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    Lower,
    Higher,
}

impl Direction {
    /// The value as samplers and stopping rules read it: a lower one is better. The same conversion leads back.
    pub fn as_lower_is_better(self, value: f64) -> f64 {
        match self {
            Self::Lower => value,
            Self::Higher => -value,
        }
    }

    /// The better of two values.
    pub fn better(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Lower => a.min(b),
            Self::Higher => a.max(b),
        }
    }
}

impl Default for Metric {
    fn default() -> Self {
        Self { name: name::VALID.to_owned(), direction: Direction::Lower }
    }
}

impl Metric {
    /// The task of a metric `eval/TASK/METRIC`.
    ///
    /// # Errors
    /// The name begins with `eval/` and has another form.
    pub fn task(&self) -> Result<Option<TaskName>, PlanError> {
        let Some(rest) = self.name.strip_prefix("eval/") else { return Ok(None) };
        let parts = rest.split_once('/').filter(|(_, metric)| !metric.is_empty());
        match parts.and_then(|(task, _)| task.parse().ok()) {
            Some(task) => Ok(Some(task)),
            None => {
                let message = format!("{} is not the metric of a task", self.name);
                Err(PlanError::new("metric.name", message).hint("enter eval/TASK/METRIC, as in eval/capitals/accuracy"))
            }
        }
    }
}

fn first_seed() -> u64 {
    1
}

fn one() -> u32 {
    1
}

fn is_one(value: &u32) -> bool {
    *value == 1
}

impl SweepSpec {
    /// Checks everything that needs neither the datasets nor the devices of the lab, without expanding a grid. Returns the space as samplers
    /// read it, with the seeds of [`Self::seeds_per_point`].
    ///
    /// # Errors
    /// The first field that is invalid.
    pub fn check(&self) -> Result<SearchSpace, PlanError> {
        self.check_size()?;
        self.check_base()?;
        within("seeds_per_point", u64::from(self.seeds_per_point), MAX_SEEDS as u64)?;
        within("at_once", u64::from(self.at_once), u64::from(MAX_AT_ONCE))?;
        self.check_metric()?;
        if let Some(rule) = &self.stopping {
            rule.check().map_err(|error| inside("stopping", error))?;
        }
        let mut space = self.space.check().map_err(|error| inside("space", error))?;
        if let (None, Some(one)) =
            (&self.imported_from, space.dimensions.iter().find(|one| one.name.starts_with(IMPORTED)))
        {
            let message = format!("{} is a parameter of an imported study", one.name);
            return Err(PlanError::new(&format!("space.parameters.{}", one.name), message)
                .hint("enter the path of a hyperparameter, such as optimizer.learning_rate"));
        }
        if self.sampler == SamplerKind::Dirichlet {
            self.check_simplex(&space)?;
        }
        if self.seeds_per_point > 1 {
            if !space.seeds.is_empty() {
                return Err(PlanError::new("seeds_per_point", "seeds_per_point and space.seeds are both given")
                    .hint("give one of them"));
            }
            let first = self.base.seed.unwrap_or(1);
            space.seeds = (0..u64::from(self.seeds_per_point)).map(|offset| first.wrapping_add(offset)).collect();
        }
        self.check_trials(&space)?;
        Ok(space)
    }

    /// The number of trials: those of the specification, at most those of the grid. A grid has at most [`MAX_COMBINATIONS`] combinations, which
    /// this expands.
    ///
    /// # Errors
    /// The grid has no trial that satisfies the constraints, or more than a sweep trains.
    pub fn planned_trials(&self, space: &SearchSpace) -> Result<u64, PlanError> {
        if self.sampler != SamplerKind::Grid {
            return Ok(self.trials.unwrap_or(1));
        }
        let all = space.grid_trials().map_err(|error| inside("space", error))?;
        match self.trials.map_or(all, |trials| trials.min(all)) {
            0 => Err(PlanError::new("space.constraints", "no combination of the grid satisfies the constraints")
                .hint("relax the constraints, or give more points")),
            trials if trials > MAX_TRIALS => {
                let message = format!("the grid has {} trials", grouped(trials));
                Err(PlanError::new("trials", message)
                    .hint(format!("enter at most {} trials, or give fewer points", grouped(MAX_TRIALS))))
            }
            trials => Ok(trials),
        }
    }

    fn check_size(&self) -> Result<(), PlanError> {
        let chars = self.name.chars().count();
        if self.name.trim().is_empty() || chars > MAX_NAME_CHARS || self.name.chars().any(char::is_control) {
            return Err(PlanError::new("name", format!("a name of {chars} characters cannot name a sweep"))
                .hint(format!("enter 1 to {MAX_NAME_CHARS} characters")));
        }
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_SPEC_BYTES {
            let message = format!("the specification has {} bytes", grouped(bytes as u64));
            return Err(PlanError::new("space", message)
                .hint(format!("give fewer or shorter values: at most {} bytes", grouped(MAX_SPEC_BYTES as u64))));
        }
        if self.space.constraints.len() > MAX_CONSTRAINTS {
            let message = format!("the space has {} constraints", self.space.constraints.len());
            return Err(PlanError::new("space.constraints", message)
                .hint(format!("give at most {MAX_CONSTRAINTS} constraints")));
        }
        let length = |value: &Value| serde_json::to_vec(value).map_or(usize::MAX, |text| text.len());
        let is_long = |value: &Value| length(value) > MAX_CHOICE_BYTES;
        for (name, parameter) in &self.space.parameters {
            let of_conditions = parameter.when.values().flatten();
            if parameter.choices.iter().flatten().chain(of_conditions).any(is_long) {
                let message = format!("a value of {name} has more than {MAX_CHOICE_BYTES} bytes");
                return Err(PlanError::new(&format!("space.parameters.{name}"), message).hint("give shorter values"));
            }
        }
        Ok(())
    }

    fn check_base(&self) -> Result<(), PlanError> {
        let base = &self.base;
        let refused = [
            (base.parent.is_some(), "parent", "the trials of a sweep cannot be forks", "give a preset and a dataset"),
            (base.name.is_some(), "name", "the runs of trials are named after the sweep", "give name beside base"),
            (
                base.priority.is_some(),
                "priority",
                "the runs of trials have the priority of the sweep",
                "give priority beside base",
            ),
            (
                base.overrides.contains_key("breakpoints"),
                "overrides.breakpoints",
                "a breakpoint would pause each trial",
                "leave the breakpoints out",
            ),
        ];
        match refused.into_iter().find(|(is_given, ..)| *is_given) {
            Some((_, field, message, hint)) => Err(PlanError::new(&format!("base.{field}"), message).hint(hint)),
            None => Ok(()),
        }
    }

    /// The weights of the Dirichlet sampler sum to 1, if it draws those of all datasets.
    fn check_simplex(&self, space: &SearchSpace) -> Result<(), PlanError> {
        let drawn: Vec<_> = space.dimensions.iter().filter(|one| one.name.starts_with(WEIGHT)).collect();
        if drawn.len() < 2 {
            let message =
                format!("the Dirichlet sampler draws the weights of 2 or more datasets, not of {}", drawn.len());
            return Err(
                PlanError::new("sampler", message).hint("add parameters such as \"mix.tales\" = { float = [0, 1] }")
            );
        }
        let whole = Values::Numbers { low: 0.0, high: 1.0, is_log: false };
        if let Some(one) = drawn.iter().find(|one| one.values != whole || !one.when.is_empty()) {
            let message = format!("the Dirichlet sampler draws {} from 0 to 1, without a condition", one.name);
            return Err(PlanError::new(&format!("space.parameters.{}", one.name), message).hint("give float = [0, 1]"));
        }
        let is_fixed = |id: &&CorpusId| !drawn.iter().any(|one| one.name[WEIGHT.len()..] == *id.as_str());
        let of_base = self.base.corpus.iter().chain(self.base.mix.iter().flat_map(|mix| mix.keys()));
        match of_base.filter(|id| is_fixed(id)).map(CorpusId::as_str).next() {
            Some(id) => {
                Err(PlanError::new("base.mix", format!("the weight of {id} is fixed, so the weights do not sum to 1"))
                    .hint(format!(
                        "add \"mix.{id}\" = {{ float = [0, 1] }} to the parameters, or leave {id} out of the base"
                    )))
            }
            None => Ok(()),
        }
    }

    fn check_metric(&self) -> Result<(), PlanError> {
        let name = &self.metric.name;
        if name.is_empty() || name.chars().count() > MAX_METRIC_CHARS || name.chars().any(char::is_control) {
            return Err(PlanError::new("metric.name", "this cannot name a series")
                .hint("enter a series, such as loss.valid or eval/capitals/accuracy"));
        }
        self.metric.task().map(drop)
    }

    fn check_trials(&self, space: &SearchSpace) -> Result<(), PlanError> {
        if let Some(trials) = self.trials {
            within("trials", trials, MAX_TRIALS)?;
        }
        let combinations = space.combinations();
        if self.sampler != SamplerKind::Grid {
            return match self.trials {
                Some(_) => Ok(()),
                None => {
                    Err(PlanError::new("trials", format!("the sampler {} does not end by itself", self.sampler.word()))
                        .hint("give the number of trials, such as trials = 40"))
                }
            };
        }
        if combinations > MAX_COMBINATIONS {
            let message = format!("the grid has {} combinations", grouped(combinations));
            let hint =
                format!("give fewer points, a larger step, or another sampler: at most {}", grouped(MAX_COMBINATIONS));
            return Err(PlanError::new("space.parameters", message).hint(hint));
        }
        Ok(())
    }
}

fn within(field: &str, value: u64, most: u64) -> Result<(), PlanError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(PlanError::new(field, format!("{field} {} is out of range", grouped(value)))
        .hint(format!("enter 1 to {}", grouped(most))))
}

/// The error of a part, with the path of its field in the whole.
fn inside(part: &str, error: PlanError) -> PlanError {
    PlanError { field: format!("{part}.{}", error.field), ..error }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(change: Value) -> SweepSpec {
        let mut whole = json!({
            "name": "rates", "trials": 10, "base": { "corpus": "tales" },
            "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
        });
        whole.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_short_spec_is_complete() {
        let spec = spec(json!({}));
        assert_eq!((spec.sampler, spec.seed, spec.at_once, spec.seeds_per_point), (SamplerKind::Tpe, 1, 1, 1));
        assert_eq!((spec.metric.name.as_str(), spec.metric.direction), ("loss.valid", Direction::Lower));
        let space = spec.check().unwrap();
        assert_eq!(spec.planned_trials(&space), Ok(10));
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<SweepSpec>(&text).unwrap(), spec);
        assert!(serde_json::from_str::<SweepSpec>(&text.replace("at_once", "at_onc")).is_err());
    }

    #[test]
    fn an_invalid_spec_names_its_field() {
        let long = "x".repeat(501);
        for (change, field) in [
            (json!({ "name": " " }), "name"),
            (json!({ "name": "x".repeat(61) }), "name"),
            (json!({ "trials": 0 }), "trials"),
            (json!({ "trials": 2001 }), "trials"),
            (json!({ "trials": null }), "trials"),
            (json!({ "at_once": 0 }), "at_once"),
            (json!({ "at_once": 65 }), "at_once"),
            (json!({ "seeds_per_point": 0 }), "seeds_per_point"),
            (json!({ "metric": { "name": "" } }), "metric.name"),
            (json!({ "metric": { "name": "eval/capitals" } }), "metric.name"),
            (json!({ "metric": { "name": "eval/Two Words/accuracy" } }), "metric.name"),
            (json!({ "stopping": { "rule": "asha", "eta": 1 } }), "stopping.eta"),
            (json!({ "base": { "name": "a" } }), "base.name"),
            (json!({ "base": { "priority": 1 } }), "base.priority"),
            (json!({ "base": { "parent": { "run": "amber-fox" } } }), "base.parent"),
            (json!({ "base": { "overrides": { "breakpoints": [1] } } }), "base.overrides.breakpoints"),
            (json!({ "space": { "parameters": {} } }), "space.parameters"),
            (json!({ "sampler": "dirichlet" }), "sampler"),
            (
                json!({ "sampler": "dirichlet", "space": { "parameters": { "mix.sums": { "float": [0, 1] }, "mix.tales": { "float": [0, 2] } } } }),
                "space.parameters.mix.tales",
            ),
            (
                json!({ "sampler": "dirichlet", "space": { "parameters": { "mix.sums": { "float": [0, 1] }, "mix.copy": { "float": [0, 1] } } } }),
                "base.mix",
            ),
            (
                json!({ "space": { "parameters": { "imported.units": { "int": [1, 9] } } } }),
                "space.parameters.imported.units",
            ),
            (json!({ "space": { "parameters": { "steps": { "choices": [long] } } } }), "space.parameters.steps"),
            (
                json!({ "space": { "parameters": { "steps": { "int": [1, 9] } }, "constraints": vec!["steps < 9"; 101] } }),
                "space.constraints",
            ),
        ] {
            assert_eq!(spec(change.clone()).check().unwrap_err().field, field, "{change}");
        }
    }

    #[test]
    fn a_grid_is_counted_before_it_is_expanded() {
        let names = ["optimizer.learning_rate", "optimizer.weight_decay", "optimizer.beta2", "optimizer.grad_clip"];
        let parameters: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({ "float": [0.5, 0.9], "points": 100 }))).collect();
        let refused = spec(json!({ "sampler": "grid", "space": { "parameters": parameters } })).check().unwrap_err();
        assert_eq!((refused.field.as_str(), refused.message.contains("combinations")), ("space.parameters", true));
        let small = json!({ "sampler": "grid", "trials": null, "seeds_per_point": 2, "base": { "seed": 7 },
            "space": { "parameters": { "steps": { "choices": [10, 20, 30] } }, "constraints": ["steps < 30"] } });
        let small = spec(small);
        let space = small.check().unwrap();
        assert_eq!((space.seeds.as_slice(), small.planned_trials(&space)), ([7, 8].as_slice(), Ok(4)));
        let none = spec(json!({ "sampler": "grid", "trials": null,
            "space": { "parameters": { "steps": { "choices": [10, 20] } }, "constraints": ["steps < 5"] } }));
        let space = none.check().unwrap();
        assert_eq!(none.planned_trials(&space).unwrap_err().field, "space.constraints");
    }

    #[test]
    fn the_task_of_a_metric() {
        let task = |name: &str| Metric { name: name.into(), direction: Direction::Higher }.task();
        assert_eq!(task("eval/capitals/accuracy").unwrap(), Some("capitals".parse().unwrap()));
        assert_eq!(task("loss.valid").unwrap(), None);
        assert_eq!(Direction::Higher.better(1.0, 2.0), 2.0);
        assert_eq!(Direction::Higher.as_lower_is_better(Direction::Higher.as_lower_is_better(3.0)), 3.0);
    }
}
