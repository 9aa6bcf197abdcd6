//! A parameter of the search space as it is typed: a range or a list of values, and a condition.

use std::collections::BTreeMap;

use leptos::prelude::*;
use serde_json::Value;
use wire::hyperparameters::table::Values;
use wire::run::plan::MAX_STEPS;
use wire::run::preset::DEPTHS;
use wire::sweep::space::{Parameter, Target, target};

use crate::components::hyperparameters::{choice_name, written};
use crate::components::{TypedNumber, read_number};

const STEP: Values = Values::Number { min: Values::ABOVE_ZERO, max: 1e12 };
const POINTS: Values = Values::Integer { min: 2, max: 1_000 };
const WEIGHT: Values = Values::Number { min: 0.0, max: 1e9 };

/// How the values of a parameter are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A range, uniform in the value.
    Linear,
    /// A range, uniform in the logarithm of the value.
    Log,
    /// A list of values.
    List,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Linear, Self::Log, Self::List];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::List => "list",
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Linear => "linear range",
            Self::Log => "logarithmic range",
            Self::List => "list of values",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.word() == word).unwrap_or(Self::List)
    }
}

/// The values that a parameter accepts, as fields of numbers read them.
pub(super) fn accepted(target: &Target) -> Values {
    match target {
        Target::Hyperparameter(row) => row.values,
        Target::Weight(_) => WEIGHT,
        Target::Steps => Values::Integer { min: 1, max: MAX_STEPS },
        Target::Imported => Values::Number { min: -1e300, max: 1e300 },
        Target::Depth => Values::Integer { min: (*DEPTHS.start()).into(), max: (*DEPTHS.end()).into() },
    }
}

/// The words that a parameter accepts, as JSON; none for one of numbers.
pub(super) fn words(values: Values) -> Vec<Value> {
    match values {
        Values::Switch => vec![true.into(), false.into()],
        Values::Choice(choices) => choices.iter().map(|choice| (*choice).into()).collect(),
        Values::Shape => ["cosine", "linear", "constant"].map(Value::from).to_vec(),
        _ => vec![],
    }
}

/// A parameter of the search space.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) number: u32,
    pub(super) name: StoredValue<String>,
    pub(super) values: Values,
    pub(super) kind: RwSignal<Kind>,
    pub(super) low: TypedNumber,
    pub(super) high: TypedNumber,
    pub(super) step: TypedNumber,
    /// Values in a grid.
    pub(super) points: TypedNumber,
    /// Values with commas between them.
    pub(super) list: RwSignal<String>,
    /// Conditions: `model.positions = rotary, learned; steps = 100`.
    pub(super) when: RwSignal<String>,
}

impl Row {
    /// A parameter with proposed values around `base`; `None` for an unknown name.
    pub(super) fn new(number: u32, name: &str, base: Option<&Value>) -> Option<Self> {
        let values = accepted(&target(name).ok()?);
        let Proposal { kind, low, high, list } = proposal(values, base);
        Some(Self {
            number,
            name: StoredValue::new(name.to_owned()),
            values,
            kind: RwSignal::new(kind),
            low: TypedNumber::new(values, low),
            high: TypedNumber::new(values, high),
            step: TypedNumber::optional(STEP),
            points: TypedNumber::optional(POINTS),
            list: RwSignal::new(list),
            when: RwSignal::default(),
        })
    }

    /// Whether its values are words and not numbers.
    pub(super) fn has_words(self) -> bool {
        !words(self.values).is_empty()
    }

    /// The parameter of the specification.
    ///
    /// # Errors
    /// A text that cannot be read: what is wrong, and what to enter.
    pub(super) fn read(self) -> Result<Parameter, String> {
        let is_whole = matches!(self.values, Values::Integer { .. });
        let ends = || -> Result<[f64; 2], String> {
            let number = |end: TypedNumber| end.number().ok_or_else(|| end.problem().unwrap_or_default());
            Ok([number(self.low)?, number(self.high)?])
        };
        let whole = |[low, high]: [f64; 2]| [low as u64, high as u64];
        let mut parameter = Parameter { when: conditions(&self.when.read())?, ..Parameter::default() };
        match (self.kind.get(), is_whole) {
            (Kind::List, _) => parameter.choices = Some(choices(&self.list.read(), self.values)?),
            (Kind::Linear, true) => parameter.int = Some(whole(ends()?)),
            (Kind::Linear, false) => parameter.float = Some(ends()?),
            (Kind::Log, true) => parameter.log_int = Some(whole(ends()?)),
            (Kind::Log, false) => parameter.log = Some(ends()?),
        }
        if self.kind.get() == Kind::Linear {
            parameter.step = optional(self.step)?;
        }
        if self.kind.get() != Kind::List {
            parameter.points = optional(self.points)?.map(|points| points as usize);
        }
        Ok(parameter)
    }
}

fn optional(number: TypedNumber) -> Result<Option<f64>, String> {
    match number.is_readable() {
        true => Ok(number.number()),
        false => Err(number.problem().unwrap_or_default()),
    }
}

