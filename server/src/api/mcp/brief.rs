//! Short forms of runs and events for the answers of tools.

use serde_json::{Map, Value, json};
use wire::control::checkpoint::CheckpointView;
use wire::run::plan::Estimate;
use wire::{EventRecord, RunSummary};

/// Significant digits of numbers that are shown rounded.
const DIGITS: usize = 6;

/// Units of the fields of [`run`].
pub const UNITS: [(&str, &str); 6] = [
    ("loss_train, loss_valid, best_valid", "nats/token"),
    ("tokens_per_sec", "tokens/s"),
    ("secs_left, elapsed_secs", "s of training"),
    ("step, steps", "optimizer steps"),
    ("created_ms", "ms since 1970, UTC"),
    ("health", "counts of findings"),
];

/// Units of the fields of [`estimate`].
pub const ESTIMATE_UNITS: (&str, &str) = ("estimate", "memory_bytes: bytes; secs: s; flops: FLOPs");

/// A run in a list.
pub fn run(summary: &RunSummary) -> Value {
    let health = &summary.health;
    given(json!({
        "id": summary.id,
        "name": summary.name,
        "state": summary.state,
        "step": summary.step,
        "steps": summary.steps,
        "preset": summary.preset,
        "dataset": summary.corpus,
        "device": summary.device,
        "project": (summary.project != "default").then_some(&summary.project),
        "loss_train": summary.loss_train.map(rounded),
        "loss_valid": summary.loss_valid.map(rounded),
        "best_valid": summary.best_valid.map(rounded),
        "secs_left": summary.secs_left().map(rounded),
        "queue_place": summary.queue_place,
        "message": summary.waits.as_ref().or(summary.message.as_ref()),
        "tags": (!summary.tags.is_empty()).then_some(&summary.tags),
        "parent": summary.parent.as_ref().map(|parent| &parent.run),
        "health": (health.alerts + health.notes > 0).then(|| json!({ "alerts": health.alerts, "notes": health.notes })),
        "created_ms": summary.created_ms,
    }))
}

/// An event of the journal.
pub fn event(record: &EventRecord) -> Value {
    given(json!({
        "number": record.number,
        "step": record.step,
        "segment": (record.segment > 0).then_some(record.segment),
        "at_ms": record.at_ms,
        "author": record.author,
        "kind": kind(record),
        "what": record.event.phrase(),
        "reason": record.reason,
    }))
}

/// The kind of an event, as in JSON.
pub fn kind(record: &EventRecord) -> String {
    let event = serde_json::to_value(&record.event).unwrap_or_default();
    event["kind"].as_str().unwrap_or_default().to_owned()
}

/// The cost of a plan.
pub fn estimate(estimate: &Estimate) -> Value {
    given(json!({
        "parameters": estimate.parameters,
        "tokens": estimate.tokens,
        "tokens_per_parameter": rounded(estimate.tokens_per_parameter),
        "flops": rounded(estimate.flops),
        "memory_bytes": estimate.memory_bytes,
        "secs": estimate.secs.map(rounded),
    }))
}

/// A checkpoint in a list.
pub fn checkpoint(view: &CheckpointView) -> Value {
    given(json!({
        "id": view.info.id,
        "step": view.info.id.step,
        "cause": view.info.cause,
        "loss_valid": view.info.loss_valid.map(rounded),
        "is_best": view.is_best.then_some(true),
        "is_pinned": view.is_pinned.then_some(true),
    }))
}

/// An object without the fields that are null.
pub fn given(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into(),
        other => other,
    }
}

/// A number with six significant digits; `null` for one that is not finite.
pub fn rounded(value: f64) -> Value {
    if value == 0.0 || !value.is_finite() {
        return json!(value);
    }
    let text = format!("{value:.*e}", DIGITS - 1);
    json!(text.parse::<f64>().unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_six_digits() {
        for (value, expected) in
            [(1.234_567_89, "1.23457"), (0.0, "0.0"), (-123_456_789.0, "-123457000.0"), (3e-4, "0.0003")]
        {
            assert_eq!(rounded(value).to_string(), expected);
        }
        assert_eq!(rounded(f64::NAN), Value::Null);
        assert_eq!(given(json!({ "a": null, "b": 1 })), json!({ "b": 1 }));
    }
}
