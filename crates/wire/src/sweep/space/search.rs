//! The checked search space: dimensions in an order in which each condition follows the parameter that it names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::constraint::Constraint;
use super::{MAX_CHOICES, MAX_PARAMETERS, MAX_SEEDS, Point, Space, Values, field, target};
use crate::error::PlanError;

/// Most points of a grid. A larger one is refused, because nobody can train it.
pub const MAX_GRID: usize = 100_000;

/// A parameter of the checked space.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    pub name: String,
    pub values: Values,
    /// The values of a grid.
    pub grid: Vec<Value>,
    /// It has a value where each of these earlier parameters has one of its values.
    pub when: BTreeMap<String, Vec<Value>>,
}

impl Dimension {
    /// Whether it has a value beside these values of earlier dimensions.
    pub fn is_active(&self, values: &BTreeMap<String, Value>) -> bool {
        self.when
            .iter()
            .all(|(name, allowed)| values.get(name).is_some_and(|value| allowed.iter().any(|one| is_equal(one, value))))
    }
}

/// Equality of JSON values in which 1 and 1.0 are equal.
fn is_equal(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64())
}

/// A checked search space.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpace {
    /// Conditions name earlier dimensions only.
    pub dimensions: Vec<Dimension>,
    pub constraints: Vec<Constraint>,
    /// Seeds of each configuration; may be empty.
    pub seeds: Vec<u64>,
}

impl SearchSpace {
    pub(super) fn new(space: &Space) -> Result<Self, PlanError> {
        if space.parameters.is_empty() || space.parameters.len() > MAX_PARAMETERS {
            let message =
                format!("a search space has 1 to {MAX_PARAMETERS} parameters, not {}", space.parameters.len());
            return Err(PlanError::new("parameters", message));
        }
        let dimensions = in_order(space)?;
        dimensions.iter().try_for_each(|dimension| check_conditions(dimension, &dimensions))?;
        let constraint = |(at, text): (usize, &String)| {
            let field = format!("constraints.{at}");
            let constraint = Constraint::parse(text).map_err(|error| PlanError { field: field.clone(), ..error })?;
            match constraint.names().iter().find(|name| !space.parameters.contains_key::<str>(name)) {
                Some(name) => Err(PlanError::new(&field, format!("{name} is not a parameter of this space"))),
                None => Ok(constraint),
            }
        };
        let constraints = space.constraints.iter().enumerate().map(constraint).collect::<Result<_, _>>()?;
        let distinct: BTreeSet<_> = space.seeds.iter().collect();
        if distinct.len() != space.seeds.len() || space.seeds.len() > MAX_SEEDS {
            return Err(PlanError::new("seeds", format!("give up to {MAX_SEEDS} seeds, each once")));
        }
        Ok(Self { dimensions, constraints, seeds: space.seeds.clone() })
    }

    /// Trials of each configuration.
    pub fn repeats(&self) -> u64 {
        self.seeds.len().max(1) as u64
    }

    /// The product of the sizes of all grids: at least as many as the grid has configurations. It is computed without expanding the grid.
    pub fn combinations(&self) -> u64 {
        self.dimensions.iter().fold(1, |product: u64, dimension| product.saturating_mul(dimension.grid.len() as u64))
    }

    /// Whether all constraints hold for these values.
    pub fn holds(&self, values: &BTreeMap<String, Value>) -> bool {
        let number = |name: &str| values.get(name).and_then(as_number);
        self.constraints.iter().all(|constraint| constraint.holds(&number))
    }

    /// Whether a point is of this space: a value of each parameter that is active, none of another, constraints hold, and the seed is listed.
    pub fn contains(&self, point: &Point) -> bool {
        let fits = |dimension: &Dimension| match point.values.get(&dimension.name) {
            Some(value) => dimension.is_active(&point.values) && dimension.values.contains(value),
            None => !dimension.is_active(&point.values),
        };
        let known = point.values.keys().all(|name| self.dimensions.iter().any(|dimension| dimension.name == *name));
        let seed =
            point.seed.is_none_or(|seed| self.seeds.contains(&seed)) && point.seed.is_none() == self.seeds.is_empty();
        known && seed && self.dimensions.iter().all(fits) && self.holds(&point.values)
    }