/// The values with commas between them.
fn choices(text: &str, values: Values) -> Result<Vec<Value>, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err("There is no value. Enter values with commas between them.".to_owned());
    }
    let words = words(values);
    let read = |part: &&str| match words.is_empty() {
        true => read_number(part, values).map(|number| number.to_json()).map_err(|error| error.to_string()),
        false => words
            .iter()
            .find(|word| word_of(word) == *part)
            .cloned()
            .ok_or_else(|| format!("“{part}” is not one of the values.")),
    };
    parts.iter().map(read).collect()
}

/// A word as it stands in a list.
pub(super) fn word_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A word as the page writes it.
pub(super) fn word_label(value: &Value) -> String {
    value.as_str().map_or_else(|| written(value), |word| choice_name(word).to_owned())
}

/// Conditions by parameter: `NAME = VALUE, VALUE; NAME = VALUE`.
fn conditions(text: &str) -> Result<BTreeMap<String, Vec<Value>>, String> {
    let condition = |part: &str| {
        let pair = part.split_once('=').map(|(name, values)| (name.trim(), values));
        let Some((name, values)) = pair.filter(|(name, values)| !name.is_empty() && !values.trim().is_empty()) else {
            return Err(format!("“{}” is not a condition. Enter NAME = VALUE, VALUE.", part.trim()));
        };
        let values = values.split(',').map(str::trim).filter(|value| !value.is_empty());
        // A word needs no quotation marks.
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        Ok((name.to_owned(), values.map(value).collect()))
    };
    text.split(';').filter(|part| !part.trim().is_empty()).map(condition).collect()
}

/// Proposed values of a parameter.
#[derive(Debug, PartialEq)]
struct Proposal {
    kind: Kind,
    low: String,
    high: String,
    list: String,
}

/// Around the value of the base: a tenth to ten times a number, half to twice an integer; all words.
fn proposal(values: Values, base: Option<&Value>) -> Proposal {
    let text = |number: f64| written(&Value::from(rounded(number)));
    let range = |kind, low: f64, high: f64| Proposal { kind, low: text(low), high: text(high), list: String::new() };
    let base = base.and_then(Value::as_f64);
    match values {
        Values::Number { min, max } => match base.filter(|base| *base > 0.0) {
            Some(base) if base < max => range(Kind::Log, (base / 10.0).max(min), (base * 10.0).min(max)),
            _ => range(Kind::Linear, min.max(0.0), max.min(1.0)),
        },
        Values::Integer { min, max } => {
            let base = base.map_or(min.max(1), |base| base as u64);
            let (low, high) = ((base / 2).max(min), base.saturating_mul(2).min(max));
            let mut all = vec![low, base, high];
            all.dedup();
            let list = all.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            Proposal { list, ..range(Kind::List, low as f64, high as f64) }
        }
        _ => Proposal {
            kind: Kind::List,
            low: String::new(),
            high: String::new(),
            list: words(values).iter().map(word_of).collect::<Vec<_>>().join(", "),
        },
    }
}

/// Three significant digits, so that a tenth of 6e-4 is 6e-5.
fn rounded(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_proposal_is_around_the_base() {
        let rate = Values::Number { min: Values::ABOVE_ZERO, max: 1e6 };
        let expected = Proposal { kind: Kind::Log, low: "6e-5".into(), high: "6e-3".into(), list: String::new() };
        assert_eq!(proposal(rate, Some(&json!(6e-4))), expected);
        let fraction = Values::Number { min: 0.0, max: 1.0 };
        let expected = Proposal { kind: Kind::Linear, low: "0".into(), high: "1".into(), list: String::new() };
        assert_eq!(proposal(fraction, Some(&json!(0.0))), expected);
        let layers = Values::Integer { min: 1, max: 256 };
        assert_eq!(proposal(layers, Some(&json!(4))).list, "2, 4, 8");
        assert_eq!(proposal(layers, Some(&json!(1))).list, "1, 2");
        assert_eq!(proposal(Values::Switch, None).list, "true, false");
    }

    #[test]
    fn steps_and_depths_have_the_limits_of_a_run() {
        assert_eq!(accepted(&Target::Steps), Values::Integer { min: 1, max: 100_000_000 });
        assert_eq!(accepted(&Target::Depth), Values::Integer { min: 1, max: 64 });
    }

    #[test]
    fn lists_have_the_values_of_their_parameter() {
        let whole = Values::Integer { min: 1, max: 256 };
        assert_eq!(choices("32, 64", whole), Ok(vec![json!(32), json!(64)]));
        assert_eq!(choices("true", Values::Switch), Ok(vec![json!(true)]));
        assert_eq!(choices("cosine, linear", Values::Shape), Ok(vec![json!("cosine"), json!("linear")]));
        assert!(choices("wide", whole).is_err());
        assert!(choices("sine", Values::Shape).is_err());
        assert!(choices(" , ", whole).is_err());
    }

    #[test]
    fn conditions_name_parameters_and_values() {
        let read = conditions("model.positions = rotary, learned; steps = 100;").unwrap();
        assert_eq!(read["model.positions"], [json!("rotary"), json!("learned")]);
        assert_eq!(read["steps"], [json!(100)]);
        assert_eq!(conditions(" "), Ok(BTreeMap::new()));
        assert_eq!(conditions("rotary"), Err("“rotary” is not a condition. Enter NAME = VALUE, VALUE.".to_owned()));
    }
}
