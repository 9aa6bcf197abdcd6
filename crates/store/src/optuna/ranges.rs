//! The ranges of the parameters of a study (`optuna/distributions.py`). Optuna may have changed the ends of a range during a study; the sweep
//! has the smallest range with all of them.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;
use wire::sweep::space::{IMPORTED, MAX_PARAMETERS, Parameter, Space};

use crate::database::optuna::ParameterRow;

/// Largest integer of a range.
const MAX_INTEGER: f64 = 9e15;

/// A range as Optuna stores it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Distribution {
    #[serde(rename = "name")]
    kind: Kind,
    attributes: Attributes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    #[serde(rename = "FloatDistribution")]
    Float,
    #[serde(rename = "IntDistribution")]
    Integer,
    #[serde(rename = "CategoricalDistribution")]
    Choice,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Attributes {
    low: f64,
    high: f64,
    step: Option<f64>,
    log: bool,
    choices: Vec<Value>,
}

/// The ranges by the names that Optuna gives to parameters.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<String, Range>);

#[derive(Debug)]
struct Range {
    /// The name in the sweep.
    name: String,
    all: Distribution,
    parameter: Parameter,
}

impl Ranges {
    /// Reads the ranges of all trials.
    ///
    /// # Errors
    /// The parameter whose range cannot be read, in words.
    pub(super) fn new(rows: &[ParameterRow]) -> Result<Self, String> {
        let mut found: BTreeMap<&str, Distribution> = BTreeMap::new();
        let mut read: HashSet<(&str, &str)> = HashSet::new();
        for ParameterRow { name, distribution: text, .. } in rows {
            if !read.insert((name, text)) {
                continue;
            }
            let range: Distribution = serde_json::from_str(text)
                .map_err(|error| format!("the range of the parameter {name:?} cannot be read: {error}"))?;
            match found.get_mut(name.as_str()) {
                Some(known) => known.extend(name, &range)?,
                None => drop(found.insert(name, range)),
            }
            if found.len() > MAX_PARAMETERS {
                return Err(format!("it has more than {MAX_PARAMETERS} parameters"));
            }
        }
        let ranges = found.into_iter().map(|(name, all)| (name.to_owned(), Range::new(name, all)));
        Ok(Self(ranges.collect()))
    }

    /// The parameters of the search space.
    pub(super) fn parameters(&self) -> BTreeMap<String, Parameter> {
        self.0.values().map(|range| (range.name.clone(), range.parameter.clone())).collect()
    }

    /// The name in the sweep and the value of a parameter of a trial.
    ///
    /// # Errors
    /// A value outside of its range, in words.
    pub(super) fn value(&self, row: &ParameterRow) -> Result<(String, Value), String> {
        let outside = || format!("the value {} of the parameter {:?} is not in its range", row.value, row.name);
        let range = self.0.get(&row.name).ok_or_else(outside)?;
        let value = match range.all.kind {
            _ if !row.value.is_finite() => None,
            Kind::Float => Some(Value::from(row.value)),
            Kind::Integer => (row.value.abs() <= MAX_INTEGER).then(|| Value::from(row.value.round() as i64)),
            // A cast would make the first choice of a negative index.
            Kind::Choice if row.value < 0.0 => None,
            Kind::Choice => range.all.attributes.choices.get(row.value as usize).cloned(),
        };
        Ok((range.name.clone(), value.ok_or_else(outside)?))
    }
}

impl Distribution {
    /// Extends the range by that of another trial.
    fn extend(&mut self, name: &str, other: &Self) -> Result<(), String> {
        let (own, new) = (&mut self.attributes, &other.attributes);
        if self.kind != other.kind || own.log != new.log || own.choices != new.choices {
            return Err(format!("the parameter {name:?} has two kinds of ranges"));
        }
        (own.low, own.high) = (own.low.min(new.low), own.high.max(new.high));
        own.step = own.step.filter(|step| new.step == Some(*step));
        Ok(())
    }
}

impl Range {
    fn new(name: &str, all: Distribution) -> Self {
        let parameter = parameter(&all);
        let alone = Space { parameters: BTreeMap::from([(name.to_owned(), parameter.clone())]), ..Space::default() };
        let is_known = !name.starts_with(IMPORTED) && alone.check().is_ok();
        let name = if is_known { name.to_owned() } else { format!("{IMPORTED}{name}") };
        Self { name, all, parameter }
    }
}

fn parameter(Distribution { kind, attributes }: &Distribution) -> Parameter {
    let Attributes { low, high, step, log, choices } = attributes;
    let (low, high) = (*low, *high);
    let is_whole = *kind == Kind::Integer && low >= 0.0 && high <= MAX_INTEGER;
    let ends = Some([low as u64, high as u64]);
    // A sweep refuses a step that is larger than the range or makes more than a million values.
    let step = step.filter(|step| *step > 0.0 && *step <= high - low && (high - low) / *step < 1e6);
    match kind {
        Kind::Choice => Parameter { choices: Some(distinct(choices)), ..Parameter::default() },
        _ if low == high && is_whole => Parameter { choices: Some(vec![(low as u64).into()]), ..Parameter::default() },
        _ if low == high => Parameter { choices: Some(vec![low.into()]), ..Parameter::default() },
        Kind::Integer if *log && is_whole => Parameter { log_int: ends, ..Parameter::default() },
        Kind::Integer if is_whole => {
            Parameter { int: ends, step: step.filter(|step| *step > 1.0), ..Parameter::default() }
        }
        _ if *log => Parameter { log: Some([low, high]), ..Parameter::default() },
        _ => Parameter { float: Some([low, high]), step, ..Parameter::default() },
    }
}

/// The choices, each once: Optuna does not compare them.
fn distinct(choices: &[Value]) -> Vec<Value> {
    let mut found: Vec<Value> = vec![];
    for choice in choices {
        if !found.contains(choice) {
            found.push(choice.clone());
        }
    }
    found
}
