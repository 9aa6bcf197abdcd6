//! How a training without a server begins: a new run from a spec, or a run of the folder from its newest checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use engine::data::{corpus, dataset, generators};
use store::{NewRun, Store};
use wire::control::author::Author;
use wire::diagnosis::Act;
use wire::number::{counted, grouped};
use wire::run::References;
use wire::run::history::Past;
use wire::run::plan::{PlanView, check_spec, resolve};
use wire::{CorpusId, DeviceId, Event, RunId, RunPlan, RunSpec, RunState, Slot};
use worker::lock::DeviceLock;

use super::scores::check_tasks;
use super::{COMMAND_LINE, TrainError, acts};
use crate::cli::progress_bar::Line;
use crate::lab::open::{ServeError, open_store};
use crate::lab::settings::Settings;
use crate::live::clock::now_ms;
use crate::live::feed::report;
use crate::output;
use crate::runs::create::new_id;

/// A run that is ready to be trained.
pub(super) struct Ready {
    pub(super) run: RunId,
    pub(super) plan: RunPlan,
    pub(super) past: Past,
    /// Held while it trains.
    pub(super) lock: DeviceLock,
}

/// Creates a run from a spec. A spec that cannot be resolved creates no folder.
pub(super) async fn new_run(
    settings: &Settings,
    spec: RunSpec,
    acts: &BTreeMap<String, Act>,
) -> Result<(Store, Ready), TrainError> {
    check_spec(&spec)?;
    let store = open(settings).await?;
    check_tasks(&store, &spec.tasks).await?;
    let corpora = settings.corpora();
    let view = plan(&spec, &corpora)?;
    acts::check(acts, &view.plan)?;
    let lock = DeviceLock::take(&settings.data, &view.plan.device)?;
    let run = record(&store, &spec, &view, &corpora).await?;
    Ok((store, Ready { run, plan: view.plan, past: Past::default(), lock }))
}

/// Resumes a run from its newest intact checkpoint.
pub(super) async fn resume(
    settings: &Settings,
    run: &RunId,
    device: Option<DeviceId>,
    acts: &BTreeMap<String, Act>,
) -> Result<(Store, Ready), TrainError> {
    let store = open(settings).await?;
    let cannot = |why: &'static str| TrainError::NotResumed { run: run.clone(), why };
    let view = store.run(run).await?.ok_or_else(|| cannot("unknown run in this folder"))?;
    if view.summary.deleted_ms.is_some() {
        return Err(cannot("it is deleted; restore it in the lab first"));
    }
    if view.summary.state == RunState::Finished {
        return Err(cannot("it is finished; fork it in the lab to continue training from its end"));
    }
    if has_spool(&settings.data, run) {
        return Err(cannot(
            "reports of its last worker are not stored yet; start `kindling serve` on this folder once, which stores them",
        ));
    }
    acts::check(acts, &view.plan)?;
    let device = device.unwrap_or(view.plan.device);
    tokenize(&settings.corpora(), &RunPlan { device: device.clone(), ..view.plan })?;
    let lock = DeviceLock::take(&settings.data, &device)?;
    let author = Author::Person(COMMAND_LINE.to_owned());
    store.resume_run(run, None, report(author, view.summary.step, Event::Resumed, Some(RunState::Queued))).await?;
    let name = name_of(&device);
    let plan = store.set_device(run, &Slot::first(device.clone()), &name).await?;
    starting(&store, run, view.summary.step, name).await?;
    let past = store.past(run).await?;
    output::notice(format_args!(
        "{run}: {} of {} done, on {device}",
        grouped(view.summary.step),
        counted(plan.steps, "step")
    ));
    Ok((store, Ready { run: run.clone(), plan, past, lock }))
}

/// Whether a worker has left reports of the run on the disk.
fn has_spool(data: &Path, run: &RunId) -> bool {
    let slots = std::fs::read_dir(data.join("slots")).into_iter().flatten().flatten().map(|entry| entry.path());
    slots.chain([data.join("spool")]).any(|spool| spool.join(run.as_str()).exists())
}

async fn open(settings: &Settings) -> Result<Store, TrainError> {
    open_store(settings).await.map_err(|error| match error {
        ServeError::InUse { url: Some(ref url), .. } => {
            TrainError::ServerHasIt { url: url.clone(), data: settings.data.clone(), source: error }
        }
        other => other.into(),
    })
}

/// Resolves the spec. Generates built-in datasets that it names and the folder lacks, and tokenizes its datasets.
fn plan(spec: &RunSpec, corpora: &Path) -> Result<PlanView, TrainError> {
    for id in spec.corpus.iter().chain(spec.mix.iter().flat_map(|mix| mix.keys())) {
        make_built_in(corpora, id)?;
    }
    let view = resolve(spec, &corpus::list(corpora)?, &engine::device::list())?;
    tokenize(corpora, &view.plan)?;
    Ok(view)
}

fn tokenize(corpora: &Path, plan: &RunPlan) -> Result<(), TrainError> {
    let mut line = Line::new(format!("tokenizing with {}", plan.tokenizer));
    dataset::prepare(corpora, &plan.corpora(), plan.tokenizer, &mut |done, total, unit| line.show(done, total, unit))?;
    line.end();
    Ok(())
}

fn name_of(device: &DeviceId) -> String {
    let known = engine::device::list().into_iter().find(|known| known.id == *device);
    known.map_or_else(|| device.to_string(), |known| known.name)
}

async fn starting(store: &Store, run: &RunId, step: u64, device: String) -> Result<(), TrainError> {
    store.append(run, report(Author::System, step, Event::Starting { device }, Some(RunState::Starting))).await?;
    Ok(())
}

fn make_built_in(corpora: &Path, id: &CorpusId) -> Result<(), TrainError> {
    let is_built_in = matches!(id.as_str(), "tales" | "modular-addition" | "induction");
    if !is_built_in || corpus::read(corpora, id).is_ok() {
        return Ok(());
    }
    let mut line = Line::new(format!("generating the dataset {id}"));
    generators::generate(corpora, id, id.as_str(), 1, &mut |done, total, unit| line.show(done, total, unit))?;
    line.end();
    Ok(())
}

async fn record(store: &Store, spec: &RunSpec, view: &PlanView, corpora: &Path) -> Result<RunId, TrainError> {
    let (made_up, id) = new_id();
    let dataset = dataset::Dataset::open(corpora, &view.plan.corpora(), view.plan.tokenizer)?;
    let device_name = name_of(&view.plan.device);
    let new = NewRun {
        id: id.clone(),
        name: spec.name.clone().unwrap_or(made_up),
        corpus: view.plan.corpora().iter().map(ToString::to_string).collect::<Vec<_>>().join(" + "),
        spec: spec.clone(),
        plan: view.plan.clone(),
        estimate: view.estimate.clone(),
        references: References::new(view.plan.recipe.model.vocab, Some(dataset.info())),
        device_name: device_name.clone(),
        created_ms: now_ms(),
        author: Author::Person(COMMAND_LINE.to_owned()),
    };
    store.create_run(&new).await?;
    starting(store, &id, 0, device_name).await?;
    output::notice(format_args!(
        "{id}: {}, {} of {} on {}",
        counted(view.estimate.parameters, "parameter"),
        counted(view.plan.steps, "step"),
        counted(view.plan.tokens_per_step(), "token"),
        view.plan.device
    ));
    view.notes.iter().for_each(|note| output::notice(format_args!("  {note}")));
    Ok(id)
}
