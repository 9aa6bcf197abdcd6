//! Display text of hyperparameters: group titles and values.

use figure::number;
use serde_json::Value;
use wire::hyperparameters::table::Hyperparameter;

/// The title of a group of the table.
pub(crate) fn group_title(group: &'static str) -> &'static str {
    match group {
        "model" => "Model",
        "optimizer" => "Optimizer",
        "schedule" => "Learning-rate schedule",
        "batch" => "Batch",
        "intervals" => "Intervals",
        "retention" => "Checkpoints and snapshots",
        "mixing" => "Data mixing",
        "compute" => "Computation",
        "budget" => "Limits and restarts",
        "breakpoints" => "Breakpoints",
        other => other,
    }
}

/// A unit after a label: `, steps`; nothing without a unit.
pub(crate) fn with_comma(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(", {unit}") }
}

/// The name of a choice, as papers and libraries write it.
pub(crate) fn choice_name(choice: &str) -> &str {
    match choice {
        "rotary" => "RoPE",
        "layer" => "LayerNorm",
        "rms" => "RMSNorm",
        "gelu" => "GELU",
        "gelu_exact" => "GELU (exact)",
        "swiglu" => "SwiGLU",
        "llama3" => "Llama 3",
        "adamw" => "AdamW",
        "muon" => "Muon",
        "odm" => "ODM",
        "wsd" => "warm-up, stable, decay",
        other => other,
    }
}

/// A value as the page writes it where it is not typed: whole numbers in groups of digits.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Number(given) => match (given.as_u64(), given.as_f64()) {
            (Some(whole), _) => number::whole(whole),
            (None, Some(whole)) if whole.fract() == 0.0 && (0.0..1e15).contains(&whole) => number::whole(whole as u64),
            _ => written(value),
        },
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => written(other),
    }
}

/// A value as a person types it.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => choice_name(text).to_owned(),
        Value::Bool(true) => "on".into(),
        Value::Bool(false) => "off".into(),
        Value::Number(number) if number.as_f64().is_some_and(|number| number != 0.0 && number.abs() < 1e-2) => {
            format!("{:e}", number.as_f64().unwrap_or(0.0))
        }
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < 1e15) => {
            format!("{:.0}", number.as_f64().unwrap_or(0.0))
        }
        Value::Object(fields) => fields.keys().next().map(|name| choice_name(name).to_owned()).unwrap_or_default(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The planned value of a hyperparameter, with its unit.
pub(crate) fn in_plan(row: &Hyperparameter, value: Option<&Value>) -> String {
    let value = value.map(shown).unwrap_or_default();
    match (value.as_str(), row.path) {
        ("0", "model.norm_eps") => "default (1e-5, with RMSNorm 1e-6)".into(),
        ("", _) | ("0", "budget.tokens" | "budget.secs" | "budget.loss") => "none".into(),
        ("0", path) if OFF_AT_ZERO.contains(&path) => "0 (off)".into(),
        (_, "breakpoints") => format!("{} {value}", if value.contains(',') { "steps" } else { "step" }),
        _ if row.unit.is_empty() => value,
        ("1", _) => format!("1 {}", singular(row.unit)),
        _ => format!("{value} {}", row.unit),
    }
}

/// The unit of one: `1 step`.
fn singular(unit: &str) -> &str {
    match unit {
        "micro-batches" => "micro-batch",
        "s" => unit,
        _ => unit.strip_suffix('s').unwrap_or(unit),
    }
}

/// Hyperparameters that 0 turns off.
const OFF_AT_ZERO: [&str; 10] = [
    "model.dropout",
    "model.logit_softcap",
    "optimizer.grad_clip",
    "optimizer.z_loss",
    "intervals.eval_every",
    "intervals.sample_every",
    "intervals.stats_every",
    "intervals.checkpoint_every",
    "retention.every_nth",
    "retention.snapshots_mb",
];

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::hyperparameters::table;

    use super::*;

    #[test]
    fn planned_values_have_a_unit_or_a_word() {
        let planned = |path: &str, value| in_plan(table::find(path).unwrap(), Some(&value));
        assert_eq!(planned("optimizer.grad_clip", json!(0.0)), "0 (off)");
        assert_eq!(planned("budget.tokens", json!(0)), "none");
        assert_eq!(planned("breakpoints", json!([])), "none");
        assert_eq!(planned("breakpoints", json!([450])), "step 450");
        assert_eq!(planned("breakpoints", json!([450, 900])), "steps 450, 900");
        assert_eq!(planned("optimizer.learning_rate", json!(0.001)), "1e-3");
        assert_eq!(planned("intervals.eval_every", json!(1)), "1 step");
        assert_eq!(planned("model.rotary_base", json!(10000.0)), "10\u{202f}000");
        assert_eq!(planned("schedule.final_fraction", json!(0.1)), "0.1 × peak");
        for path in OFF_AT_ZERO {
            assert!(table::find(path).is_some(), "{path}");
        }
    }

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
            (json!({ "wsd": { "decay_steps": 5 } }), "warm-up, stable, decay"),
            (json!("gelu_exact"), "GELU (exact)"),
            (json!([0, 100]), "0, 100"),
            (json!([]), ""),
        ] {
            assert_eq!(written(&value), text);
            assert_eq!(shown(&value), text);
        }
        assert_eq!(shown(&json!(10000.0)), "10\u{202f}000");
        assert_eq!(shown(&json!([100, 2000])), "100, 2\u{202f}000");
        assert_eq!(shown(&json!(u64::MAX)), number::whole(u64::MAX));
    }
}
