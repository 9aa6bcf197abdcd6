//! What a call would change and cost, as rows and sentences, from the plan of its tool. Plans are JSON of the server; their texts may be of
//! agents, datasets and people, and are shown as text.

use serde_json::{Map, Value};
use wire::proposal::{Proposal, ProposalPreview};

use crate::components::number::{about, bytes, counted, grouped, short};
use crate::components::visible;

/// Arguments that have their own place on the page, or that the server needs.
const APART: [&str; 5] = ["run", "reason", "expected_effect", "idempotency_key", "dry_run"];
/// Rows of a table.
const ROWS: usize = 40;
/// Characters of a value.
const VALUE_CHARS: usize = 400;

/// A value that a call would set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) label: String,
    /// The value now, where it is known.
    pub(super) now: Option<String>,
    pub(super) then: String,
}

/// The difference that a call would make; of a call that starts something, its arguments and what they change in the defaults.
pub(super) fn rows(plan: &Value, arguments: &Map<String, Value>) -> Vec<Row> {
    let mut rows = vec![];
    match &plan["difference"] {
        Value::Array(changes) => {
            rows.extend(changes.iter().map(change));
            let rest = Value::Object(without_changes(arguments));
            leaves(&rest, &mut String::new(), &mut rows);
        }
        Value::Object(fields) if fields.contains_key("then") => rows.push(change(&plan["difference"])),
        Value::Object(fields) => rows.extend(fields.iter().map(|(label, value)| of_field(label, value))),
        _ => leaves(&Value::Object(without(arguments)), &mut String::new(), &mut rows),
    }
    rows.truncate(ROWS);
    rows
}

/// The arguments that differ from the proposed ones.
pub(super) fn edits(proposed: &Map<String, Value>, edited: &Map<String, Value>) -> Vec<Row> {
    let (mut before, mut after) = (vec![], vec![]);
    leaves(&Value::Object(without(proposed)), &mut String::new(), &mut before);
    leaves(&Value::Object(without(edited)), &mut String::new(), &mut after);
    let old = |label: &str| before.iter().find(|row: &&Row| row.label == label).map(|row| row.then.clone());
    let has = |label: &str| after.iter().any(|row| row.label == label);
    let removed: Vec<Row> = before
        .iter()
        .filter(|row| !has(&row.label))
        .map(|row| Row { now: Some(row.then.clone()), then: "removed".into(), label: row.label.clone() })
        .collect();
    let changed = after.iter().filter(|row| old(&row.label).as_ref() != Some(&row.then));
    changed.map(|row| Row { now: old(&row.label), ..row.clone() }).chain(removed).take(ROWS).collect()
}

/// `{"path": "optimizer.grad_clip", "now": 1, "then": 0.5, "unit": ""}`, without a path for a whole schedule.
fn change(value: &Value) -> Row {
    let unit = value["unit"].as_str().filter(|unit| !unit.is_empty()).map(|unit| format!(" {}", visible(unit)));
    let with_unit = |value: &Value| format!("{}{}", text_of(value), unit.as_deref().unwrap_or_default());
    Row {
        label: value.get("path").map_or_else(|| "schedule".to_owned(), text_of),
        now: value.get("now").filter(|now| !now.is_null()).map(with_unit),
        then: with_unit(&value["then"]),
    }
}

fn of_field(label: &str, value: &Value) -> Row {
    let label = visible(&label.replace('_', " ")).into_owned();
    match value.get("then") {
        Some(then) => Row { label, now: value.get("now").map(text_of), then: text_of(then) },
        None => Row { label, now: None, then: text_of(value) },
    }
}

fn without(arguments: &Map<String, Value>) -> Map<String, Value> {
    let is_shown = |(name, _): &(&String, &Value)| !APART.contains(&name.as_str());
    arguments.iter().filter(is_shown).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The arguments without those that are listed as changes.
fn without_changes(arguments: &Map<String, Value>) -> Map<String, Value> {
    let mut rest = without(arguments);
    rest.remove("set");
    if let Some(Value::Object(spec)) = rest.get_mut("spec") {
        spec.remove("overrides");
    }
    rest
}

/// The values of an object, each with its path.
fn leaves(value: &Value, path: &mut String, rows: &mut Vec<Row>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                leaves(value, path, rows);
                path.truncate(length);
            }
        }
        _ if path.is_empty() => {}
        value => rows.push(Row { label: visible(path).into_owned(), now: None, then: text_of(value) }),
    }
}

