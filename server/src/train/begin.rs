//! How a training without a server begins: from a spec, or where a run of the folder was left.

use std::path::Path;

use engine::{corpus, dataset};
use store::{NewRun, Store};
use wire::event::Author;
use wire::history::Past;
use wire::plan::{PlanView, resolve};
use wire::run::References;
use wire::{CorpusId, DeviceId, Event, RunId, RunPlan, RunSpec, RunState};
use worker::lock::DeviceLock;

use super::TrainError;
use crate::clock::{now_ms, random};
use crate::progress_bar::Line;
use crate::runs::report_of;
use crate::serve::{ServeError, open_store};
use crate::settings::Settings;

/// A run that can be trained at once.
pub(super) struct Ready {
    pub(super) run: RunId,
    pub(super) plan: RunPlan,
    pub(super) past: Past,
    /// Held as long as it trains.
    pub(super) lock: DeviceLock,
}

/// Makes a run of a spec. One that cannot be read leaves no folder behind.
pub(super) async fn anew(
    settings: &Settings,
    spec: &Path,
    device: Option<DeviceId>,
) -> Result<(Store, Ready), TrainError> {
    let mut spec = read_spec(spec)?;
    spec.device = device.or(spec.device);
    let store = open(settings).await?;
    let corpora = settings.corpora();
    let view = plan(&spec, &corpora)?;
    let lock = DeviceLock::take(&settings.data, &view.plan.device)?;
    let run = record(&store, &spec, &view, &corpora).await?;
    Ok((store, Ready { run, plan: view.plan, past: Past::default(), lock }))
}

/// Takes a run up from its newest whole checkpoint.
pub(super) async fn again(
    settings: &Settings,
    run: &RunId,
    device: Option<DeviceId>,
) -> Result<(Store, Ready), TrainError> {
    let store = open(settings).await?;
    let cannot = |why: &'static str| TrainError::NotResumed { run: run.clone(), why };
    let view = store.run(run).await?.ok_or_else(|| cannot("there is no such run in this folder"))?;
    if view.summary.deleted_ms.is_some() {
        return Err(cannot("it is deleted; bring it back in the lab first"));
    }
    if view.summary.state == RunState::Finished {
        return Err(cannot("it is finished; fork it in the lab to go on from its end"));
    }
    if settings.data.join("spool").join(run.as_str()).exists() {
        return Err(cannot("reports of its last worker are not stored yet; serve the lab once, and they will be"));
    }
    let device = device.unwrap_or(view.plan.device);
    cut(&settings.corpora(), &RunPlan { device: device.clone(), ..view.plan })?;
    let lock = DeviceLock::take(&settings.data, &device)?;
    let by_hand = Author::Person(COMMAND_LINE.to_owned());
    store.resume_run(run, report_of(by_hand, view.summary.step, Event::Resumed, Some(RunState::Queued))).await?;
    let name = name_of(&device);
    let plan = store.place_on(run, &device, &name).await?;
    starting(&store, run, view.summary.step, name).await?;
    let past = store.past(run).await?;
    eprintln!("{run}: {} of {} steps are done, on {device}", view.summary.step, plan.steps);
    Ok((store, Ready { run: run.clone(), plan, past, lock }))
}

async fn open(settings: &Settings) -> Result<Store, TrainError> {
    open_store(settings).await.map_err(|error| match error {
        ServeError::InUse { url: Some(ref url), .. } => {
            TrainError::ServerHasIt { url: url.clone(), data: settings.data.clone(), source: error }
        }
        other => other.into(),
    })
}

/// Who steers a run without a server.
pub(super) const COMMAND_LINE: &str = "command line";

/// Reads a spec. Overrides may be written by path (`"optimizer.rate" = 1e-3`) or as tables (`optimizer.rate = 1e-3`).
fn read_spec(path: &Path) -> Result<RunSpec, TrainError> {
    let text = std::fs::read_to_string(path).map_err(|source| TrainError::File { path: path.to_owned(), source })?;
    let spec = |message: String| TrainError::Spec { path: path.to_owned(), message };
    let mut read: RunSpec = toml::from_str(&text).map_err(|source| spec(source.to_string()))?;
    read.overrides =
        std::mem::take(&mut read.overrides).into_iter().flat_map(|(path, value)| by_path(path, value)).collect();
    Ok(read)
}

