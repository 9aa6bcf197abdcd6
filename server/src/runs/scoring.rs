//! Scores of checkpoints on evaluation tasks. They are computed one at a time, each by a process with the model, which shares the inference slots
//! with completions and inspections. Those that people request come first, then those that the schedules of runs ask for: what is due is read
//! from the store, so a server that was killed continues where it was.
//!
//! - [`process`]: the process with the model; [`command`]: a program of this machine. The scores that wait are in [`crate::lab::scores`].

pub mod command;
pub mod process;

use std::sync::LazyLock;
use std::time::Duration;

use engine::task::built_in::built_in;
use store::Scored;
use tokio::time::timeout;
use wire::control::author::Author;
use wire::task::lab::{NewScore, RunTasks, TaskInfo, TaskSchedule, WaitingScore, check_schedules};
use wire::task::result::TaskResult;
use wire::task::{BUILT_IN, Task, TaskName};
use wire::{CheckpointId, Event, RunId};

use super::availability;
use super::completion::{gone, no_checkpoint};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::evaluator::Evaluator;
use crate::lab::scores::Request;
use crate::live::feed::report;
use process::ScoreRequest;

/// Maximum time between two looks at the schedules: a checkpoint may have been saved meanwhile.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long loading a checkpoint and scoring it may take.
const WITHIN: Duration = Duration::from_secs(3600);

/// All tasks, the built-in ones first.
///
/// # Errors
/// An error of the store.
pub async fn tasks(lab: &Lab) -> Result<Vec<TaskInfo>, ApiError> {
    let added = lab.store().tasks().await?;
    let evaluators = lab.settings.evaluators.iter().map(Evaluator::info);
    // A task that was added before the server had an evaluator of its name.
    let is_other = |task: &TaskInfo| evaluator(lab, &task.name).is_none();
    Ok(built_in_infos().iter().cloned().chain(evaluators).chain(added.into_iter().filter(is_other)).collect())
}

/// The built-in tasks without their items. They are generated once: that reads some thousand stories.
fn built_in_infos() -> &'static [TaskInfo] {
    static INFOS: LazyLock<Vec<TaskInfo>> = LazyLock::new(|| {
        BUILT_IN.into_iter().filter_map(|(name, _)| built_in(name)).map(|task| info(&task, true)).collect()
    });
    &INFOS
}

/// A task without its items.
pub fn info(task: &Task, is_built_in: bool) -> TaskInfo {
    let Task { name, about, items } = task;
    let (name, about) = (name.clone(), about.clone());
    TaskInfo { name, about, kind: items.kind(), items: items.len() as u64, is_built_in }
}

/// The evaluator of a task.
fn evaluator<'a>(lab: &'a Lab, name: &TaskName) -> Option<&'a Evaluator> {
    lab.settings.evaluators.iter().find(|evaluator| evaluator.name == *name)
}

/// Whether a task is not one that was added: it is a part of the program, or an evaluator.
pub fn is_fixed(lab: &Lab, name: &TaskName) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name.as_str()) || evaluator(lab, name).is_some()
}

/// Checks that a task exists.
///
/// # Errors
/// 404; an error of the store.
async fn check_exists(lab: &Lab, name: &TaskName) -> Result<(), ApiError> {
    match is_fixed(lab, name) || lab.store().tasks().await?.iter().any(|task| task.name == *name) {
        true => Ok(()),
        false => Err(unknown(name)),
    }
}

/// Checks that the tasks of schedules exist.
///
/// # Errors
/// 404; an error of the store.
pub async fn check_exist(lab: &Lab, schedules: &[TaskSchedule]) -> Result<(), ApiError> {
    for TaskSchedule { task, .. } in schedules {
        check_exists(lab, task).await?;
    }
    Ok(())
}

/// A task with items, built-in or added.
///
/// # Errors
/// 404; an error of the store.
pub async fn task(lab: &Lab, name: &TaskName) -> Result<Task, ApiError> {
    if let Some(task) = built_in(name.as_str()) {
        return Ok(task);
    }
    lab.store().task(name).await?.ok_or_else(|| unknown(name))
}

/// 404 for a task.
pub fn unknown(name: &TaskName) -> ApiError {
    ApiError::not_found(format!("unknown task {name}")).field("task").hint("GET /api/v1/tasks lists the tasks")
}

/// The scores of a run, and what is known of those that are not stored.
///
/// # Errors
/// 404 for an unknown run; an error of the store.
pub async fn of_run(lab: &Lab, run: &RunId) -> Result<RunTasks, ApiError> {
    lab.feed.summary(run).await?;
    Ok(RunTasks {
        tasks: tasks(lab).await?,
        schedules: lab.store().task_schedules(run).await?,
        results: lab.store().task_results(run).await?,
        waiting: lab.scores.waiting(run),
        failed: lab.scores.failed(run),
    })
}

