//! Commands to runs.

use axum::extract::State;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use store::Identity;
use utoipa::IntoParams;
use wire::access::Role;
use wire::control::event::EventRecord;
use wire::{ApiErrorBody, Command, RunId};

use super::audited::SentCommand;
use super::extract::{Body, Path, Query};
use crate::auth::run::RunSteerer;
use crate::auth::{agent, author, project};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::{commands, control_run, steering};

/// Header with the id of the control run.
const CONTROL: HeaderName = HeaderName::from_static("kindling-control");

/// Options of a command.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CommandQuery {
    /// Also creates a control run: a fork from just before the command, which leaves it out. Its id is in the header `kindling-control`.
    #[serde(default)]
    control: bool,
}

/// Sends a command to a run. Returns its event when the command has taken effect.
#[utoipa::path(post, path = "/runs/{id}/commands", tag = "runs", params(("id" = RunId, Path), CommandQuery), request_body = Command,
    responses((status = 200, description = "It took effect before the event's step.", body = EventRecord),
        (status = 409, description = "The run cannot do this in its state.", body = ApiErrorBody),
        (status = 422, description = "A value is invalid.", body = ApiErrorBody),
        (status = 504, description = "Not answered within 30 s; it may still take effect.", body = ApiErrorBody)))]
pub async fn command_run(
    RunSteerer(identity): RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<CommandQuery>,
    Body(command): Body<Command>,
) -> Response {
    let sent = Extension(SentCommand(command.label()));
    (sent, carry_out(&lab, &identity, &run, &query, command).await).into_response()
}

async fn carry_out(
    lab: &Lab,
    identity: &Identity,
    run: &RunId,
    query: &CommandQuery,
    command: Command,
) -> Result<Response, ApiError> {
    steering::check(&command)?;
    agent::permit_command(identity, &command)?;
    let summary = lab.feed.summary(run).await?;
    if query.control {
        project::check(identity, &summary.project, Role::Steer)?;
        agent::permit_fork(identity)?;
        let (record, control) = control_run::command_with_control(lab, &summary, author(identity), command).await?;
        return Ok(([(CONTROL, control.to_string())], Json(record)).into_response());
    }
    let record = commands::carry_out(lab, &summary, author(identity), command).await?;
    Ok(Json(record).into_response())
}