    /// The configurations of the grid in order, the last dimension fastest; without those that violate a constraint.
    ///
    /// # Errors
    /// More than [`MAX_GRID`] combinations.
    pub fn grid(&self) -> Result<Vec<BTreeMap<String, Value>>, PlanError> {
        let mut found = vec![BTreeMap::new()];
        for dimension in &self.dimensions {
            let mut next = vec![];
            for values in found {
                if !dimension.is_active(&values) {
                    next.push(values);
                    continue;
                }
                if next.len() + dimension.grid.len() > MAX_GRID {
                    let message = format!("the grid has more than {MAX_GRID} points");
                    return Err(PlanError::new("parameters", message)
                        .hint("give fewer points, a larger step, or another sampler"));
                }
                next.extend(dimension.grid.iter().map(|value| {
                    let mut values = values.clone();
                    values.insert(dimension.name.clone(), value.clone());
                    values
                }));
            }
            found = next;
        }
        found.retain(|values| self.holds(values));
        Ok(found)
    }

    /// The trials of a grid: its configurations times the seeds.
    ///
    /// # Errors
    /// More than [`MAX_GRID`] combinations.
    pub fn grid_trials(&self) -> Result<u64, PlanError> {
        Ok(self.grid()?.len() as u64 * self.repeats())
    }
}

/// The number that a constraint reads: true is 1 and false is 0.
fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(f64::from))
}

/// The dimensions, each after those that its conditions name, and otherwise in the order of their names.
fn in_order(space: &Space) -> Result<Vec<Dimension>, PlanError> {
    let mut waiting = space.parameters.iter().map(|(name, _)| dimension(space, name)).collect::<Result<Vec<_>, _>>()?;
    let mut placed: Vec<Dimension> = vec![];
    while !waiting.is_empty() {
        let is_ready =
            |dimension: &Dimension| dimension.when.keys().all(|name| placed.iter().any(|one| one.name == *name));
        let Some(at) = waiting.iter().position(is_ready) else {
            let name = &waiting[0].name;
            return Err(PlanError::new(&field(name), format!("the condition of {name} depends on itself")));
        };
        placed.push(waiting.remove(at));
    }
    Ok(placed)
}

/// Checks that each value of a condition is one that the named parameter can have; with another one the parameter would never vary.
fn check_conditions(dimension: &Dimension, all: &[Dimension]) -> Result<(), PlanError> {
    let name = &dimension.name;
    let named = |condition: &String| all.iter().find(|one| one.name == *condition);
    for (other, allowed) in dimension.when.iter().filter_map(|(condition, allowed)| Some((named(condition)?, allowed)))
    {
        if let Some(value) = allowed.iter().find(|value| !can_be(&other.values, value)) {
            let message = format!("the condition of {name} lists {value}, which {} never is", other.name);
            let hint = format!("leave {value} out, or add it to the values of {}", other.name);
            return Err(PlanError::new(&field(name), message).hint(hint));
        }
    }
    Ok(())
}

fn can_be(values: &Values, value: &Value) -> bool {
    match values {
        Values::Choices(choices) => choices.iter().any(|choice| is_equal(choice, value)),
        numbers => numbers.contains(value),
    }
}

fn dimension(space: &Space, name: &str) -> Result<Dimension, PlanError> {
    let parameter = &space.parameters[name];
    let (values, points) = Values::new(name, &target(name)?, parameter)?;
    let grid = values.grid(points, parameter.points.is_some());
    if grid.len() > MAX_CHOICES {
        let message = format!("{name} has more than {MAX_CHOICES} values in a grid");
        return Err(PlanError::new(&field(name), message).hint("give points, or a larger step"));
    }
    for (condition, allowed) in &parameter.when {
        if !space.parameters.contains_key(condition) {
            let message = format!("the condition names {condition}, which is not a parameter of this space");
            return Err(PlanError::new(&field(name), message));
        }
        if allowed.is_empty() {
            return Err(PlanError::new(&field(name), format!("the condition on {condition} lists no values")));
        }
    }
    Ok(Dimension { name: name.to_owned(), values, grid, when: parameter.when.clone() })
}
