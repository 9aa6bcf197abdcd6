//! The spec that is being edited and the plan to which it resolves.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::project::DEFAULT_PROJECT;
use wire::data::corpus::CorpusInfo;
use wire::data::tokenizer::Tokenizer;
use wire::device::{DeviceInfo, DeviceKind};
use wire::fleet::LOCAL_POOL;
use wire::hyperparameters::table;
use wire::run::copy::spec_of;
use wire::run::plan::{self, PlanView};
use wire::run::preset::{self, PresetInfo};
use wire::task::lab::TaskSchedule;
use wire::{CorpusId, PlanError, RunId, RunSpec, RunSummary, RunView};

use crate::components::is_usable;
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::projects::Projects;

/// Preset of a new draft.
const DEFAULT_PRESET: &str = "nanogpt-cpu";

/// The state of the form, in the context of its sections.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pub(super) spec: RwSignal<RunSpec>,
    found: RwSignal<Option<Result<Vec<CorpusInfo>, ApiFailure>>>,
    /// The datasets that a run of the chosen project can use; `None` until they are fetched.
    pub(super) datasets: Memo<Option<Result<Vec<CorpusInfo>, ApiFailure>>>,
    projects: Projects,
    /// The devices of the lab.
    pub(super) devices: Memo<Vec<DeviceInfo>>,
    /// The pool of each of them.
    pools: Memo<Vec<String>>,
    /// The plan, or why the spec does not resolve; `None` until the datasets are fetched.
    pub(super) outcome: Memo<Option<Result<PlanView, PlanError>>>,
    /// Fields whose text is not a number that they accept.
    unreadable: RwSignal<BTreeSet<&'static str>>,
}

impl Draft {
    /// A draft with the default preset; fetches the datasets.
    pub(super) fn new() -> Self {
        let live = expect_context::<Live>();
        let spec = RwSignal::new(RunSpec { preset: Some(DEFAULT_PRESET.into()), ..RunSpec::default() });
        let found = RwSignal::new(None::<Result<Vec<CorpusInfo>, ApiFailure>>);
        let projects = expect_context::<Projects>();
        let project = Memo::new(move |_| spec.read().project.clone());
        let datasets = Memo::new(move |_| {
            let project = project.get();
            let project = project.as_deref().unwrap_or(DEFAULT_PROJECT);
            let usable = |found: Vec<CorpusInfo>| found.into_iter().filter(|info| is_usable(info, project)).collect();
            found.get().map(|found| found.map(usable))
        });
        let devices = Memo::new(move |_| {
            let lab = live.lab.read();
            lab.iter().flat_map(|lab| &lab.devices).map(|device| device.info.clone()).collect::<Vec<DeviceInfo>>()
        });
        let pools = Memo::new(move |_| {
            let lab = live.lab.read();
            lab.iter().flat_map(|lab| &lab.devices).map(|device| device.pool.clone()).collect::<Vec<String>>()
        });
        let outcome = Memo::new(move |_| {
            let spec = spec.read();
            resolve(&spec, &datasets.read(), &candidates(&spec, &devices.read(), &pools.read()))
        });
        let draft = Self { spec, found, datasets, projects, devices, pools, outcome, unreadable: RwSignal::default() };
        draft.follow_project(project);
        draft.fetch_datasets();
        draft
    }

    /// Keeps a project of this person chosen, once the projects are known, and datasets that it can use.
    fn follow_project(self, project: Memo<Option<String>>) {
        let projects = self.projects;
        Effect::new(move || {
            let is_chosen = project.read().as_ref().is_some_and(|name| projects.steerable.read().contains(name));
            let proposed = projects.of_new_run();
            if !is_chosen && proposed.is_some() {
                self.set(|spec| spec.project = proposed);
            }
        });
        Effect::new(move || {
            let (found, datasets) = (self.found.read(), self.datasets.read());
            let (Some(Ok(found)), Some(Ok(usable))) = (&*found, &*datasets) else { return };
            // A dataset that was deleted stays chosen, and the plan says that it is unknown.
            let has = |list: &[CorpusInfo], corpus: &CorpusId| list.iter().any(|info| info.id == *corpus);
            let is_foreign = |corpus: &CorpusId| has(found, corpus) && !has(usable, corpus);
            let is_due = self.spec.with_untracked(|spec| match (&spec.corpus, &spec.mix) {
                (None, None) => true,
                (Some(corpus), _) => is_foreign(corpus),
                (None, Some(mix)) => mix.keys().any(is_foreign),
            });
            if is_due {
                let preferred = usable.iter().find(|info| info.id.as_str() == "tales").or(usable.first());
                let preferred = preferred.map(|info| info.id.clone());
                self.set(|spec| (spec.corpus, spec.mix) = (preferred, None));
            }
        });
    }

