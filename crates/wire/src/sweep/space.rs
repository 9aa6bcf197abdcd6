//! The search space of a sweep: which hyperparameters vary, over which values, and under which conditions.
//!
//! - here: [`Space`], as a person writes it in TOML or JSON, and its check; [`search`]: the checked space that samplers read;
//! - [`values`]: the values of one parameter, their place between 0 and 1, and their grid; [`constraint`]: conditions on a whole point;
//! - [`point`]: the values of one trial, and the specification of its run.
//!
//! ```toml
//! seeds = [1, 2, 3]
//! constraints = ["model.d_ff <= 4 * model.d_model"]
//!
//! [parameters]
//! "optimizer.learning_rate" = { log = [1e-4, 1e-2] }
//! "optimizer.weight_decay" = { float = [0, 0.2], step = 0.05 }
//! "batch.size" = { log_int = [8, 64] }
//! "model.d_model" = { choices = [64, 128] }
//! "model.d_ff" = { int = [128, 512], step = 128 }
//! "model.positions" = { choices = ["learned", "rotary"] }
//! "model.rotary_base" = { log = [1e3, 1e6], when = { "model.positions" = ["rotary"] } }
//! "mix.tales" = { float = [0, 1] }
//! ```

pub mod constraint;
pub mod point;
pub mod search;
pub mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::PlanError;
use crate::hyperparameters::table;
use crate::id::CorpusId;
use crate::number::grouped;
use crate::run::plan::MAX_STEPS;
use crate::run::preset::DEPTHS;

pub use point::Point;
pub use search::{Dimension, SearchSpace};
pub use values::Values;

/// Most parameters of a space.
pub const MAX_PARAMETERS: usize = 64;
/// Most seeds of a configuration.
pub const MAX_SEEDS: usize = 100;
/// Most choices of a parameter, and most points of its grid.
pub const MAX_CHOICES: usize = 1_000;

/// Beginning of the name of the weight of a dataset.
pub const WEIGHT: &str = "mix.";
/// Beginning of the name of a parameter of an imported study that is not a hyperparameter of this program.
pub const IMPORTED: &str = "imported.";
/// Longest name of a parameter of an imported study, characters.
const MAX_IMPORTED_CHARS: usize = 200;

/// A search space as a person writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Parameters by name: a path of the table of hyperparameters, `mix.NAME` for the weight of a dataset, `steps` or `depth`.
    pub parameters: BTreeMap<String, Parameter>,
    /// Comparisons of two expressions over parameters that hold for every trial: `"batch.size * batch.accumulation <= 64"`. One that names
    /// a parameter without a value in a trial does not apply to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// Each configuration is trained once with each of these seeds. Without any, each trial has the seed of the base specification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
}

/// The values of a parameter: exactly one of `float`, `log`, `int`, `log_int` and `choices`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Parameter {
    /// Numbers between two, both included, uniformly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float: Option<[f64; 2]>,
    /// Numbers between two above 0, both included, uniform in their logarithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<[f64; 2]>,
    /// Integers between two, both included, uniformly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int: Option<[u64; 2]>,
    /// Integers between two above 0, both included, uniform in their logarithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_int: Option<[u64; 2]>,
    /// These values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<Value>>,
    /// Distance of the values of `float` and `int`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Values in a grid, from the first to the last of the range; 5 by default for numbers without a step, all for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<usize>,
    /// The parameter varies where each of these parameters has one of its values, and has the value of the base specification elsewhere.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Vec<Value>>,
}

/// What a parameter of a space sets.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A row of the table.
    Hyperparameter(&'static table::Hyperparameter),
    /// The weight of a dataset of the mix.
    Weight(CorpusId),
    /// The optimizer steps.
    Steps,
    /// The layers of the preset `depth`.
    Depth,
    /// Nothing: a parameter of an imported study.
    Imported,
}

/// What the parameter of this name sets.
///
/// # Errors
/// There is no such parameter, or it cannot vary.
pub fn target(name: &str) -> Result<Target, PlanError> {
    let unknown = |hint: &str| Err(PlanError::new(&field(name), format!("{name} is not a parameter")).hint(hint));
    match name {
        "steps" => Ok(Target::Steps),
        "depth" => Ok(Target::Depth),
        "seed" => unknown("give seeds = [1, 2, 3] beside the parameters"),
        "breakpoints" => unknown("breakpoints pause a run; a trial runs through"),
        _ if name.strip_prefix(IMPORTED).is_some_and(is_imported_name) => Ok(Target::Imported),
        _ => match (table::find(name), name.strip_prefix(WEIGHT).map(str::parse)) {
            (Some(row), _) => Ok(Target::Hyperparameter(row)),
            (None, Some(Ok(corpus))) => Ok(Target::Weight(corpus)),
            (None, Some(Err(_))) => unknown("write the id of a dataset after mix., as in mix.tales"),
            (None, None) => unknown(
                "enter the path of a hyperparameter, such as optimizer.learning_rate, mix.DATASET, steps or depth",
            ),
        },
    }
}

fn is_imported_name(name: &str) -> bool {
    (1..=MAX_IMPORTED_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

impl Target {
    /// Checks a value of the parameter against what it accepts.
    ///
    /// # Errors
    /// A value of another kind or out of range.
    fn check(&self, name: &str, value: &Value) -> Result<(), PlanError> {
        let whole = |first: u64, last: u64| {
            let is_valid = value.as_u64().is_some_and(|value| (first..=last).contains(&value));
            (is_valid, format!("a whole number from {first} to {}", grouped(last)))
        };
        let (is_valid, expected) = match self {
            Self::Hyperparameter(row) => {
                return row.check(value).map_err(|error| PlanError { field: field(name), ..error });
            }
            Self::Weight(_) => {
                let is_valid = value.as_f64().is_some_and(|weight| weight >= 0.0 && weight.is_finite());
                (is_valid, "a number, 0 or more".to_owned())
            }
            Self::Steps => whole(1, MAX_STEPS),
            Self::Depth => whole((*DEPTHS.start()).into(), (*DEPTHS.end()).into()),
            Self::Imported => return Ok(()),
        };
        let error = || PlanError::new(&field(name), format!("{name} {value} is out of range"));
        if is_valid { Ok(()) } else { Err(error().hint(format!("enter {expected}"))) }
    }

    /// Whether its values are integers.
    fn is_integer(&self) -> bool {
        match self {
            Self::Hyperparameter(row) => matches!(row.values, table::Values::Integer { .. }),
            Self::Weight(_) | Self::Imported => false,
            Self::Steps | Self::Depth => true,
        }
    }
}

impl Space {
    /// The space as samplers read it.
    ///
    /// # Errors
    /// An unknown parameter, a range that is empty or that the hyperparameter does not accept, a condition on a parameter that is not in the
    /// space, that depends on itself or that lists a value which its parameter never has, a constraint that cannot be parsed, seeds that occur
    /// twice.
    pub fn check(&self) -> Result<SearchSpace, PlanError> {
        SearchSpace::new(self)
    }
}

/// The field of a parameter in an error.
pub(super) fn field(name: &str) -> String {
    format!("parameters.{name}")
}