fn by_path(path: String, value: serde_json::Value) -> Vec<(String, serde_json::Value)> {
    match value {
        // A shape is a value of its own: `{wsd = {decay_steps = 100}}`.
        serde_json::Value::Object(table) if path != "schedule.shape" => {
            table.into_iter().flat_map(|(key, value)| by_path(format!("{path}.{key}"), value)).collect()
        }
        value => vec![(path, value)],
    }
}

/// Resolves the spec, makes the lab's own texts where they are wanted and missing, and cuts them into tokens.
fn plan(spec: &RunSpec, corpora: &Path) -> Result<PlanView, TrainError> {
    for id in spec.corpus.iter().chain(spec.mix.iter().flat_map(|mix| mix.keys())) {
        make_built_in(corpora, id)?;
    }
    let view = resolve(spec, &corpus::list(corpora)?, &engine::device::list())?;
    cut(corpora, &view.plan)?;
    Ok(view)
}

fn cut(corpora: &Path, plan: &RunPlan) -> Result<(), TrainError> {
    let mut line = Line::new(format!("cutting text into {} tokens", plan.tokenizer));
    dataset::prepare(corpora, &plan.corpora(), plan.tokenizer, &mut |done, total, unit| line.show(done, total, unit))?;
    line.end();
    Ok(())
}

fn name_of(device: &DeviceId) -> String {
    let known = engine::device::list().into_iter().find(|known| known.id == *device);
    known.map_or_else(|| device.to_string(), |known| known.name)
}

async fn starting(store: &Store, run: &RunId, step: u64, device: String) -> Result<(), TrainError> {
    store.append(run, report_of(Author::Lab, step, Event::Starting { device }, Some(RunState::Starting))).await?;
    Ok(())
}

fn make_built_in(corpora: &Path, id: &CorpusId) -> Result<(), TrainError> {
    let is_ours = matches!(id.as_str(), "tales" | "modular-addition" | "induction");
    if !is_ours || corpus::read(corpora, id).is_ok() {
        return Ok(());
    }
    let mut line = Line::new(format!("making {id}"));
    corpus::generate(corpora, id, id.as_str(), 1, &mut |done, total, unit| line.show(done, total, unit))?;
    line.end();
    Ok(())
}

async fn record(store: &Store, spec: &RunSpec, view: &PlanView, corpora: &Path) -> Result<RunId, TrainError> {
    let (made_up, id) = wire::id::name_run(random());
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
    eprintln!(
        "{id}: {} parameters, {} steps of {} tokens on {}",
        view.estimate.parameters,
        view.plan.steps,
        view.plan.tokens_per_step(),
        view.plan.device
    );
    view.notes.iter().for_each(|note| eprintln!("  {note}"));
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_reads_the_same_by_path_and_by_table() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let path = folder.path().join("spec.toml");
            std::fs::write(&path, text).unwrap();
            read_spec(&path)
        };
        let by_path = read("preset = \"tiny\"\ncorpus = \"tales\"\nsteps = 9\n[overrides]\n\"optimizer.rate\" = 1e-3\n\"model.layers\" = 3\n").unwrap();
        let by_table = read(
            "preset = \"tiny\"\ncorpus = \"tales\"\nsteps = 9\n[overrides]\noptimizer.rate = 1e-3\nmodel.layers = 3\n",
        )
        .unwrap();
        assert_eq!(by_path, by_table);
        let shaped = read("corpus = \"tales\"\n[overrides]\nschedule.shape = { wsd = { decay_steps = 5 } }\n").unwrap();
        assert!(shaped.overrides["schedule.shape"].is_object());
        assert!(matches!(read("presett = 1"), Err(TrainError::Spec { .. })));
    }
}
