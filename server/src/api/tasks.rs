//! Evaluation tasks of the lab, and the scores of runs on them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use engine::task::file;
use wire::task::lab::{NewScore, RunTasks, TaskInfo, TaskSchedule, WaitingScore};
use wire::task::{Task, TaskName};
use wire::{ApiErrorBody, CheckpointId, RunId};

use super::extract::{Body, Path};
use crate::auth::run::{RunSteerer, RunViewer};
use crate::auth::{Member, Steerer, author};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::scoring;

/// Lists the evaluation tasks, the built-in ones first, then the evaluators of the server.
#[utoipa::path(get, path = "/tasks", tag = "evaluation", responses((status = 200, body = Vec<TaskInfo>)))]
pub async fn list_tasks(_: Member, State(lab): State<Lab>) -> Result<Json<Vec<TaskInfo>>, ApiError> {
    scoring::tasks(&lab).await.map(Json)
}

/// Adds an evaluation task, as JSON or TOML of at most 8 MiB. Its name is a part of the names of its series.
#[utoipa::path(post, path = "/tasks", tag = "evaluation", request_body(content = Task, content_type = "application/json"),
    responses((status = 201, body = TaskInfo),
        (status = 409, description = "A task with this name exists already, or there are too many tasks.", body = ApiErrorBody)))]
pub async fn add_task(
    _: Steerer,
    State(lab): State<Lab>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<TaskInfo>), ApiError> {
    let body = body.map_err(|refused| ApiError::new(refused.status(), "body_unreadable", refused.body_text()))?;
    let task =
        file::parse(&body).map_err(|error| ApiError::invalid("task_invalid", error.to_string()).source(error))?;
    if scoring::is_fixed(&lab, &task.name) {
        let message = format!("{} is the name of a built-in task or of an evaluator", task.name);
        return Err(ApiError::conflict("task_exists", message).field("name").hint("choose another name"));
    }
    lab.store().add_task(&task).await?;
    Ok((StatusCode::CREATED, Json(scoring::info(&task, false))))
}

/// Returns an evaluation task with its items. An evaluator has none.
#[utoipa::path(get, path = "/tasks/{name}", tag = "evaluation", params(("name" = String, Path)),
    responses((status = 200, body = Task)))]
pub async fn get_task(_: Member, State(lab): State<Lab>, Path(name): Path<TaskName>) -> Result<Json<Task>, ApiError> {
    scoring::task(&lab, &name).await.map(Json)
}

/// Deletes an evaluation task, and removes it from the schedules of runs. Scores stay.
#[utoipa::path(delete, path = "/tasks/{name}", tag = "evaluation", params(("name" = String, Path)),
    responses((status = 204), (status = 409, description = "The task is built-in.", body = ApiErrorBody)))]
pub async fn delete_task(
    _: Steerer,
    State(lab): State<Lab>,
    Path(name): Path<TaskName>,
) -> Result<StatusCode, ApiError> {
    if scoring::is_fixed(&lab, &name) {
        let message = format!("{name} is built-in or an evaluator of the server, and cannot be deleted");
        return Err(ApiError::conflict("task_built_in", message));
    }
    match lab.store().remove_task(&name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(scoring::unknown(&name)),
    }
}

/// Returns the scores of a run on evaluation tasks, those that wait or failed, and the tasks on which its checkpoints are scored.
#[utoipa::path(get, path = "/runs/{id}/tasks", tag = "evaluation", params(("id" = RunId, Path)),
    responses((status = 200, body = RunTasks)))]
pub async fn list_run_tasks(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<RunTasks>, ApiError> {
    scoring::of_run(&lab, &run).await.map(Json)
}

/// Replaces the tasks on which the checkpoints of a run are scored: each at the checkpoints whose step is a multiple of its interval, and at those
/// that are saved at the end or at a suspension. Training does not wait for scores.
#[utoipa::path(put, path = "/runs/{id}/tasks", tag = "evaluation", params(("id" = RunId, Path)), request_body = Vec<TaskSchedule>,
    responses((status = 200, body = Vec<TaskSchedule>)))]
pub async fn set_run_tasks(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(schedules): Body<Vec<TaskSchedule>>,
) -> Result<Json<Vec<TaskSchedule>>, ApiError> {
    scoring::set_schedules(&lab, &run, &schedules).await?;
    Ok(Json(lab.store().task_schedules(&run).await?))
}

/// Requests the score of a checkpoint on a task. It is computed in the background; its values become time series of the run, `eval/TASK/METRIC`.
#[utoipa::path(post, path = "/runs/{id}/scores", tag = "evaluation", params(("id" = RunId, Path)), request_body = NewScore,
    responses((status = 202, body = WaitingScore),
        (status = 429, description = "Too many scores wait.", body = ApiErrorBody)))]
pub async fn create_score(
    RunSteerer(identity): RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(new): Body<NewScore>,
) -> Result<(StatusCode, Json<WaitingScore>), ApiError> {
    let waiting = scoring::request(&lab, &run, author(&identity), new).await?;
    Ok((StatusCode::ACCEPTED, Json(waiting)))
}

/// Cancels a score that waits or is being computed.
#[utoipa::path(delete, path = "/runs/{id}/scores/{task}/{checkpoint}", tag = "evaluation",
    params(("id" = RunId, Path), ("task" = String, Path), ("checkpoint" = String, Path)), responses((status = 204)))]
pub async fn cancel_score(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path((run, task, checkpoint)): Path<(RunId, TaskName, CheckpointId)>,
) -> Result<StatusCode, ApiError> {
    match lab.scores.cancel(&run, &task, checkpoint) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found(format!("no score of {checkpoint} on {task} waits or is being computed"))
            .hint(format!("GET /api/v1/runs/{run}/tasks lists them"))),
    }
}
