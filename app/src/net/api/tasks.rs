//! Routes of evaluation tasks.

use wire::task::TaskName;
use wire::task::lab::{NewScore, RunTasks, TaskInfo, TaskSchedule, WaitingScore};
use wire::{CheckpointId, RunId};

use super::failure::ApiFailure;
use super::request::{get, send, send_plain};

/// All tasks of the lab, the built-in ones first.
pub(crate) async fn list() -> Result<Vec<TaskInfo>, ApiFailure> {
    get("/tasks").await
}

/// The scores of a run, those that wait or failed, the schedules, and all tasks.
pub(crate) async fn of_run(run: &RunId) -> Result<RunTasks, ApiFailure> {
    get(&format!("/runs/{run}/tasks")).await
}

/// Requests a score.
pub(crate) async fn score(run: &RunId, new: &NewScore) -> Result<WaitingScore, ApiFailure> {
    send("POST", &format!("/runs/{run}/scores"), Some(new)).await
}

/// Cancels a score that waits or is being computed.
pub(crate) async fn cancel(run: &RunId, task: &TaskName, checkpoint: CheckpointId) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/runs/{run}/scores/{task}/{checkpoint}")).await
}

/// Replaces the schedules of a run.
pub(crate) async fn set_schedules(run: &RunId, schedules: &[TaskSchedule]) -> Result<Vec<TaskSchedule>, ApiFailure> {
    send("PUT", &format!("/runs/{run}/tasks"), Some(schedules)).await
}
