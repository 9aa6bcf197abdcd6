//! Datasets whose text no provider of a model gets. All tools read the lab by the requests of `caller`, so their text is replaced in one
//! place: in the replies of the routes that have text. A run has the text of the datasets of its plan and of those of the runs that it was
//! forked from, whose weights it began with.

use std::collections::BTreeSet;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use wire::inspect::result::InspectionResult;
use wire::inspect::update::InspectionUpdate;
use wire::{RunId, encode};

use crate::api::series::POSTCARD;
use crate::error::ApiError;
use crate::lab::Lab;

/// The placeholder of a text.
pub const WITHHELD: &str = "[withheld: text of a protected dataset]";
/// Forks of forks that are followed.
const MOST_PARENTS: usize = 64;
/// Fields of inspection results whose texts are names of the program.
const NAMES: [&str; 5] = ["corpus", "depths", "gradients", "name", "tensor"];
/// Fields of inspection results with ids of tokens, from which a known tokenizer gives the text.
const TOKENS: [&str; 3] = ["token", "top", "words"];
/// Fields of a dataset that have its text.
const OF_DATASET: [&str; 2] = ["alphabet", "sample"];

/// What the texts of a reply come from.
enum Texts<'a> {
    /// Events of a run, of which samples have text.
    Events(&'a str),
    /// Inspection results of a run.
    Inspection(&'a str),
    /// Datasets: one, or all of a list.
    Dataset(Option<&'a str>),
    /// Anything that a checkpoint of any run has written.
    Completion,
}

/// The texts of the replies at a path below the API; `None` where replies have no text of datasets.
fn texts(path: &str) -> Option<Texts<'_>> {
    let path = path.split('?').next().unwrap_or(path);
    match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["runs", run, "events" | "commands"] => Some(Texts::Events(run)),
        ["runs", run, "inspections" | "snapshots", ..] => Some(Texts::Inspection(run)),
        ["corpora"] => Some(Texts::Dataset(None)),
        ["corpora", dataset, ..] => Some(Texts::Dataset(Some(dataset))),
        ["completions"] => Some(Texts::Completion),
        _ => None,
    }
}

/// The body of a reply without the text of protected datasets, and the datasets of which it may have text.
///
/// # Errors
/// 403 for a reply in another format than JSON, except inspections in postcard, and for completions while any dataset is protected; an error
/// of the store.
pub async fn withhold(
    lab: &Lab,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(Bytes, BTreeSet<String>), ApiError> {
    let Some(texts) = texts(path) else { return Ok((body, BTreeSet::new())) };
    let protected = lab.store().protected_datasets().await?;
    let datasets = match texts {
        Texts::Events(run) | Texts::Inspection(run) => of_run(lab, run).await?,
        Texts::Dataset(Some(dataset)) => BTreeSet::from([dataset.to_owned()]),
        Texts::Dataset(None) | Texts::Completion => BTreeSet::new(),
    };
    let is_protected = !datasets.is_disjoint(&protected);
    let is_touched = match texts {
        Texts::Dataset(None) | Texts::Completion => !protected.is_empty(),
        _ => is_protected,
    };
    if !is_touched {
        let datasets = match texts {
            Texts::Dataset(None) => serde_json::from_slice(&body).as_ref().map(ids).unwrap_or_default(),
            _ => datasets,
        };
        return Ok((body, datasets));
    }
    if matches!(texts, Texts::Inspection(_)) && content_is(headers, POSTCARD) {
        return Ok((without_text(&body)?, BTreeSet::new()));
    }
    let is_json = content_is(headers, "application/json");
    let mut value: Value = match serde_json::from_slice(&body) {
        Ok(value) if is_json && !matches!(texts, Texts::Completion) => value,
        _ => return Err(refused()),
    };
    match texts {
        Texts::Events(_) => hide_samples(&mut value),
        Texts::Inspection(_) => hide_result(&mut value),
        Texts::Dataset(_) => hide_datasets(&mut value, &protected),
        Texts::Completion => {}
    }
    let left = if matches!(texts, Texts::Dataset(None)) { &ids(&value) - &protected } else { BTreeSet::new() };
    Ok((Bytes::from(value.to_string()), left))
}

/// The datasets of a list.
fn ids(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).map(str::to_owned).collect()
}

fn content_is(headers: &HeaderMap, kind: &str) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|found| found.as_bytes().starts_with(kind.as_bytes()))
}

/// An inspection in postcard without its text.
fn without_text(body: &[u8]) -> Result<Bytes, ApiError> {
    let mut update: InspectionUpdate = encode::from_bytes(body).map_err(|_| refused())?;
    if let InspectionUpdate::Result { result, .. } = &mut update {
        hide_inspection(result);
    }
    let encoded = encode::to_bytes(&update);
    encoded.map(Bytes::from).map_err(|source| ApiError::internal("encoding an inspection", source))
}

fn refused() -> ApiError {
    let message = "the text of a protected dataset is not given to agents";
    ApiError::new(StatusCode::FORBIDDEN, "dataset_protected", message)
        .hint("read the metrics of the run instead; a person can read the text on the page")
}

