//! What is typed in the form of a new sweep, the specification that it makes, and the preview of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::Value;
use wire::data::corpus::CorpusInfo;
use wire::hyperparameters::table::{TABLE, Values};
use wire::run::plan::MAX_STEPS;
use wire::run::preset;
use wire::sweep::preview::SweepPreview;
use wire::sweep::sampler::SamplerKind;
use wire::sweep::space::Space;
use wire::sweep::spec::{Direction, MAX_AT_ONCE, MAX_TRIALS, Metric, SweepSpec};
use wire::{RunId, RunSpec};

use super::fault::Fault;
use super::row::Row;
use super::thresholds::Thresholds;
use crate::components::{SEEDS, TypedNumber, sentence, visible};
use crate::net::api::{self, ApiFailure, sweeps};
use crate::pages::new_run::copied;
use crate::projects::Projects;

/// Time without a change after which the preview is requested.
const PAUSE: Duration = Duration::from_millis(400);
/// Preset of a sweep without a run to start from: a sweep of small trials ends soon.
const DEFAULT_PRESET: &str = "tiny";
const STEPS: Values = Values::Integer { min: 1, max: MAX_STEPS };
const TRIALS: Values = Values::Integer { min: 1, max: MAX_TRIALS };
const SEEDS_PER_POINT: Values = Values::Integer { min: 1, max: 100 };
const AT_ONCE: Values = Values::Integer { min: 1, max: MAX_AT_ONCE as u64 };
/// Trials of a new form.
const FIRST_TRIALS: u64 = 20;
/// Hyperparameters of the table that cannot vary: the tokenizer sets the vocabulary, and a breakpoint pauses a run.
const FIXED: [&str; 2] = ["model.vocab", "breakpoints"];

/// The answer of the server to a specification.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Previewed {
    pub(super) spec: SweepSpec,
    pub(super) answer: Result<SweepPreview, ApiFailure>,
}

/// The form.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pub(super) name: RwSignal<String>,
    /// The run of each trial, apart from its steps.
    pub(super) base: RwSignal<RunSpec>,
    /// Name of the run whose plan is the base.
    pub(super) source: RwSignal<Option<String>>,
    /// Why the run of the address was not copied.
    pub(super) not_copied: RwSignal<Option<String>>,
    pub(super) steps: TypedNumber,
    pub(super) rows: RwSignal<Vec<Row>>,
    next_row: StoredValue<u32>,
    /// One constraint in each line.
    pub(super) constraints: RwSignal<String>,
    pub(super) sampler: RwSignal<SamplerKind>,
    pub(super) sampler_seed: TypedNumber,
    pub(super) trials: TypedNumber,
    pub(super) seeds_per_point: TypedNumber,
    pub(super) at_once: TypedNumber,
    pub(super) metric: RwSignal<String>,
    pub(super) direction: RwSignal<Direction>,
    pub(super) thresholds: Thresholds,
    pub(super) stop_on_alerts: RwSignal<bool>,
    /// Fetched once; empty before.
    pub(super) datasets: RwSignal<Vec<CorpusInfo>>,
    /// Whether the datasets were fetched, or could not be. Before, the base has no dataset, which is no error of a person.
    has_datasets: RwSignal<bool>,
    /// Whether the form has its first values. Those of a copied run arrive later.
    pub(super) is_begun: RwSignal<bool>,
    /// The specification, or the first field that cannot be read.
    pub(super) spec: Memo<Result<SweepSpec, Fault>>,
    /// The newest answer of the server.
    pub(super) previewed: RwSignal<Option<Previewed>>,
}

impl Draft {
    /// A form with the base `tiny` and the learning rate as its parameter, or with the plan of a run as the base.
    pub(super) fn open(from: Option<String>) -> Self {
        let base = RunSpec { preset: Some(DEFAULT_PRESET.to_owned()), ..RunSpec::default() };
        let draft = Self {
            name: RwSignal::new("learning rate".to_owned()),
            base: RwSignal::new(base),
            source: RwSignal::new(None),
            not_copied: RwSignal::new(None),
            steps: TypedNumber::optional(STEPS),
            rows: RwSignal::new(vec![]),
            next_row: StoredValue::new(0),
            constraints: RwSignal::default(),
            sampler: RwSignal::new(SamplerKind::Tpe),
            sampler_seed: TypedNumber::optional(SEEDS),
            trials: TypedNumber::optional(TRIALS),
            seeds_per_point: TypedNumber::optional(SEEDS_PER_POINT),
            at_once: TypedNumber::optional(AT_ONCE),
            metric: RwSignal::new(Metric::default().name),
            direction: RwSignal::new(Direction::Lower),
            thresholds: Thresholds::new(),
            stop_on_alerts: RwSignal::new(true),
            datasets: RwSignal::default(),
            has_datasets: RwSignal::new(false),
            is_begun: RwSignal::new(from.is_none()),
            // Replaced below: it reads the other fields.
            spec: Memo::new(|_| Err(Fault { field: String::new(), message: String::new() })),
            previewed: RwSignal::new(None),
        };
        draft.trials.set(FIRST_TRIALS);
        draft.follow_project();
        draft.fetch_datasets();
        match from {
            Some(from) => draft.copy(from),
            None => draft.add("optimizer.learning_rate"),
        }
        let draft = Self { spec: Memo::new(move |_| draft.read()), ..draft };
        draft.preview_changes();
        draft
    }

