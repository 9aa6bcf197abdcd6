//! The values of a parameter: their check, their place between 0 and 1, and their grid.

use serde_json::Value;

use super::{MAX_CHOICES, Parameter, Target, field};
use crate::encode::exact;
use crate::error::PlanError;

/// Points of the grid of a range of numbers without a step.
const GRID_POINTS: usize = 5;

/// The checked values of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers from `low` to `high`, uniform in themselves or in their logarithm.
    Numbers { low: f64, high: f64, is_log: bool },
    /// `low`, `low + step`, ..., `count` of them.
    Steps { low: f64, step: f64, count: usize },
    /// Integers from `low` to `high` at a distance of `step`; `step` is 1 if they are uniform in their logarithm.
    Integers { low: u64, high: u64, step: u64, is_log: bool },
    /// At least one.
    Choices(Vec<Value>),
}

impl Values {
    /// The checked values, and the number of points in a grid.
    ///
    /// # Errors
    /// Not exactly one kind of range; an empty range; a value that the parameter does not accept.
    pub(super) fn new(name: &str, target: &Target, parameter: &Parameter) -> Result<(Self, usize), PlanError> {
        let error = |message: String, hint: &str| PlanError::new(&field(name), message).hint(hint);
        let failed = |message: String, hint: &str| Err(error(message, hint));
        let Parameter { float, log, int, log_int, choices, step, points, .. } = parameter;
        let given = [float.is_some(), log.is_some(), int.is_some(), log_int.is_some(), choices.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            return failed(format!("{name} needs one range"), "give one of float, log, int, log_int and choices");
        }
        if target.is_integer() && (float.is_some() || log.is_some()) {
            return failed(format!("{name} is a whole number"), "give int or log_int instead of float or log");
        }
        if step.is_some() && float.is_none() && int.is_none() {
            return failed("a step belongs to float or int".into(), "leave the step out");
        }
        if points.is_some_and(|points| !(2..=MAX_CHOICES).contains(&points)) || points.is_some() && choices.is_some() {
            return failed(
                "the points of the grid are out of range".into(),
                "enter 2 to 1000 points for a range of numbers",
            );
        }
        let values = Self::of(parameter)
            .map_err(|message| error(format!("{name}: {message}"), "enter [LOW, HIGH], LOW below HIGH"))?;
        values.ends().iter().try_for_each(|value| target.check(name, value))?;
        let points = points.unwrap_or(GRID_POINTS);
        Ok((values, points))
    }

