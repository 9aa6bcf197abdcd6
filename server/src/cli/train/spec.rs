//! The spec of a training on the command line: a file, options that override it, and `--set` for single hyperparameters.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Number, Value};
use wire::{CorpusId, RunSpec};

use super::{TrainArgs, TrainError};

/// One `--set PATH=VALUE`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Override {
    path: String,
    value: Value,
}

impl Override {
    /// One entry for each hyperparameter that it sets.
    pub(in crate::cli) fn entries(self) -> Vec<(String, Value)> {
        by_path(self.path, self.value)
    }
}

/// The error of a text that is not an override.
#[derive(Debug, thiserror::Error)]
#[error("expected PATH=VALUE, such as optimizer.learning_rate=1e-3")]
pub(in crate::cli) struct OverrideError;

/// Reads `PATH=VALUE`. The value is JSON, or else text: `true`, `1e-3`, `[50, 100]`, `cosine`.
pub(in crate::cli) fn parse_override(text: &str) -> Result<Override, OverrideError> {
    let (path, value) = text.split_once('=').ok_or(OverrideError)?;
    let (path, value) = (path.trim(), value.trim());
    if path.is_empty() || value.is_empty() {
        return Err(OverrideError);
    }
    Ok(Override { path: path.to_owned(), value: read_value(value) })
}

/// Also reads numbers that JSON does not know, such as `.5` and `+1`.
fn read_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let number = text.parse().ok().and_then(Number::from_f64);
        number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
    })
}

/// The spec of the arguments: that of the file, overridden by the options.
pub(super) fn spec_of(args: &TrainArgs) -> Result<RunSpec, TrainError> {
    let mut spec = match &args.spec {
        Some(path) => read_spec(path)?,
        None => RunSpec { corpus: Some(usual_corpus(args.preset.as_deref())?), ..RunSpec::default() },
    };
    if args.corpus.is_some() {
        (spec.corpus, spec.mix) = (args.corpus.clone(), None);
    }
    replace(&mut spec.preset, &args.preset);
    replace(&mut spec.depth, &args.depth);
    replace(&mut spec.tokenizer, &args.tokenizer);
    replace(&mut spec.steps, &args.steps);
    replace(&mut spec.seed, &args.seed);
    replace(&mut spec.name, &args.name);
    replace(&mut spec.device, &args.device);
    spec.tasks.retain(|own| args.tasks.iter().all(|other| other.task != own.task));
    spec.tasks.extend(args.tasks.iter().cloned());
    spec.overrides.extend(args.overrides.iter().cloned().flat_map(Override::entries));
    Ok(spec)
}

fn replace<T: Clone>(field: &mut Option<T>, option: &Option<T>) {
    if option.is_some() {
        field.clone_from(option);
    }
}

/// The built-in dataset that a preset is made for.
fn usual_corpus(preset: Option<&str>) -> Result<CorpusId, TrainError> {
    let intended = preset.and_then(wire::run::preset::intended_dataset);
    Ok(intended.map_or("tales", |(id, _)| id).parse()?)
}

/// Reads a spec. Overrides may be written by path (`"optimizer.learning_rate" = 1e-3`) or as tables (`optimizer.learning_rate = 1e-3`).
fn read_spec(path: &Path) -> Result<RunSpec, TrainError> {
    let text = std::fs::read_to_string(path).map_err(|source| TrainError::File { path: path.to_owned(), source })?;
    let mut spec: RunSpec =
        toml::from_str(&text).map_err(|source| TrainError::Spec { path: path.to_owned(), source: Box::new(source) })?;
    split_tables(&mut spec.overrides);
    Ok(spec)
}

/// Replaces overrides that are tables by one override for each path.
pub(in crate::cli) fn split_tables(overrides: &mut BTreeMap<String, Value>) {
    *overrides = std::mem::take(overrides).into_iter().flat_map(|(path, value)| by_path(path, value)).collect();
}

/// The overrides of a value: one for each path, where tables stand for the parts of a path.
fn by_path(path: String, value: Value) -> Vec<(String, Value)> {
    match value {
        // A shape is one value: `{wsd = {decay_steps = 100}}`.
        Value::Object(table) if path != "schedule.shape" => {
            table.into_iter().flat_map(|(key, value)| by_path(format!("{path}.{key}"), value)).collect()
        }
        value => vec![(path, value)],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_reads_the_same_by_path_and_by_table() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let path = folder.path().join("spec.toml");
            std::fs::write(&path, text).unwrap();
            read_spec(&path)
        };
        let head = "preset = \"tiny\"\ncorpus = \"tales\"\nsteps = 9\n[overrides]\n";
        let by_path = read(&format!("{head}\"optimizer.learning_rate\" = 1e-3\n\"model.layers\" = 3\n")).unwrap();
        let by_table = read(&format!("{head}optimizer.learning_rate = 1e-3\nmodel.layers = 3\n")).unwrap();
        assert_eq!(by_path, by_table);
        let shaped = read("corpus = \"tales\"\n[overrides]\nschedule.shape = { wsd = { decay_steps = 5 } }\n").unwrap();
        assert!(shaped.overrides["schedule.shape"].is_object());
        assert!(matches!(read("presett = 1"), Err(TrainError::Spec { .. })));
    }

    #[test]
    fn overrides_are_read_as_json_or_text() {
        let check = |text: &str, path: &str, value: Value| {
            let expected = Override { path: path.to_owned(), value };
            assert_eq!(parse_override(text).unwrap(), expected, "{text}");
        };
        check("a.b=1e-3", "a.b", json!(1e-3));
        check("a.b=.5", "a.b", json!(0.5));
        check(" a.b = 6 ", "a.b", json!(6));
        check("a=true", "a", json!(true));
        check("a=[50, 100]", "a", json!([50, 100]));
        check("a=cosine", "a", json!("cosine"));
        check("a=inf", "a", json!("inf"));
        check("a=b=c", "a", json!("b=c"));
        check(r#"a={"wsd": {"decay_steps": 5}}"#, "a", json!({"wsd": {"decay_steps": 5}}));
        for bad in ["a", "=1", "a=", "", " = "] {
            assert!(parse_override(bad).is_err(), "{bad:?}");
        }
    }
}
