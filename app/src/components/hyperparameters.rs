//! Display text of hyperparameters: group titles and values.

use serde_json::Value;

/// The title of a group of the table.
pub(crate) fn group_title(group: &'static str) -> &'static str {
    match group {
        "model" => "Model",
        "optimizer" => "Optimizer",
        "schedule" => "Learning-rate schedule",
        "batch" => "Batch",
        "intervals" => "Intervals",
        "retention" => "Checkpoints and snapshots",
        "budget" => "Limits and restarts",
        "breakpoints" => "Breakpoints",
        other => other,
    }
}

/// A unit after a label: `, steps`; nothing without a unit.
pub(crate) fn with_comma(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(", {unit}") }
}

/// A value as a person writes it.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".into(),
        Value::Bool(false) => "off".into(),
        Value::Number(number) if number.as_f64().is_some_and(|number| number != 0.0 && number.abs() < 1e-2) => {
            format!("{:e}", number.as_f64().unwrap_or(0.0))
        }
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < 1e15) => {
            format!("{:.0}", number.as_f64().unwrap_or(0.0))
        }
        Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::written;

    #[test]
    fn values_read_as_people_write_them() {
        for (value, text) in [
            (json!(0.0006), "6e-4"),
            (json!(128), "128"),
            (json!(128.0), "128"),
            (json!(0.25), "0.25"),
            (json!(0), "0"),
            (json!(true), "on"),
            (json!("cosine"), "cosine"),
            (json!({ "wsd": { "decay_steps": 5 } }), "wsd"),
            (json!([0, 100]), "0, 100"),
            (json!([]), ""),
        ] {
            assert_eq!(written(&value), text);
        }
    }
}