/// A value as text, shortened.
fn text_of(value: &Value) -> String {
    let text = match value {
        Value::String(text) => visible(text).into_owned(),
        Value::Null => "none".to_owned(),
        other => visible(&other.to_string()).into_owned(),
    };
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// The cost of a call: `about 3 minutes of training, 1.2 M tokens`; `None` for one without a cost of its own.
pub(super) fn cost(preview: &ProposalPreview) -> Option<String> {
    let data = &preview.data;
    let number = |value: &Value| value.as_f64().filter(|number| number.is_finite());
    let (estimate, sweep) = (&data["estimate"], &data["preview"]);
    let mut parts = vec![];
    if let Some(pairs) = data["most_pairs"].as_u64() {
        parts.push(format!("at most {} of runs", counted(pairs, "pair")));
    }
    if let Some(trials) = sweep["trials"].as_u64() {
        parts.push(counted(trials, "trial"));
    }
    let secs = [&estimate["secs"], &sweep["training_secs"], &data["most_secs"]].into_iter().find_map(number);
    let tokens = [&estimate["tokens"], &sweep["tokens"]].into_iter().find_map(number);
    parts.extend(secs.map(|secs| format!("{} of training on one device", about(secs))));
    parts.extend(tokens.map(|tokens| format!("{} tokens", short(tokens))));
    parts.extend(estimate["memory_bytes"].as_u64().map(|memory| format!("{} of memory", bytes(memory))));
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Why the call would be refused now.
pub(super) fn obstacle(preview: &ProposalPreview) -> Option<String> {
    preview.data["obstacle"].as_str().map(|text| visible(text).into_owned())
}

/// The message of an error.
pub(super) fn message(error: &Value) -> String {
    text_of(&error["message"])
}

/// What others have done to the run since the plan was computed.
pub(super) fn news(proposal: &Proposal) -> Option<String> {
    let events = proposal.newer_events;
    let what =
        if events == 1 { "1 command or note".to_owned() } else { format!("{} commands and notes", grouped(events)) };
    (events > 0).then(|| format!("Others have given this run {what} since the plan was computed."))
}

/// JSON on several lines.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// `Set hyperparameter`
pub(super) fn tool_words(tool: &str) -> String {
    let words = visible(tool).replace('_', " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn row(label: &str, now: Option<&str>, then: &str) -> Row {
        Row { label: label.into(), now: now.map(str::to_owned), then: then.into() }
    }

    #[test]
    fn a_plan_is_shown_as_the_values_that_change() {
        let arguments = map(json!({ "run": "fox", "path": "optimizer.grad_clip", "value": 0.5, "reason": "flat" }));
        let plan = json!({ "difference": { "path": "optimizer.grad_clip", "now": 1.0, "then": 0.5, "unit": "" } });
        assert_eq!(rows(&plan, &arguments), [row("optimizer.grad_clip", Some("1.0"), "0.5")]);
        let plan = json!({ "difference": { "state": { "now": "paused", "then": "stopped" } } });
        assert_eq!(rows(&plan, &arguments), [row("state", Some("paused"), "stopped")]);
        let plan = json!({ "difference": { "now": 2, "then": 4 } });
        assert_eq!(rows(&plan, &arguments), [row("schedule", Some("2"), "4")]);
        let spec = map(json!({ "spec": { "preset": "tiny", "overrides": { "model.seq": 16 } }, "reason": "a" }));
        let plan = json!({ "difference": [{ "path": "model.seq", "now": 64, "then": 16 }] });
        assert_eq!(rows(&plan, &spec), [row("model.seq", Some("64"), "16"), row("spec.preset", None, "tiny")]);
        assert_eq!(
            rows(&json!({}), &spec),
            [row("spec.overrides.model.seq", None, "16"), row("spec.preset", None, "tiny")]
        );
    }

    #[test]
    fn an_edit_is_shown_as_the_arguments_that_differ() {
        let proposed = map(json!({ "run": "fox", "value": 0.5, "set": { "a": 1, "b": 2 } }));
        let edited = map(json!({ "run": "fox", "value": 0.25, "set": { "a": 1 } }));
        assert_eq!(edits(&proposed, &edited), [row("value", Some("0.5"), "0.25"), row("set.b", Some("2"), "removed")]);
        assert_eq!(edits(&proposed, &proposed), []);
    }

    #[test]
    fn texts_of_agents_are_bounded_and_their_controls_are_visible() {
        assert_eq!(text_of(&json!("a\u{202e}b")), "a[U+202E]b");
        assert_eq!(text_of(&json!("x".repeat(500))).chars().count(), VALUE_CHARS + 2);
        assert_eq!(tool_words("set_hyperparameter"), "Set hyperparameter");
    }
}
