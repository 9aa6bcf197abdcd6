//! The error of everything that the server does for a request: a status, a stable code and a message for the caller, and the source for
//! the log. The errors of the crates below convert into it here and nowhere else. How it is logged is in [`crate::api::log`].

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::{DataError, EngineError};
use serde::Serialize;
use store::{JoinRefusal, OAuthRefusal, StoreError};
use wire::data::import::ImportReport;
use wire::sweep::record::SweepState;
use wire::{ApiErrorBody, PlanError};

/// A refused or failed request.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Body of the response.
    pub body: Box<ApiErrorBody>,
    /// What the files of a refused import hold; part of the response.
    pub report: Option<Box<ImportReport>>,
    /// Seconds after which a refused request may be tried again, for the header Retry-After.
    pub retry_after_secs: Option<u64>,
    /// Cause, for the log.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The body of the response.
#[derive(Serialize)]
struct ErrorResponse<'a> {
    #[serde(flatten)]
    body: &'a ApiErrorBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a ImportReport>,
}

impl ApiError {
    /// An error with this status and code.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let body = ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: None };
        Self { status, body: Box::new(body), report: None, retry_after_secs: None, source: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// Names the field of the request that is at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.body.field = Some(field.into());
        self
    }

    /// Says when it may be tried again.
    #[must_use]
    pub fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// 404: the resource does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409: the current state does not allow the request.
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 422: the request has an invalid value.
    pub fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 422: a value of the request is outside its range.
    pub fn invalid_value(error: PlanError) -> Self {
        let mut converted = Self::invalid("value_invalid", error.message).field(error.field);
        converted.body.hint = error.hint;
        converted
    }