    /// Keeps a project of this person chosen, once the projects are known.
    fn follow_project(self) {
        let projects = expect_context::<Projects>();
        Effect::new(move || {
            let base = self.base.read();
            let is_chosen = base.project.as_ref().is_some_and(|name| projects.steerable.read().contains(name));
            drop(base);
            let proposed = projects.of_new_run();
            if !is_chosen && proposed.is_some() {
                self.base.update(|base| base.project = proposed);
            }
        });
    }

    fn fetch_datasets(self) {
        spawn_local(async move {
            // Without the list the dataset is that of the base; the preview says if it cannot be used.
            let Ok(found) = api::datasets::list().await else {
                self.has_datasets.try_set(true);
                return;
            };
            let first = found.iter().find(|info| info.id.as_str() == "tales").or(found.first());
            let first = first.map(|info| info.id.clone());
            self.datasets.try_set(found);
            self.base.try_update(|base| {
                if base.corpus.is_none() && base.mix.is_none() {
                    base.corpus = first;
                }
            });
            self.has_datasets.try_set(true);
        });
    }

    /// Makes the plan of a run the base.
    fn copy(self, from: String) {
        spawn_local(async move {
            match from.parse::<RunId>() {
                Ok(run) => self.copy_run(&run).await,
                Err(error) => drop(self.not_copied.try_set(Some(sentence(&error.to_string())))),
            }
            if self.rows.try_with_untracked(Vec::is_empty) == Some(true) {
                self.add("optimizer.learning_rate");
            }
            self.is_begun.try_set(true);
        });
    }

    async fn copy_run(self, run: &RunId) {
        match copied(run).await {
            Ok((summary, spec)) => {
                let (name, project) = (summary.name, Some(summary.project));
                self.steps.set(spec.steps.map(|steps| steps.to_string()).unwrap_or_default());
                self.base.try_set(RunSpec { project, ..base_of(spec) });
                self.source.try_set(Some(name));
            }
            Err(failure) => drop(self.not_copied.try_set(Some(visible(&failure.sentence()).into_owned()))),
        }
    }

    /// Adds a parameter with values around that of the base.
    pub(super) fn add(self, name: &str) {
        let base = untrack(|| self.base_value(name));
        let number = self.next_row.get_value();
        if let Some(row) = Row::new(number, name, base.as_ref()) {
            self.next_row.set_value(number + 1);
            self.rows.update(|rows| rows.push(row));
        }
    }

    pub(super) fn remove(self, number: u32) {
        self.rows.update(|rows| rows.retain(|row| row.number != number));
    }

    /// The value of a parameter in the base.
    pub(super) fn base_value(self, name: &str) -> Option<Value> {
        let base = self.base.read();
        if let Some(value) = base.overrides.get(name) {
            return Some(value.clone());
        }
        let preset = preset::find(base.preset.as_deref()?, base.depth).ok()?;
        match name {
            "steps" => Some(base.steps.unwrap_or(preset.steps).into()),
            "depth" => base.depth.map(Value::from),
            _ => {
                let row = wire::hyperparameters::table::find(name)?;
                let recipe = serde_json::to_value(preset.recipe_for(base.steps.unwrap_or(preset.steps))).ok()?;
                row.value_in(&recipe).cloned()
            }
        }
    }

    /// The names of the parameters that can be added, in the order of the table.
    pub(super) fn available(self) -> Vec<String> {
        let rows = self.rows.read();
        let used: Vec<String> = rows.iter().map(|row| row.name.get_value()).collect();
        let has_depth = self.base.read().preset.as_deref() == Some("depth");
        let depth = has_depth.then(|| "depth".to_owned());
        let table = TABLE.iter().map(|row| row.path.to_owned()).filter(|path| !FIXED.contains(&path.as_str()));
        let datasets = self.datasets.read();
        let weights: Vec<String> = datasets.iter().map(|info| format!("mix.{}", info.id)).collect();
        let all = table.chain(["steps".to_owned()]).chain(depth).chain(weights);
        all.filter(|name| !used.contains(name)).collect()
    }