    fn of(parameter: &Parameter) -> Result<Self, &'static str> {
        match parameter {
            Parameter { float: Some([low, high]), step, .. } => Self::numbers(*low, *high, false, *step),
            Parameter { log: Some([low, high]), .. } => Self::numbers(*low, *high, true, None),
            Parameter { int: Some([low, high]), step, .. } => {
                let step = step.unwrap_or(1.0);
                let is_whole = step.fract() == 0.0 && (1.0..9e15).contains(&step);
                if !is_whole {
                    Err("the step of integers must be an integer above 0")
                } else {
                    Self::integers(*low, *high, step as u64, false)
                }
            }
            Parameter { log_int: Some([low, high]), .. } => Self::integers(*low, *high, 1, true),
            Parameter { choices, .. } => Self::choices(choices.as_deref().unwrap_or_default()),
        }
    }

    fn numbers(low: f64, high: f64, is_log: bool, step: Option<f64>) -> Result<Self, &'static str> {
        match step {
            _ if !(low.is_finite() && high.is_finite() && low < high) => Err("the range is empty"),
            _ if is_log && low <= 0.0 => Err("a logarithmic range starts above 0"),
            None => Ok(Self::Numbers { low, high, is_log }),
            Some(step) if !(step.is_finite() && step > 0.0) => Err("the step must be above 0"),
            Some(step) => match ((high - low) / step + 1e-9).floor() {
                steps if steps < 1.0 => Err("the step is larger than the range"),
                steps if steps >= 1e6 => Err("the step makes more than a million values"),
                steps => Ok(Self::Steps { low, step, count: steps as usize + 1 }),
            },
        }
    }

    fn integers(low: u64, high: u64, step: u64, is_log: bool) -> Result<Self, &'static str> {
        match high.checked_sub(low) {
            _ if high > 9_000_000_000_000_000 => Err("the range ends above 9e15"),
            _ if is_log && low == 0 => Err("a logarithmic range starts above 0"),
            Some(width) if width >= step => Ok(Self::Integers { low, high: high - width % step, step, is_log }),
            _ => Err("the range is empty, or the step is larger than it"),
        }
    }

    fn choices(choices: &[Value]) -> Result<Self, &'static str> {
        let is_repeated = |(at, value): (usize, &Value)| choices[..at].contains(value);
        match choices {
            [] => Err("there are no choices"),
            _ if choices.len() > MAX_CHOICES => Err("there are more than 1000 choices"),
            _ if choices.iter().enumerate().any(is_repeated) => Err("a choice occurs twice"),
            _ => Ok(Self::Choices(choices.to_vec())),
        }
    }

    /// The values whose check covers all: both ends of a range, or all choices.
    fn ends(&self) -> Vec<Value> {
        match self {
            Self::Choices(choices) => choices.clone(),
            Self::Steps { low, step, count } => vec![number(*low), number(low + step * (count - 1) as f64)],
            Self::Numbers { low, high, .. } => vec![number(*low), number(*high)],
            Self::Integers { low, high, .. } => vec![(*low).into(), (*high).into()],
        }
    }

    /// The number of values; `None` for a continuous range.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Numbers { .. } => None,
            Self::Steps { count, .. } => Some(*count),
            Self::Integers { low, high, step, .. } => {
                Some(usize::try_from((high - low) / step + 1).unwrap_or(usize::MAX))
            }
            Self::Choices(choices) => Some(choices.len()),
        }
    }

    /// Whether a value is one of them, as far as numbers between two of a range go.
    pub fn contains(&self, value: &Value) -> bool {
        match self {
            Self::Choices(choices) => choices.contains(value),
            Self::Numbers { low, high, .. } => value.as_f64().is_some_and(|value| (*low..=*high).contains(&value)),
            Self::Steps { .. } | Self::Integers { .. } => self.place(value).is_some_and(|place| {
                let nearest = self.at_scale(place);
                nearest.as_f64().zip(value.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0))
            }),
        }
    }

    /// A value as a person would write it: a whole number where the values are whole, at most three significant digits in a range of numbers.
    /// `None` if it is not of these values even then.
    pub fn rounded(&self, value: &Value) -> Option<Value> {
        match self {
            Self::Choices(choices) => choices.iter().find(|choice| is_near(choice, value)).cloned(),
            Self::Numbers { low, high, .. } => {
                let (given, range) = (value.as_f64()?, *low..=*high);
                let short = short(given);
                (range.contains(&given) || range.contains(&short)).then(|| number(short.clamp(*low, *high)))
            }
            Self::Steps { .. } => {
                let nearest = self.at_scale(self.place(value)?);
                (nearest.as_f64().map(short) == value.as_f64().map(short)).then_some(nearest)
            }
            Self::Integers { .. } => {
                let whole = number(value.as_f64()?.round());
                let nearest = self.at_scale(self.place(&whole)?);
                (nearest.as_f64() == whole.as_f64()).then_some(nearest)
            }
        }
    }

    /// Whether the order of the values means nothing.
    pub fn is_unordered(&self) -> bool {
        matches!(self, Self::Choices(_))
    }

    /// The range on the scale on which the values are uniform, half a step wider at each end where there are steps: (low, high). For
    /// choices, of their index.
    pub fn scale(&self) -> (f64, f64) {
        match self {
            Self::Numbers { low, high, is_log: false } => (*low, *high),
            Self::Numbers { low, high, is_log: true } => (low.ln(), high.ln()),
            Self::Steps { low, step, count } => (low - 0.5 * step, low + step * (*count as f64 - 0.5)),
            Self::Integers { low, high, is_log: true, .. } => ((*low as f64 - 0.5).ln(), (*high as f64 + 0.5).ln()),
            Self::Integers { low, high, step, .. } => {
                (*low as f64 - 0.5 * *step as f64, *high as f64 + 0.5 * *step as f64)
            }
            Self::Choices(choices) => (-0.5, choices.len() as f64 - 0.5),
        }
    }

    /// The value at a place on the scale; places outside are moved to the nearest value.
    pub fn at_scale(&self, place: f64) -> Value {
        let nearest =
            |low: f64, step: f64, count: usize| ((place - low) / step).round().clamp(0.0, (count - 1) as f64) as usize;
        match self {
            Self::Numbers { low, high, is_log } => {
                let value = if *is_log { place.exp() } else { place };
                // Rounding must not leave the range.
                number(exact(value).clamp(*low, *high))
            }
            Self::Steps { low, step, count } => number(exact(low + step * nearest(*low, *step, *count) as f64)),
            Self::Integers { low, high, is_log: true, .. } => {
                Value::from((place.exp().round() as u64).clamp(*low, *high))
            }
            Self::Integers { low, step, .. } => {
                Value::from(low + step * nearest(*low as f64, *step as f64, self.count().unwrap_or(1)) as u64)
            }
            Self::Choices(choices) => choices[nearest(0.0, 1.0, choices.len())].clone(),
        }
    }

    /// The place of a value on the scale; `None` for one that is not of these values.
    pub fn place(&self, value: &Value) -> Option<f64> {
        match self {
            Self::Choices(choices) => choices.iter().position(|choice| choice == value).map(|index| index as f64),
            Self::Numbers { is_log: true, .. } | Self::Integers { is_log: true, .. } => {
                value.as_f64().filter(|value| *value > 0.0).map(f64::ln)
            }
            _ => value.as_f64(),
        }
    }

    /// The value at a fraction of the range, 0 to 1. Equal parts of it are equally likely values.
    pub fn at(&self, fraction: f64) -> Value {
        let (low, high) = self.scale();
        self.at_scale(low + (high - low) * fraction.clamp(0.0, 1.0))
    }

    /// The fraction of the range at which a value is; `None` for one that is not of these values.
    pub fn fraction(&self, value: &Value) -> Option<f64> {
        let (low, high) = self.scale();
        self.place(value).map(|place| ((place - low) / (high - low)).clamp(0.0, 1.0))
    }

    /// The values of a grid, in increasing order: all where there are steps or choices and `points` is at least as many, else `points` from
    /// the first to the last.
    pub(super) fn grid(&self, points: usize, is_given: bool) -> Vec<Value> {
        match self.count() {
            Some(count) if !is_given || count <= points => {
                let mut all: Vec<Value> = match self {
                    Self::Choices(choices) => choices.clone(),
                    Self::Steps { low, step, .. } => {
                        (0..count).map(|at| number(exact(low + step * at as f64))).collect()
                    }
                    Self::Integers { low, step, .. } => {
                        (0..count.min(MAX_CHOICES + 1)).map(|at| Value::from(low + step * at as u64)).collect()
                    }
                    Self::Numbers { .. } => vec![],
                };
                all.truncate(MAX_CHOICES + 1);
                all
            }
            _ => self.spread(points),
        }
    }

    /// Values at equal distances on the scale, both ends included, each once.
    fn spread(&self, points: usize) -> Vec<Value> {
        let ends = self.ends();
        let place = |value: &Value| self.place(value).unwrap_or(0.0);
        let (low, high) = (place(&ends[0]), place(&ends[1]));
        let mut values: Vec<Value> =
            (0..points).map(|at| self.at_scale(low + (high - low) * at as f64 / (points - 1) as f64)).collect();
        values.dedup();
        values
    }
}

/// A number with three significant digits.
fn short(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

/// Whether a value is a choice, or a number that differs from it by the error of computing it.
fn is_near(choice: &Value, value: &Value) -> bool {
    match (choice.as_f64(), value.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-6 * one.abs(),
        _ => choice == value,
    }
}

fn number(value: f64) -> Value {
    Value::from(value)
}
