//! The values of one trial.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Target, target};
use crate::error::PlanError;
use crate::run::spec::RunSpec;

/// A point of a search space: values by parameter, and the seed. A parameter whose condition does not hold has no value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Point {
    pub values: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Point {
    /// The specification of a trial: the base with the values of this point.
    ///
    /// # Errors
    /// A name that is no parameter; a weight of a dataset that is not a number; a parameter of an imported study.
    pub fn spec(&self, base: &RunSpec) -> Result<RunSpec, PlanError> {
        let mut spec = base.clone();
        for (name, value) in &self.values {
            match target(name)? {
                Target::Hyperparameter(row) => {
                    spec.overrides.insert(row.path.to_owned(), value.clone());
                }
                Target::Weight(corpus) => {
                    let weight = value
                        .as_f64()
                        .ok_or_else(|| PlanError::new(name, format!("weight {value} is not a number")))?;
                    let single = spec.corpus.take().map(|corpus| (corpus, 1.0));
                    spec.mix.get_or_insert_default().extend(single);
                    spec.mix.get_or_insert_default().insert(corpus, weight);
                }
                Target::Imported => {
                    return Err(PlanError::new(name, format!("{name} is a parameter of an imported study"))
                        .hint("start another sweep over hyperparameters of this lab"));
                }
                Target::Steps => spec.steps = value.as_u64(),
                Target::Depth => spec.depth = value.as_u64().and_then(|depth| u32::try_from(depth).ok()),
            }
        }
        spec.seed = self.seed.or(spec.seed);
        Ok(spec)
    }
}