    /// 429: the limit of concurrent operations of this kind is reached.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
    }

    /// 500: the server failed. `action` is what it was doing, as a noun phrase.
    pub fn internal(action: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("{action} failed: {source}"))
            .hint("see the log of the server; a full disk is the usual cause")
            .source(source)
    }

    /// The error that another process of this program answered with.
    pub fn from_process(body: ApiErrorBody) -> Self {
        let status = match body.code.as_str() {
            "not_found" => StatusCode::NOT_FOUND,
            "checkpoint_damaged" | "text_missing" => StatusCode::CONFLICT,
            "prompt_unknown" | "inspection_invalid" | "task_invalid" | "value_invalid" | "body_invalid" => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, body: Box::new(body), report: None, retry_after_secs: None, source: None }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body.message)?;
        self.body.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        let mut converted = Self::invalid("plan_invalid", error.message).field(error.field);
        converted.body.hint = error.hint;
        converted
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        let converted = match &error {
            StoreError::UnknownRun { .. } => Self::not_found(message).hint("GET /api/v1/runs lists the runs"),
            StoreError::UnknownCheckpoint { run, .. } => {
                Self::not_found(message).hint(format!("GET /api/v1/runs/{run}/checkpoints lists those that are kept"))
            }
            StoreError::InvalidQuery { source } => return Self::invalid_value(source.clone()),
            StoreError::RunExists { .. } => Self::conflict("run_exists", message),
            StoreError::RunIsLive { .. } => Self::conflict("run_live", message),
            StoreError::NotLive { .. } => Self::conflict("run_not_live", message),
            StoreError::OtherDevice { .. } => Self::conflict("other_device", message),
            StoreError::NotQueued { .. } => Self::conflict("not_queued", message),
            StoreError::CheckpointNeeded { .. } => Self::conflict("checkpoint_needed", message),
            StoreError::RunFolderMissing { .. } => Self::new(StatusCode::GONE, "run_folder_missing", message),
            StoreError::UnknownProject { .. } => {
                Self::not_found(message).hint("GET /api/v1/projects lists the projects that you may see")
            }
            StoreError::ProjectExists { .. } => Self::conflict("project_exists", message).field("name"),
            StoreError::ProjectInUse { .. } => Self::conflict("project_in_use", message)
                .hint("move its runs to another project, or delete them for good; delete its datasets"),
            StoreError::AccountRemoved => Self::new(StatusCode::FORBIDDEN, "account_removed", message)
                .hint("ask an admin of the lab to let the account in again, on the People page"),
            StoreError::RoleLost => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            StoreError::UnknownPerson { .. } => Self::not_found(message).hint("GET /api/v1/people lists the people"),
            StoreError::PersonExists { .. } => {
                Self::conflict("person_exists", message).field("name").hint("choose another name")
            }
            StoreError::TaskExists { .. } => Self::conflict("task_exists", message).field("name"),
            StoreError::TooManyTasks { .. } => {
                Self::conflict("tasks_full", message).hint("GET /api/v1/tasks lists them; DELETE /api/v1/tasks/{name}")
            }
            StoreError::UnknownSweep { .. } => Self::not_found(message).hint("GET /api/v1/sweeps lists the sweeps"),
            StoreError::UnknownTrial { .. } => {
                Self::not_found(message).hint("GET /api/v1/sweeps/{id} lists the trials of the sweep")
            }
            StoreError::SweepChanged { .. } => Self::conflict("sweep_changed", message)
                .field("revision")
                .hint("read the sweep again, and send the command with its revision if it is still right"),
            StoreError::SweepState { state, .. } => {
                let hint = match state {
                    SweepState::Stopped => "a stopped sweep starts no further trial: start another sweep",
                    SweepState::Finished => "extend it, or retry one of its trials",
                    SweepState::Running | SweepState::Paused => "see its state: GET /api/v1/sweeps/{id}",
                };
                Self::conflict("sweep_state", message).field("command").hint(hint)
            }
            StoreError::TrialNotOver { .. } => {
                Self::conflict("trial_not_over", message).field("command.trial").hint("stop its run first")
            }
            StoreError::TooManySweeps { .. } => Self::conflict("sweeps_full", message)
                .hint("GET /api/v1/sweeps lists them; POST /api/v1/sweeps/{id}/commands with the kind \"stop\""),
            StoreError::UnknownExperiment { .. } => {
                Self::not_found(message).hint("GET /api/v1/experiments lists the experiments that you may see")
            }
            StoreError::TooManyExperiments { .. } => Self::conflict("experiments_full", message)
                .hint("GET /api/v1/experiments lists them; PATCH /api/v1/experiments/{id} with {\"action\": \"stop\"}"),
            StoreError::UnknownLoop { .. } => {
                Self::not_found(message).hint("GET /api/v1/research-loops lists the research loops that you may see")
            }
            StoreError::TooManyLoops { .. } => Self::conflict("loops_full", message).hint(
                "GET /api/v1/research-loops lists them; PATCH /api/v1/research-loops/{id} with {\"action\": \"stop\"}",
            ),
            StoreError::UnknownAgent { .. } => Self::not_found(message).hint("GET /api/v1/agents lists the agents"),
            StoreError::AgentEnded { .. } => Self::new(StatusCode::FORBIDDEN, "agent_ended", message)
                .hint("ask the person who manages the agent; its limits are on Settings, under Agents"),
            StoreError::AgentBudget { budget, .. } => Self::conflict("agent_budget", message).field(budget.word()).hint(
                "choose less, wait until runs of the agent end or stop some, or ask the person who manages the agent for a larger budget",
            ),
            StoreError::UnknownProposal { .. } => {
                Self::not_found(message).hint("GET /api/v1/proposals lists the proposals that you may see")
            }
            StoreError::TooManyProposals { .. } => Self::conflict("proposals_full", message)
                .hint("wait until a person has decided about some, or withdraw some"),
            StoreError::UnknownPool { .. } => Self::not_found(message).hint("GET /api/v1/pools lists the pools"),
            StoreError::TooManyLinks { .. } | StoreError::TooManyOwnLinks { .. } => {
                Self::conflict("links_full", message).hint("GET /api/v1/links lists the links that you may revoke")
            }
            StoreError::TooManyChannels { .. } => Self::conflict("channels_full", message)
                .hint("GET /api/v1/alert-channels lists the channels that you may delete"),
            StoreError::TooManyConditions { .. } => Self::conflict("conditions_full", message)
                .hint("GET /api/v1/alert-conditions lists the conditions that you may see"),
            StoreError::TooManyInvitations { .. } => Self::conflict("invitations_full", message)
                .hint("GET /api/v1/invitations lists the invitations that you may revoke"),
            StoreError::TooManyTokens { .. } => {
                Self::conflict("tokens_full", message).hint("GET /api/v1/me/tokens lists your tokens")
            }
            StoreError::PoolExists { .. } => Self::conflict("pool_exists", message).field("name"),
            StoreError::PoolInUse { .. } => Self::conflict("pool_in_use", message)
                .hint("remove its workers, and stop or delete the runs that wait for it"),
            StoreError::UnknownWorker { .. } => Self::not_found(message).hint("GET /api/v1/workers lists the workers"),
            StoreError::Join(refusal) => join_refused(refusal, message),
            StoreError::OAuth(refusal) => oauth_refused(*refusal, message),
            StoreError::DiskFull { .. } => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", message),
            _ => return Self::internal("the lab's store", error),
        };
        converted.source(error)
    }
}