    /// Fetches the datasets.
    pub(super) fn fetch_datasets(self) {
        spawn_local(async move {
            let answer = api::datasets::list().await;
            self.found.try_set(Some(answer));
        });
    }

    /// Copies the spec of another run, which is in a project. The dataset stays if the copy has none.
    pub(super) fn copy(self, project: String, copy: RunSpec) {
        let projects = self.projects;
        // The copy belongs to the project of the original if this person can start runs there. A lab with one project names none.
        let project = untrack(|| match projects.steerable.read().contains(&project) {
            true => Some(project),
            false => projects.of_new_run(),
        });
        self.set(|spec| {
            let is_without = copy.corpus.is_none() && copy.mix.is_none();
            let corpus = if is_without { spec.corpus.take() } else { copy.corpus.clone() };
            *spec = RunSpec { corpus, project, ..copy };
        });
    }

    /// The copied run.
    pub(super) fn copied_from(self) -> Option<RunId> {
        self.spec.read().copied_from.clone()
    }

    /// Changes the spec.
    pub(super) fn set(self, change: impl FnOnce(&mut RunSpec)) {
        self.spec.try_update(change);
    }

    /// The selected preset, for the selected depth if it has one.
    pub(super) fn preset(self) -> Option<PresetInfo> {
        let spec = self.spec.read();
        preset::find(spec.preset.as_deref().unwrap_or(DEFAULT_PRESET), spec.depth).ok()
    }

    /// The tokenizer: the selected one, or that of the preset.
    pub(super) fn tokenizer(self) -> Tokenizer {
        let chosen = self.spec.read().tokenizer;
        chosen.or_else(|| self.preset().map(|preset| preset.tokenizer)).unwrap_or(Tokenizer::Char)
    }

    /// The selected dataset; `None` for a mix.
    pub(super) fn dataset(self) -> Option<CorpusInfo> {
        let id = self.spec.read().corpus.clone()?;
        self.datasets.read().as_ref()?.as_ref().ok()?.iter().find(|dataset| dataset.id == id).cloned()
    }

    /// The selected datasets that have not been tokenized with the tokenizer of the run, those of a mix too.
    pub(super) fn untokenized(self) -> Vec<CorpusInfo> {
        let tokenizer = self.tokenizer();
        let spec = self.spec.read();
        let is_chosen =
            |id: &CorpusId| spec.corpus.as_ref() == Some(id) || spec.mix.iter().any(|mix| mix.contains_key(id));
        let datasets = self.datasets.read();
        let known = datasets.iter().flatten().flatten().filter(|info| is_chosen(&info.id));
        known.filter(|info| info.datasets.iter().all(|known| known.tokenizer != tokenizer)).cloned().collect()
    }

    /// The plan of the spec with a change: sizes and times of the other cards.
    pub(super) fn resolve_with(self, change: impl FnOnce(&mut RunSpec)) -> Option<Result<PlanView, PlanError>> {
        let mut spec = self.spec.get();
        change(&mut spec);
        let candidates = candidates(&spec, &self.devices.read(), &self.pools.read());
        resolve(&spec, &self.datasets.read(), &candidates)
    }

    /// The selected pool, if none of its workers has connected: the run then waits for one.
    pub(super) fn pool_without_worker(self) -> Option<String> {
        let pool = self.spec.read().pool.clone()?;
        let is_empty = !self.pools.read().contains(&pool);
        is_empty.then_some(pool)
    }

    /// Whether the plan lacks only a device, which connects within a few seconds after the start of the server.
    pub(super) fn is_waiting_for_device(self) -> bool {
        self.devices.read().is_empty() && matches!(&*self.outcome.read(), Some(Err(error)) if error.field == "device")
    }

    /// What is wrong at a field, and what to do.
    pub(super) fn error_at(self, field: &str) -> Option<(String, Option<String>)> {
        // The plan is then that of the last number, and the field itself says what is wrong.
        if self.is_unreadable(field) {
            return None;
        }
        match &*self.outcome.read() {
            Some(Err(error)) if error.field == field || error.field.strip_prefix("overrides.") == Some(field) => {
                Some((error.message.clone(), error.hint.clone()))
            }
            _ => None,
        }
    }

    /// Whether all fields are readable.
    pub(super) fn is_readable(self) -> bool {
        self.unreadable.read().is_empty()
    }

    /// The fields to correct: those that are not readable, and the one that the plan refuses.
    fn faulty(self) -> BTreeSet<String> {
        let outcome = self.outcome.read();
        let refused = match &*outcome {
            Some(Err(error)) => Some(error.field.strip_prefix("overrides.").unwrap_or(&error.field)),
            _ => None,
        };
        let refused = refused.filter(|field| table::find(field).is_some());
        let unreadable = self.unreadable.read();
        unreadable.iter().map(|field| (*field).to_owned()).chain(refused.map(str::to_owned)).collect()
    }