    /// The specification.
    fn read(self) -> Result<SweepSpec, Fault> {
        let number = |field: &str, number: TypedNumber| match number.is_readable() {
            true => Ok(number.integer()),
            false => Err(Fault { field: field.to_owned(), message: number.problem().unwrap_or_default() }),
        };
        let small = |field: &str, typed: TypedNumber| {
            Ok::<u32, Fault>(number(field, typed)?.and_then(|value| value.try_into().ok()).unwrap_or(1))
        };
        let mut base = self.base.get();
        base.steps = number("base.steps", self.steps)?;
        let mut parameters = BTreeMap::new();
        for row in self.rows.read().iter() {
            let name = row.name.get_value();
            let parameter = row.read().map_err(|message| Fault { field: parameter_field(&name), message })?;
            parameters.insert(name, parameter);
        }
        let constraints = self.constraints.read();
        let constraints = constraints.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(SweepSpec {
            name: self.name.read().trim().to_owned(),
            base,
            space: Space { parameters, constraints: constraints.map(str::to_owned).collect(), seeds: vec![] },
            sampler: self.sampler.get(),
            seed: number("seed", self.sampler_seed)?.unwrap_or(1),
            trials: number("trials", self.trials)?,
            seeds_per_point: small("seeds_per_point", self.seeds_per_point)?,
            at_once: small("at_once", self.at_once)?,
            metric: Metric { name: self.metric.read().trim().to_owned(), direction: self.direction.get() },
            stopping: self.thresholds.read()?,
            stop_on_alerts: self.stop_on_alerts.get(),
            priority: None,
            imported_from: None,
        })
    }

    /// Requests a preview after each pause in typing. The answer to an older specification is ignored.
    fn preview_changes(self) {
        let changes = StoredValue::new(0_u64);
        Effect::new(move || {
            let is_complete = self.is_begun.get() && self.has_datasets.get();
            let Some(spec) = self.spec.get().ok().filter(|_| is_complete) else { return };
            changes.update_value(|changes| *changes += 1);
            let change = changes.get_value();
            let is_current = move || changes.try_get_value() == Some(change);
            set_timeout(
                move || {
                    if is_current() {
                        spawn_local(async move {
                            let answer = sweeps::preview(&spec).await;
                            if is_current() {
                                self.previewed.try_set(Some(Previewed { spec, answer }));
                            }
                        });
                    }
                },
                PAUSE,
            );
        });
    }

    /// Whether the preview is that of the specification as it is now.
    pub(super) fn is_previewed(self) -> bool {
        let spec = self.spec.read();
        let previewed = self.previewed.read();
        matches!((&*spec, &*previewed), (Ok(spec), Some(previewed)) if previewed.spec == *spec)
    }

    /// What is wrong at a field, or below it, and what to do.
    pub(super) fn error_at(self, field: &str) -> Option<(String, Option<String>)> {
        let is_at = |found: &str| found == field || found.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'));
        if let Err(fault) = &*self.spec.read() {
            return is_at(&fault.field).then(|| (fault.message.clone(), None));
        }
        match &*self.previewed.read() {
            Some(Previewed { answer: Err(failure), .. }) => {
                let is_here = failure.body.field.as_deref().is_some_and(is_at);
                is_here.then(|| (failure.body.message.clone(), failure.body.hint.clone()))
            }
            _ => None,
        }
    }
}

/// The field of a parameter in errors.
pub(super) fn parameter_field(name: &str) -> String {
    format!("space.parameters.{name}")
}

/// The plan of a run as the base of trials: without what a sweep gives itself, and without breakpoints, which would pause each trial.
fn base_of(spec: RunSpec) -> RunSpec {
    let mut overrides = spec.overrides;
    overrides.remove("breakpoints");
    RunSpec { overrides, name: None, parent: None, priority: None, copied_from: None, steps: None, ..spec }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_base_has_nothing_that_a_sweep_gives() {
        let spec: RunSpec = serde_json::from_value(json!({
            "preset": "tiny", "corpus": "tales", "steps": 50, "name": "a", "priority": 3, "seed": 7,
            "overrides": { "breakpoints": [10], "model.layers": 1 },
        }))
        .unwrap();
        let expected: RunSpec = serde_json::from_value(
            json!({ "preset": "tiny", "corpus": "tales", "seed": 7, "overrides": { "model.layers": 1 } }),
        )
        .unwrap();
        assert_eq!(base_of(spec), expected);
    }
}