/// The datasets whose text the weights of a run were trained on.
pub async fn of_run(lab: &Lab, run: &str) -> Result<BTreeSet<String>, ApiError> {
    let mut datasets = BTreeSet::new();
    let mut next = run.parse::<RunId>().ok();
    for _ in 0..MOST_PARENTS {
        let Some(run) = next.take() else { break };
        let Some(view) = lab.store().run(&run).await? else { break };
        datasets.extend(view.plan.mix.iter().map(|part| part.corpus.to_string()));
        next = view.summary.parent.map(|parent| parent.run);
    }
    Ok(datasets)
}

/// Replaces prompt and text of samples.
fn hide_samples(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_samples),
        Value::Object(fields) if fields.get("kind").is_some_and(|kind| kind == "sampled") => {
            fields.iter_mut().filter(|(name, _)| *name != "kind").for_each(|(_, value)| hide(value));
        }
        Value::Object(fields) => fields.values_mut().for_each(hide_samples),
        _ => {}
    }
}

/// Removes the texts and tokens of inspection results, except names of the program. The request that a result repeats stays.
fn hide_result(value: &mut Value) {
    match value {
        Value::String(_) => hide(value),
        Value::Array(items) => items.iter_mut().for_each(hide_result),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "inspection" | "message" => {}
                    name if NAMES.contains(&name) => {}
                    name if TOKENS.contains(&name) => *value = Value::Null,
                    _ => hide_result(value),
                }
            }
        }
        _ => {}
    }
}

/// As [`hide_result`], for a result that is not JSON.
fn hide_inspection(result: &mut InspectionResult) {
    match result {
        InspectionResult::Overview { tokens, .. }
        | InspectionResult::Attention { tokens, .. }
        | InspectionResult::Neurons { tokens, .. } => hide_tokens(tokens),
        InspectionResult::LogitLens { tokens, cells, words, .. } => {
            hide_tokens(tokens);
            words.clear();
            cells.iter_mut().flatten().for_each(|cell| cell.top.iter_mut().for_each(|(token, _)| *token = 0));
        }
        InspectionResult::Neuron { contexts, .. } => {
            contexts.iter_mut().for_each(|context| hide_tokens(&mut context.tokens));
        }
        InspectionResult::Embedding { points, .. } => points.iter_mut().for_each(|point| {
            (point.token, point.text) = (0, WITHHELD.to_owned());
        }),
        InspectionResult::Batch { rows, .. } => rows.iter_mut().for_each(|row| hide_tokens(&mut row.tokens)),
        InspectionResult::Interventions { tokens, completion_before, completion_after, .. } => {
            hide_tokens(tokens);
            WITHHELD.clone_into(completion_before);
            WITHHELD.clone_into(completion_after);
        }
        InspectionResult::Weights { .. }
        | InspectionResult::Matrix { .. }
        | InspectionResult::ParameterStats { .. } => {}
    }
}

fn hide_tokens(tokens: &mut [String]) {
    tokens.iter_mut().for_each(|token| WITHHELD.clone_into(token));
}

/// Replaces the texts of protected datasets.
fn hide_datasets(value: &mut Value, protected: &BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hide_datasets(item, protected)),
        Value::Object(fields) => {
            if !fields.get("id").and_then(Value::as_str).is_some_and(|id| protected.contains(id)) {
                return;
            }
            fields.remove("import");
            fields.iter_mut().for_each(|(name, value)| hide_fields(name, value));
        }
        _ => {}
    }
}

fn hide_fields(name: &str, value: &mut Value) {
    match value {
        value if OF_DATASET.contains(&name) => hide(value),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_fields("", item)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| hide_fields(name, value)),
        _ => {}
    }
}

/// Replaces every text of a value.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) => WITHHELD.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => fields.values_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_samples_inspections_and_datasets_are_replaced() {
        let mut events = json!([
            { "number": 1, "event": { "kind": "sampled", "prompt": "a", "text": "secret", "temperature": 0.8 } },
            { "number": 2, "event": { "kind": "annotated", "text": "a note" } },
        ]);
        hide_samples(&mut events);
        assert_eq!(
            events,
            json!([
                { "number": 1, "event": { "kind": "sampled", "prompt": WITHHELD, "text": WITHHELD, "temperature": 0.8 } },
                { "number": 2, "event": { "kind": "annotated", "text": "a note" } },
            ])
        );
        let mut result = json!({ "Result": {
            "step": 3, "inspection": { "batch": { "step": 3 } },
            "result": { "batch": { "rows": [{ "corpus": "tales", "tokens": ["secret"], "losses": [1.0] }],
                "gradients": [["embedding", 0.5]] } },
        } });
        hide_result(&mut result);
        let batch = &result["Result"]["result"]["batch"];
        assert_eq!(batch["rows"][0], json!({ "corpus": "tales", "tokens": [WITHHELD], "losses": [1.0] }));
        assert_eq!(batch["gradients"], json!([["embedding", 0.5]]));
        let mut datasets = json!([
            { "id": "mine", "name": "Mine", "sample": "secret", "alphabet": "abc", "datasets": [{ "sample": [[1, "se"]] }] },
            { "id": "other", "sample": "open" },
        ]);
        hide_datasets(&mut datasets, &BTreeSet::from(["mine".to_owned()]));
        assert_eq!(
            datasets,
            json!([
                { "id": "mine", "name": "Mine", "sample": WITHHELD, "alphabet": WITHHELD,
                    "datasets": [{ "sample": [[1, WITHHELD]] }] },
                { "id": "other", "sample": "open" },
            ])
        );
    }
}
