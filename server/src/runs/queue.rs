//! Assigns queued runs to idle processes of devices, in the order of each device's queue. Where a device trains several runs at once, a run
//! starts only if it fits in its memory beside those that train there; until it does, no later run overtakes it. A run whose datasets are not tokenized yet waits at the head
//! of its queue while they are. A run whose reports are still on a worker's disk is skipped until they are stored. A run
//! that was posted before its device had reported is planned when it has.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wire::control::author::Author;
use wire::data::corpus::DatasetInfo;
use wire::number::grouped;
use wire::run::References;
use wire::{Event, RunId, RunPlan, RunState, RunSummary, RunView, Slot};

use super::devices::{self, Room};
use super::plan::plan;
use super::{resume_elsewhere, waiting};
use crate::error::ApiError;
use crate::lab::{Lab, limits};
use crate::live::feed::report;
use crate::workers::fleet::{Assignment, FreeSlot};

/// Maximum time between two checks of the queues, in case a wake-up was missed.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Runs whose datasets are being tokenized.
#[derive(Clone, Default)]
struct Preparing(Arc<Mutex<HashSet<RunId>>>);

impl Preparing {
    // A set of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the queues for as long as the server runs.
pub async fn serve(lab: Lab) {
    let preparing = Preparing::default();
    loop {
        // After a timeout the queues are checked as after a wake-up.
        let _ = tokio::time::timeout(CHECK_EVERY, lab.feed.queue_woken()).await;
        if let Err(error) = plan_waiting(&lab).await {
            tracing::error!("runs that wait for their device to report could not be planned: {error}");
        }
        lab.workers.fleet.shut_down_surplus();
        // Each start may take the place of the others of its device.
        let mut served = BTreeSet::new();
        while let Some(free) = lab.workers.fleet.free().into_iter().find(|free| !served.contains(&free.slot)) {
            if let Err(error) = serve_slot(&lab, &preparing, &free).await {
                tracing::error!("the queue of {} could not be served: {error}", free.slot);
            }
            served.insert(free.slot);
        }
        let in_preparation = preparing.lock().clone();
        if let Err(error) = waiting::explain(&lab, &in_preparation).await {
            tracing::error!("the reasons why runs wait could not be stored: {error}");
        }
    }
}

/// Plans the runs again whose device had not reported when they were posted, and has now.
async fn plan_waiting(lab: &Lab) -> Result<(), ApiError> {
    let is_any_known = !lab.workers.fleet.infos().is_empty();
    let Some(stand_in) = devices::stand_in().filter(|_| is_any_known) else { return Ok(()) };
    for run in lab.store().waiting_for(&stand_in).await? {
        let Some(RunView { spec, .. }) = lab.store().run(&run).await? else { continue };
        if !devices::has_reported(&spec, &devices::candidates(lab, &spec)) {
            continue;
        }
        match plan(lab, &spec).await {
            Ok(view) => {
                let device_name = devices::name_of(lab, &spec, &view.plan.device);
                if lab.store().set_plan(&run, &view, &device_name).await? {
                    set_state(lab, &run, RunState::Queued, None).await?;
                }
            }
            Err(error) => fail(lab, &run, "the run cannot start", &error).await?,
        }
    }
    Ok(())
}

async fn serve_slot(lab: &Lab, preparing: &Preparing, free: &FreeSlot) -> Result<(), ApiError> {
    let FreeSlot { slot, device, pool, training } = free;
    let full: Vec<String> = limits::full_projects(lab).await?.into_keys().collect();
    let queue = lab.store().queue(&device.id, device.kind, pool, &full, devices::AHEAD).await?;
    let is_ready = |run: &RunId| !lab.workers.fleet.has_unstored_reports(run);
    let next = queue.into_iter().find(|(run, plan)| is_ready(run) && devices::fits(plan, device));
    let Some((run, plan)) = next else { return Ok(()) };
    if preparing.lock().contains(&run) || devices::room(lab, &plan, device, training).await? != Room::Enough {
        return Ok(());
    }
    let Some(dataset) = lab.data.corpora.dataset(&plan).await else {
        preparing.lock().insert(run.clone());
        tokio::spawn(prepare(lab.clone(), preparing.clone(), run, plan));
        return Ok(());
    };
    if let Err(error) = check_length(&plan, &dataset) {
        fail(lab, &run, "the run cannot start", &error).await?;
        lab.feed.wake_queue();
        return Ok(());
    }
    // They were not known when the run was created, if its dataset was tokenized since, for this run or for another.
    let references = References::new(plan.recipe.model.vocab, Some(&dataset));
    lab.store().set_references(&run, &references).await?;
    start(lab, slot, &device.name, &run).await
}

/// Both splits must hold a sequence of the plan. How many tokens a text has is known only when it is tokenized.
fn check_length(plan: &RunPlan, dataset: &DatasetInfo) -> Result<(), ApiError> {
    let (needed, shortest) = (plan.recipe.model.seq as u64 + 1, dataset.train_tokens.min(dataset.valid_tokens));
    if shortest >= needed {
        return Ok(());
    }
    let split = if dataset.train_tokens < dataset.valid_tokens { "training" } else { "validation" };
    let message = format!(
        "the dataset is too short: its {split} split has {} {} tokens, a sequence needs {} (context length + 1)",
        grouped(shortest),
        plan.tokenizer,
        grouped(needed)
    );
    let error = ApiError::invalid("text_too_short", message);
    Err(match shortest {
        0..=2 => error.hint("use a larger dataset"),
        _ => {
            error.hint(format!("set the context length to at most {}, or use a larger dataset", grouped(shortest - 1)))
        }
    })
}

/// Assigns a run. Its state is stored first, so that it is never assigned twice.
async fn start(lab: &Lab, slot: &Slot, device_name: &str, run: &RunId) -> Result<(), ApiError> {
    let store = lab.store();
    let before = lab.feed.summary(run).await?;
    set_state(lab, run, RunState::Starting, None).await?;
    let plan = store.set_device(run, slot, device_name).await?;
    // After the device is set: from then on no report of the process before is stored.
    let (past, seq) =
        (resume_elsewhere::past(lab, run, &before.device, &slot.device).await?, store.stored_seq(run).await?);
    let assignment = Assignment { run: run.clone(), pool: before.pool };
    if !lab.workers.fleet.assign(slot, assignment.clone(), plan, past, seq) {
        // The device has gone meanwhile.
        lab.workers.unassign(assignment).await?;
        return Ok(());
    }
    lab.workers.subscriptions.resend(run);
    Ok(())
}

/// Tokenizes the datasets of a run. A dataset that cannot be tokenized fails the run.
async fn prepare(lab: Lab, preparing: Preparing, run: RunId, plan: RunPlan) {
    let ended = tokenize(&lab, &run, &plan).await;
    let noted = match ended {
        Ok(()) => set_state(&lab, &run, RunState::Queued, None).await,
        Err(error) => fail(&lab, &run, "the dataset could not be tokenized", &error).await,
    };
    if let Err(error) = noted {
        tracing::error!("the state of {run} after tokenizing its dataset could not be stored: {error}");
    }
    preparing.lock().remove(&run);
    lab.feed.wake_queue();
}

async fn tokenize(lab: &Lab, run: &RunId, plan: &RunPlan) -> Result<(), ApiError> {
    let corpora = plan.corpora();
    let named = corpora.iter().map(|corpus| corpus.as_str()).collect::<Vec<_>>().join(" and ");
    let Some(first) = corpora.first() else { return Err(ApiError::invalid("plan_invalid", "the plan has no dataset")) };
    let title = format!("Tokenizing {named} ({})", plan.tokenizer);
    // The message only informs; the run starts without it too.
    let _ = set_state(lab, run, RunState::Queued, Some(format!("{title}; then the run starts"))).await;
    let job = lab.data.begin_job(title, first.clone(), "bytes");
    lab.data.corpora.tokenize(corpora, plan.tokenizer, job).await?;
    Ok(())
}

async fn fail(lab: &Lab, run: &RunId, what: &str, error: &ApiError) -> Result<(), ApiError> {
    let failed = Event::Failed { message: format!("{what}: {error}") };
    lab.feed.append(run, report(Author::System, 0, failed, Some(RunState::Failed))).await?;
    Ok(())
}

/// Sets the state of a queued run, except of one that was stopped or deleted meanwhile.
async fn set_state(lab: &Lab, run: &RunId, state: RunState, message: Option<String>) -> Result<(), ApiError> {
    match lab.feed.set_state_if(run, is_queued, state, message).await? {
        true => Ok(()),
        false => Err(ApiError::conflict("run_over", format!("{run} was stopped or deleted meanwhile"))),
    }
}

/// Whether a run waits for a device.
fn is_queued(run: &RunSummary) -> bool {
    run.state == RunState::Queued && run.deleted_ms.is_none()
}
