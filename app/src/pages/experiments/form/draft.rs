//! What is typed in the form of a new experiment, and the specification that it makes.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::Value;
use wire::data::corpus::CorpusInfo;
use wire::experiment::check::{FEWEST_PAIRS, MOST_PAIRS};
use wire::experiment::{Baseline, Change, DecisionRule, ExperimentBudget, ExperimentSpec, Metric, Prediction};
use wire::hyperparameters::table::{self, Values};
use wire::run::plan::MAX_STEPS;
use wire::run::preset;
use wire::{PlanError, RunId, RunSpec};

use crate::components::{TypedNumber, dataset_entries, read_number, run_name};
use crate::net::api::datasets;
use crate::net::live::Live;
use crate::projects::Projects;

/// Beginning of the value of an entry that is a preset; a run is its id.
const PRESET: &str = "preset:";
/// Runs that can be chosen.
const RUNS: usize = 100;
const STEPS: Values = Values::Integer { min: 1, max: MAX_STEPS };
const ANY: Values = Values::Number { min: -1e12, max: 1e12 };
const POSITIVE: Values = Values::Number { min: 0.0, max: 1e12 };
const PAIRS: Values = Values::Integer { min: FEWEST_PAIRS as u64, max: MOST_PAIRS as u64 };

/// A hyperparameter of the change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ChangeRow {
    pub(super) number: u32,
    pub(super) path: RwSignal<String>,
    pub(super) value: RwSignal<String>,
}

impl ChangeRow {
    pub(super) fn new(number: u32) -> Self {
        let path = RwSignal::new("optimizer.learning_rate".to_owned());
        Self { number, path, value: RwSignal::new(String::new()) }
    }

    /// The value as the table of hyperparameters reads it.
    fn read(self) -> Value {
        value_of(&self.path.read(), &self.value.read())
    }
}