    /// How many hyperparameters must be corrected; steps and seed are fields of other sections.
    pub(super) fn faulty_count(self) -> usize {
        self.faulty().iter().filter(|field| table::find(field).is_some()).count()
    }

    /// The labels of the fields that must be corrected.
    pub(super) fn faulty_labels(self) -> String {
        let label = |field: &String| match field.as_str() {
            "steps" => "Steps".to_owned(),
            "seed" => "Seed".to_owned(),
            path => table::find(path).map_or(path, |row| row.label).to_owned(),
        };
        self.faulty().iter().map(label).collect::<Vec<_>>().join(", ")
    }

    /// Whether the text of a field is not a number that it accepts.
    pub(super) fn is_unreadable(self, field: &str) -> bool {
        self.unreadable.read().contains(field)
    }

    /// Discards all changed hyperparameters, and every text that cannot be read.
    pub(super) fn reset_hyperparameters(self) {
        self.unreadable.set(BTreeSet::new());
        self.set(|spec| spec.overrides.clear());
    }

    /// Marks a field as readable, or as unreadable.
    pub(super) fn set_readable(self, field: &'static str, is_readable: bool) {
        if self.unreadable.read_untracked().contains(field) == is_readable {
            self.unreadable.update(|fields| {
                if is_readable {
                    fields.remove(field)
                } else {
                    fields.insert(field)
                };
            });
        }
    }
}

/// A run, and a spec for a new run with its plan and the tasks on which its checkpoints are scored now.
pub(in crate::pages) async fn copied(run: &RunId) -> Result<(RunSummary, RunSpec), ApiFailure> {
    let view = api::run(run).await?;
    let tasks = api::tasks::of_run(run).await?.schedules;
    Ok((view.summary.clone(), copied_spec(view, tasks)))
}

fn copied_spec(view: RunView, tasks: Vec<TaskSchedule>) -> RunSpec {
    let RunView { summary, spec, plan, .. } = view;
    let (device, pool, priority) = (spec.device.clone(), spec.pool.clone(), spec.priority);
    // The spec of a fork has only what differs from its parent, and that of an imported model nothing: the plan has all of it.
    let is_whole = spec.parent.is_none() && (spec.corpus.is_some() || spec.mix.is_some());
    let spec = if is_whole { spec } else { RunSpec { device, pool, priority, ..spec_of(&plan) } };
    let preset = spec.preset.clone().unwrap_or(DEFAULT_PRESET.into());
    RunSpec { name: None, copied_from: Some(summary.id), preset: Some(preset), tasks, ..spec }
}

/// The devices that the server plans a spec for: those of its pool, or a stand-in for the first to come; all if it names one; and otherwise
/// those of the server's own machine, or all if it has none.
fn candidates(spec: &RunSpec, devices: &[DeviceInfo], pools: &[String]) -> Vec<DeviceInfo> {
    let of = |pool: &str| -> Vec<DeviceInfo> {
        devices.iter().zip(pools).filter(|(_, of)| of.as_str() == pool).map(|(device, _)| device.clone()).collect()
    };
    let pool = spec.pool.as_deref();
    let found = if spec.device.is_some() { vec![] } else { of(pool.unwrap_or(LOCAL_POOL)) };
    match (pool, "any".parse()) {
        _ if !found.is_empty() => found,
        (Some(_), Ok(id)) => vec![DeviceInfo::unknown(id, "the first worker of the pool", DeviceKind::Cpu)],
        _ => devices.to_vec(),
    }
}

fn resolve(
    spec: &RunSpec,
    datasets: &Option<Result<Vec<CorpusInfo>, ApiFailure>>,
    devices: &[DeviceInfo],
) -> Option<Result<PlanView, PlanError>> {
    match datasets {
        Some(Ok(datasets)) => Some(plan::resolve(spec, datasets, devices)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wire::run::spec::Parent;

    use super::*;

    #[test]
    fn a_copy_of_a_fork_has_its_plan_and_no_parent() {
        let mut view = crate::curves::fixture::view();
        let parent = Parent {
            run: view.summary.id.clone(),
            step: None,
            checkpoint: None,
            changes: vec![],
            refit_schedule: false,
            control_of: None,
        };
        view.spec = RunSpec { parent: Some(parent), steps: Some(900), ..RunSpec::default() };
        let (id, plan) = (view.summary.id.clone(), view.plan.clone());
        let tasks = vec![TaskSchedule { task: "capitals".parse().unwrap(), every: 1 }];
        let copy = copied_spec(view, tasks.clone());
        assert_eq!(copy.tasks, tasks, "the schedules of now, which may be others than those of the spec");
        assert_eq!((copy.parent.is_none(), copy.copied_from, copy.steps), (true, Some(id), Some(plan.steps)));
        assert_eq!(copy.preset.as_deref(), Some(plan.preset.as_str()));
        assert!(copy.corpus.is_some() || copy.mix.is_some() || plan.mix.is_empty());
    }
}