/// The error of a program that gets no token by OAuth, with a code of RFC 6749 or RFC 8707.
fn oauth_refused(refusal: OAuthRefusal, message: String) -> ApiError {
    let (status, code) = match refusal {
        OAuthRefusal::OtherResource => (StatusCode::BAD_REQUEST, "invalid_target"),
        OAuthRefusal::TooManyRegistrations | OAuthRefusal::TooManyClients => {
            (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable")
        }
        _ => (StatusCode::BAD_REQUEST, "invalid_grant"),
    };
    ApiError::new(status, code, message)
}

/// The error of a machine that may not join a pool.
fn join_refused(refusal: &JoinRefusal, message: String) -> ApiError {
    let gone = |code: &str| ApiError::new(StatusCode::GONE, code, message.clone());
    let new_token = "create another join token on the Fleet page of the lab";
    match refusal {
        JoinRefusal::Unknown => ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).hint(new_token),
        JoinRefusal::Revoked => gone("join_token_revoked").hint(new_token),
        JoinRefusal::Expired => gone("join_token_expired").hint(new_token),
        JoinRefusal::UsedUp { .. } => gone("join_token_used_up").hint(new_token),
        JoinRefusal::OtherPool { pool, .. } => ApiError::new(StatusCode::FORBIDDEN, "pool_other", message)
            .field("pool")
            .hint(format!("join with --pool {pool}, or with a token of the pool that you mean")),
        JoinRefusal::DeviceTaken { .. } => ApiError::conflict("device_joined", message)
            .field("device")
            .hint("join under another name: --name NAME, or remove the worker on the Fleet page first"),
    }
}

impl From<DataError> for ApiError {
    fn from(error: DataError) -> Self {
        let status = match &error {
            DataError::NoCorpus { .. } => StatusCode::NOT_FOUND,
            DataError::CorpusExists { .. } => StatusCode::CONFLICT,
            DataError::TooMuchText => StatusCode::PAYLOAD_TOO_LARGE,
            DataError::Disk { source, .. } if source.kind() == ErrorKind::StorageFull => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            DataError::Disk { .. } | DataError::Altered { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut converted = Self::new(status, error.code(), error.to_string());
        converted.body.hint = error.hint();
        match &error {
            DataError::NoField { .. } | DataError::NoFields { .. } => converted.body.field = Some("field".to_owned()),
            DataError::NoEncoding { .. } => converted.body.field = Some("encoding".to_owned()),
            DataError::Refused { report } => converted.report = Some(report.clone()),
            _ => {}
        }
        converted.source(error)
    }
}

/// What the engine cannot export or import.
impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Interop { what, message, hint, .. } => {
                Self::invalid("model_refused", format!("{what}: {message}")).hint(hint)
            }
            EngineError::Data(source) => source.into(),
            EngineError::Checkpoint { .. } => {
                Self::conflict("checkpoint_damaged", error.to_string()).hint("choose an older checkpoint").source(error)
            }
            other => Self::internal("reading a model", other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = {
            let body = ErrorResponse { body: &self.body, report: self.report.as_deref() };
            (self.status, Json(body)).into_response()
        };
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_store_keeps_its_source_and_names_the_run() {
        let run: wire::RunId = "amber-fox".parse().unwrap();
        let error = ApiError::from(StoreError::UnknownRun { run });
        assert_eq!((error.status, error.body.code.as_str()), (StatusCode::NOT_FOUND, "not_found"));
        assert!(error.body.message.contains("amber-fox") && error.body.hint.is_some());
        assert!(Error::source(&error).is_some_and(|source| source.is::<StoreError>()));
    }
}