/// Replaces the tasks on which the checkpoints of a run are scored.
///
/// # Errors
/// 404 for an unknown run or task, 422 for an invalid interval or too many tasks; an error of the store.
pub async fn set_schedules(lab: &Lab, run: &RunId, schedules: &[TaskSchedule]) -> Result<(), ApiError> {
    check_schedules(schedules).map_err(ApiError::invalid_value)?;
    check_exist(lab, schedules).await?;
    lab.store().set_task_schedules(run, schedules).await?;
    lab.scores.wake();
    Ok(())
}

/// Requests the score of a checkpoint, by default the newest one.
///
/// # Errors
/// 404 for an unknown run, task or checkpoint, 409 for a checkpoint whose files are on another machine, 429 if too many scores wait.
pub async fn request(lab: &Lab, run: &RunId, author: Author, new: NewScore) -> Result<WaitingScore, ApiError> {
    lab.feed.summary(run).await?;
    check_exists(lab, &new.task).await?;
    let kept = lab.store().checkpoint_ids(run).await?;
    let checkpoint = match new.checkpoint {
        Some(id) if !kept.contains(&id) => return Err(gone(run, id)),
        Some(id) => id,
        None => match kept.last() {
            Some(newest) => *newest,
            None => return Err(no_checkpoint(run, "the run has no checkpoints yet".to_owned())),
        },
    };
    availability::check(lab, run, checkpoint).await?;
    lab.scores.add(Request { run: run.clone(), task: new.task, checkpoint, author })
}

/// Computes the scores that were requested or are due, for as long as the server runs.
pub async fn serve(lab: Lab) {
    loop {
        let next = match lab.scores.next() {
            Some(request) => Some(request),
            None => due(&lab).await.and_then(|request| lab.scores.begin(request)),
        };
        let Some((request, cancelled)) = next else {
            // After a timeout the schedules are read as after a request.
            let _ = timeout(CHECK_EVERY, lab.scores.woken()).await;
            continue;
        };
        let computed = tokio::select! {
            computed = compute(&lab, &request) => Some(computed),
            _ = cancelled => None,
        };
        // What was computed is kept whole: a cancellation no longer ends it.
        let kept =
            match computed {
                Some(Ok(result)) => keep(&lab, &request, &result).await,
                Some(Err(error)) => Err(error),
                // A schedule does not ask for it again.
                None => Err(ApiError::conflict("score_cancelled", "it was cancelled")
                    .hint("request it to compute it after all")),
            };
        if let Err(error) = &kept {
            let Request { run, task, checkpoint, .. } = &request;
            tracing::warn!("checkpoint {checkpoint} of {run} could not be scored on {task}: {error}");
        }
        lab.scores.end(&request, kept.err());
    }
}

/// The first score that a schedule asks for and that can be computed now.
async fn due(lab: &Lab) -> Option<Request> {
    let due = match lab.store().due_scores().await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!("the schedules of tasks could not be read: {error}");
            return None;
        }
    };
    let is_next = |(run, task, checkpoint): &(RunId, TaskName, CheckpointId)| {
        lab.store().has_checkpoint_files(run, *checkpoint) && !lab.scores.has_failed(run, task, *checkpoint)
    };
    let (run, task, checkpoint) = due.into_iter().find(is_next)?;
    Some(Request { run, task, checkpoint, author: Author::System })
}

/// Scores a checkpoint, which is not pruned meanwhile.
async fn compute(lab: &Lab, request: &Request) -> Result<TaskResult, ApiError> {
    let Request { run, checkpoint, .. } = request;
    let slot = lab.slots.wait().await?;
    let Some(_held) = lab.store().open_checkpoint(run, *checkpoint).await? else { return Err(gone(run, *checkpoint)) };
    let ended = match evaluator(lab, &request.task) {
        Some(evaluator) => timeout(WITHIN, command::score(&lab.settings, run, *checkpoint, evaluator)).await,
        None => {
            let task = task(lab, &request.task).await?;
            let asked = ScoreRequest { run: run.clone(), checkpoint: *checkpoint, task };
            timeout(WITHIN, process::score(&lab.settings.data, &asked)).await
        }
    };
    drop(slot);
    ended.map_err(|_| {
        ApiError::internal("scoring a checkpoint", "it took longer than an hour")
            .hint("use a task with fewer items, or a faster program")
    })?
}

/// Stores and publishes a score.
async fn keep(lab: &Lab, request: &Request, result: &TaskResult) -> Result<(), ApiError> {
    let Request { run, checkpoint, author, .. } = request;
    let step = lab.feed.summary(run).await?.step;
    let event = Event::Scored { task: result.task.to_string(), checkpoint: *checkpoint, score: result.phrase() };
    let report = report(author.clone(), step, event, None);
    let Scored { event, summary, row } = lab.store().put_task_result(run, *checkpoint, result, report).await?;
    let rows = if row.values.is_empty() { vec![] } else { vec![row] };
    lab.feed.hub.publish(summary, rows, vec![event], vec![]);
    Ok(())
}