/// A value as it is typed: a number, a word, or JSON.
pub(in crate::pages::experiments) fn value_of(path: &str, text: &str) -> Value {
    let text = text.trim();
    let values = table::find(path).map(|row| row.values);
    match values {
        Some(Values::Number { .. } | Values::Integer { .. }) => {
            let number = values.and_then(|values| read_number(text, values).ok());
            number.map_or_else(|| Value::String(text.to_owned()), |number| number.to_json())
        }
        Some(Values::Choice(_)) => Value::String(text.to_owned()),
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

/// The form.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pub(super) title: RwSignal<String>,
    pub(super) hypothesis: RwSignal<String>,
    pub(super) project: RwSignal<Option<String>>,
    /// `preset:NAME`, or the id of a run.
    pub(super) baseline: RwSignal<String>,
    pub(super) corpus: RwSignal<String>,
    pub(super) steps: TypedNumber,
    pub(super) changes: RwSignal<Vec<ChangeRow>>,
    /// Another dataset for the variant; empty for the same.
    pub(super) other_corpus: RwSignal<String>,
    /// Name of the series; empty for the validation loss.
    pub(super) series: RwSignal<String>,
    pub(super) higher_is_better: RwSignal<bool>,
    pub(super) difference: TypedNumber,
    pub(super) probability: TypedNumber,
    pub(super) effect: TypedNumber,
    pub(super) alpha: TypedNumber,
    pub(super) min_pairs: TypedNumber,
    pub(super) max_pairs: TypedNumber,
    pub(super) budget_steps: TypedNumber,
    pub(super) hours: TypedNumber,
    pub(super) budget_pairs: TypedNumber,
    datasets: RwSignal<Vec<CorpusInfo>>,
    live: Live,
    projects: Projects,
}

impl Draft {
    /// An empty form; `from` is the run of the baseline.
    pub(super) fn open(from: Option<String>) -> Self {
        let is_run = |text: &String| text.parse::<RunId>().is_ok();
        let baseline = from.filter(is_run).unwrap_or_else(|| format!("{PRESET}tiny"));
        let draft = Self {
            title: RwSignal::default(),
            hypothesis: RwSignal::default(),
            project: RwSignal::new(None),
            baseline: RwSignal::new(baseline),
            corpus: RwSignal::new("tales".to_owned()),
            steps: TypedNumber::optional(STEPS),
            changes: RwSignal::new(vec![ChangeRow::new(0)]),
            other_corpus: RwSignal::default(),
            series: RwSignal::default(),
            higher_is_better: RwSignal::new(false),
            difference: TypedNumber::new(ANY, ""),
            probability: TypedNumber::new(Values::Number { min: 0.0, max: 1.0 }, ""),
            effect: TypedNumber::new(POSITIVE, ""),
            alpha: TypedNumber::optional(Values::Number { min: 0.001, max: 0.5 }),
            min_pairs: TypedNumber::optional(PAIRS),
            max_pairs: TypedNumber::optional(PAIRS),
            budget_steps: TypedNumber::optional(STEPS),
            hours: TypedNumber::new(POSITIVE, "1"),
            budget_pairs: TypedNumber::optional(PAIRS),
            datasets: RwSignal::default(),
            live: expect_context(),
            projects: expect_context(),
        };
        spawn_local(async move {
            // Without the list, the dataset of the baseline is the built-in one.
            if let Ok(found) = datasets::list().await {
                draft.datasets.try_set(found);
            }
        });
        draft
    }

    /// The specification, if it is valid.
    pub(super) fn checked(self) -> Result<ExperimentSpec, PlanError> {
        for (label, path, number) in self.numbers() {
            if let Some(problem) = number.problem() {
                return Err(PlanError::new(path, format!("{label}: {problem}")));
            }
        }
        if let Some(path) = self.repeated() {
            let message = format!("the change gives {path} two values");
            return Err(PlanError::new("change.overrides", message).hint("remove one of them"));
        }
        let spec = self.spec();
        spec.check()?;
        Ok(spec)
    }

    /// A hyperparameter with more than one value, of which the specification could have only one.
    fn repeated(self) -> Option<String> {
        let rows = self.changes.read();
        let typed = rows.iter().filter(|row| !row.value.read().trim().is_empty());
        let mut paths: Vec<String> = typed.map(|row| row.path.get()).collect();
        paths.sort_unstable();
        paths.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
    }

    /// The numbers, with their labels and their paths in errors.
    pub(super) fn numbers(self) -> [(&'static str, &'static str, TypedNumber); 10] {
        [
            ("Steps", "baseline.steps", self.steps),
            ("Predicted difference", "prediction.difference", self.difference),
            ("Probability of confirmation", "prediction.probability", self.probability),
            ("Smallest effect that counts", "rule.effect", self.effect),
            ("Level alpha", "rule.alpha", self.alpha),
            ("Minimum pairs", "rule.min_pairs", self.min_pairs),
            ("Maximum pairs", "rule.max_pairs", self.max_pairs),
            ("Maximum steps per run", "budget.steps", self.budget_steps),
            ("Maximum device hours", "budget.device_hours", self.hours),
            ("Maximum pairs (budget)", "budget.pairs", self.budget_pairs),
        ]
    }

    /// Shows what is wrong with each number.
    pub(super) fn touch_numbers(self) {
        self.numbers().into_iter().for_each(|(.., number)| number.touch());
    }

    fn spec(self) -> ExperimentSpec {
        let number = |typed: TypedNumber| typed.number().unwrap_or(f64::NAN);
        let usual = DecisionRule::default();
        ExperimentSpec {
            title: self.title.read().trim().to_owned(),
            hypothesis: self.hypothesis.read().trim().to_owned(),
            project: self.project_of_runs(),
            baseline: self.baseline(),
            change: self.change(),
            metric: self.metric(),
            prediction: Prediction { difference: number(self.difference), probability: number(self.probability) },
            rule: DecisionRule {
                effect: number(self.effect),
                alpha: self.alpha.number().unwrap_or(usual.alpha),
                min_pairs: self.min_pairs.small_integer().unwrap_or(usual.min_pairs),
                max_pairs: self.most_pairs(),
            },
            budget: ExperimentBudget {
                steps: self.budget_steps.integer().or_else(|| self.planned_steps()).unwrap_or(0),
                device_hours: number(self.hours),
                pairs: self.budget_pairs.small_integer(),
            },
        }
    }

    /// The chosen project; of a preset, which has none, that of a new run. `None` for that of the run.
    pub(super) fn project_of_runs(self) -> Option<String> {
        let of_preset = || if self.has_preset() { self.projects.of_new_run() } else { None };
        self.project.get().or_else(of_preset)
    }

    fn baseline(self) -> Baseline {
        let (chosen, steps) = (self.baseline.read(), self.steps.integer());
        match chosen.strip_prefix(PRESET) {
            Some(name) => {
                let (preset, corpus) = (Some(name.to_owned()), self.corpus.read().parse().ok());
                Baseline { spec: Some(RunSpec { preset, corpus, steps, ..RunSpec::default() }), ..Baseline::default() }
            }
            None => Baseline { run: chosen.parse().ok(), steps, spec: None },
        }
    }

    fn change(self) -> Change {
        let rows = self.changes.read();
        let typed = rows.iter().filter(|row| !row.value.read().trim().is_empty());
        let overrides: BTreeMap<String, Value> = typed.map(|row| (row.path.get(), row.read())).collect();
        Change { overrides, corpus: self.other_corpus.read().parse().ok(), ..Change::default() }
    }

    fn metric(self) -> Metric {
        let series = Some(self.series.read().trim().to_owned()).filter(|series| !series.is_empty());
        let higher_is_better = series.is_some() && self.higher_is_better.get();
        Metric { series, higher_is_better }
    }

    /// The unit of the metric in a sentence.
    pub(super) fn unit(self) -> String {
        let metric = self.metric();
        let unit = metric.unit();
        if unit.is_empty() { format!("the unit of {}", metric.label()) } else { unit }
    }

    pub(super) fn most_pairs(self) -> u32 {
        self.max_pairs.small_integer().unwrap_or(DecisionRule::default().max_pairs)
    }

    pub(super) fn has_preset(self) -> bool {
        self.baseline.read().starts_with(PRESET)
    }

    /// The steps of a run, if they are known here.
    pub(super) fn planned_steps(self) -> Option<u64> {
        let chosen = self.baseline.get();
        let of_plan = || match chosen.strip_prefix(PRESET) {
            Some(name) => preset::find(name, None).ok().map(|preset| preset.steps),
            None => {
                let lab = self.live.lab.read();
                lab.as_ref()?.runs.iter().find(|run| run.id.as_str() == chosen).map(|run| run.steps)
            }
        };
        self.steps.integer().or_else(of_plan)
    }

    /// The presets, and the newest runs that are no forks.
    pub(super) fn baselines(self) -> Vec<(String, String)> {
        let presets = preset::presets()
            .into_iter()
            .map(|preset| (format!("{PRESET}{}", preset.name), format!("preset {}", preset.name)));
        let lab = self.live.lab.read();
        let runs = lab.iter().flat_map(|lab| &lab.runs);
        let runs = runs.filter(|run| run.parent.is_none() && run.deleted_ms.is_none()).take(RUNS);
        let mut entries: Vec<(String, String)> =
            runs.map(|run| (run.id.to_string(), run_name(self.live, &run.id))).chain(presets).collect();
        let chosen = self.baseline.get();
        if !entries.iter().any(|(value, _)| *value == chosen) {
            entries.insert(0, (chosen.clone(), chosen));
        }
        entries
    }

    /// The datasets by name.
    pub(super) fn dataset_entries(self) -> Vec<(String, String)> {
        dataset_entries(&self.datasets.read(), self.corpus.get())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_as_the_table_expects_them() {
        for (path, text, expected) in [
            ("optimizer.learning_rate", " 1e-3 ", json!(1e-3)),
            ("model.layers", "3", json!(3)),
            ("model.layers", "many", json!("many")),
            ("optimizer.kind", "muon", json!("muon")),
            ("schedule.shape", "cosine", json!("cosine")),
            ("schedule.shape", r#"{"wsd":{"decay_steps":5}}"#, json!({ "wsd": { "decay_steps": 5 } })),
        ] {
            assert_eq!(value_of(path, text), expected, "{path} {text}");
        }
    }
}
