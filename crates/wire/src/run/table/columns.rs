//! The columns of the table of runs: fields of a run, hyperparameters of its plan, and newest values of its metrics.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::ParseError;
use crate::hyperparameters::table::{self, Hyperparameter};
use crate::series::{describe, name};

/// A field of a run that can be a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunField {
    /// Name in a query.
    pub id: &'static str,
    pub label: &'static str,
    /// Unit; empty if there is none.
    pub unit: &'static str,
}

const fn field(id: &'static str, label: &'static str, unit: &'static str) -> RunField {
    RunField { id, label, unit }
}

pub static FIELDS: [RunField; 19] = [
    field("name", "Name", ""),
    field("id", "Id", ""),
    field("state", "State", ""),
    field("health", "Health", "alerts + notes / 1000"),
    field("dataset", "Dataset", ""),
    field("preset", "Preset", ""),
    field("device", "Device", ""),
    field("tags", "Tags", ""),
    field("parent", "Parent", ""),
    field("project", "Project", ""),
    field("created", "Created", "ms since 1970"),
    field("ended", "Ended", "ms since 1970"),
    field("step", "Steps done", "steps"),
    field("steps", "Planned steps", "steps"),
    field("progress", "Progress", "fraction of the planned steps"),
    field("parameters", "Parameters", "parameters"),
    field("seed", "Seed", ""),
    field("training_time", "Training time", "s"),
    field("best_valid", "Best val loss", "nats/token"),
];

/// Prefix of the name of a metric in a query.
pub const METRIC: &str = "metric:";

/// Short names that a query accepts for a column.
const ALIASES: [(&str, &str); 4] = [
    ("lr", "optimizer.learning_rate"),
    ("train", "metric:loss.train"),
    ("val", "metric:loss.valid"),
    ("valid", "metric:loss.valid"),
];

/// A field of a run, a hyperparameter or the newest value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    Field(&'static RunField),
    Hyperparameter(&'static Hyperparameter),
    /// The newest value of the metric of this name.
    Metric(String),
}

/// What [`Column::parse`] expects.
const EXPECTED: &str =
    "the name of a column, such as seed, lr or metric:loss.valid: at most 200 characters, no quotes and no backslashes";
/// Longest name of a column in a query, characters.
const MAX_NAME_CHARS: usize = 200;

impl Column {
    /// The column of a name in a query, as [`Column::find`].
    ///
    /// # Errors
    /// A text that cannot name a metric: names become JSON paths, in which quotes, backslashes and control characters cannot be written.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let is_invalid = |letter: char| letter.is_control() || matches!(letter, '"' | '\\');
        match text.contains(is_invalid) || text.chars().count() > MAX_NAME_CHARS {
            true => Err(ParseError::new(text, EXPECTED)),
            false => Ok(Self::find(text)),
        }
    }

    /// The column of a name: a field, a path, the last part of a path, a short name such as `lr`, or else a metric.
    pub fn find(text: &str) -> Self {
        let text = text.trim();
        let lower = text.to_lowercase();
        if let Some((_, full)) = ALIASES.iter().find(|(short, _)| *short == lower) {
            return Self::find(full);
        }
        if let Some(metric) = text.strip_prefix(METRIC) {
            return Self::Metric(metric.to_owned());
        }
        if let Some(field) = FIELDS.iter().find(|field| field.id == lower) {
            return Self::Field(field);
        }
        let by_last_part = || {
            let mut rows = table::TABLE.iter().filter(|row| row.path.rsplit('.').next() == Some(lower.as_str()));
            rows.next().filter(|_| rows.next().is_none())
        };
        match table::find(&lower).or_else(by_last_part) {
            Some(row) => Self::Hyperparameter(row),
            None => Self::Metric(text.to_owned()),
        }
    }

    /// Its name in a query: `seed`, `optimizer.learning_rate`, `metric:grad_norm`.
    pub fn id(&self) -> String {
        match self {
            Self::Field(field) => field.id.to_owned(),
            Self::Hyperparameter(row) => row.path.to_owned(),
            Self::Metric(metric) => format!("{METRIC}{metric}"),
        }
    }

    /// Its heading.
    pub fn label(&self) -> String {
        match self {
            Self::Field(field) => field.label.to_owned(),
            Self::Hyperparameter(row) => row.label.to_owned(),
            Self::Metric(metric) if metric == name::TRAIN => "Train loss".to_owned(),
            Self::Metric(metric) if metric == name::VALID => "Val loss".to_owned(),
            Self::Metric(metric) => describe(metric).label,
        }
    }

    /// Its unit; empty if there is none.
    pub fn unit(&self) -> String {
        match self {
            Self::Field(field) => field.unit.to_owned(),
            Self::Hyperparameter(row) => row.unit.to_owned(),
            Self::Metric(metric) => describe(metric).unit.to_owned(),
        }
    }

    /// Its meaning, in a sentence.
    pub fn meaning(&self) -> String {
        match self {
            Self::Field(field) if field.unit.is_empty() => format!("{} of the run.", field.label),
            Self::Field(field) => format!("{} of the run, {}.", field.label, field.unit),
            Self::Hyperparameter(row) => row.meaning.to_owned(),
            Self::Metric(metric) => format!("Newest value. {}", describe(metric).meaning),
        }
    }
}

/// The order of two values of a column: numbers by size, then other values as text without regard to case. Runs without a value come last,
/// whatever the direction.
pub fn compare(one: Option<&Value>, other: Option<&Value>, is_descending: bool) -> Ordering {
    let (Some(one), Some(other)) = (one, other) else { return other.is_some().cmp(&one.is_some()) };
    let order = match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => text_of(one).to_lowercase().cmp(&text_of(other).to_lowercase()),
    };
    if is_descending { order.reverse() } else { order }
}

/// A value as text, without quotes.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_is_found_by_its_short_name_and_by_its_path() {
        for (text, id) in [
            ("lr", "optimizer.learning_rate"),
            ("learning_rate", "optimizer.learning_rate"),
            ("optimizer.learning_rate", "optimizer.learning_rate"),
            ("Seed", "seed"),
            ("metric:learning_rate", "metric:learning_rate"),
            ("grad_norm", "metric:grad_norm"),
            ("val", "metric:loss.valid"),
            ("layers", "model.layers"),
            ("loss.valid/tales", "metric:loss.valid/tales"),
        ] {
            assert_eq!(Column::find(text).id(), id);
            assert_eq!(Column::find(id).id(), id, "the name in a query means the same column");
        }
        for field in &FIELDS {
            assert_eq!(Column::find(field.id), Column::Field(field));
        }
    }

    #[test]
    fn a_text_that_no_json_path_can_hold_is_no_column() {
        for text in ["\0", "a\"b", "a\\", "metric:\n", &"x".repeat(201)] {
            let error = Column::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not the name of a column"), "{error}");
        }
        assert_eq!(Column::parse("loss.valid/Märchen 'x'").unwrap().id(), "metric:loss.valid/Märchen 'x'");
    }

    #[test]
    fn missing_values_come_last_in_both_directions() {
        let values = [Some(json!(2.0)), None, Some(json!(10)), Some(json!("b")), Some(json!("A"))];
        for (is_descending, expected) in [
            (false, [Some(json!(2.0)), Some(json!(10)), Some(json!("A")), Some(json!("b")), None]),
            (true, [Some(json!("b")), Some(json!("A")), Some(json!(10)), Some(json!(2.0)), None]),
        ] {
            let mut sorted = values.clone();
            sorted.sort_by(|one, other| compare(one.as_ref(), other.as_ref(), is_descending));
            assert_eq!(sorted, expected);
        }
    }
}
