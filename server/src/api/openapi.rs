//! The description of the API, generated from the routes and types.

use axum::http::StatusCode;
use research::fits::report::FitKind;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Description, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};
use wire::run::table::{Deleted, GroupBy};
use wire::series::Axis;

use super::figures::FigureTheme;
use crate::export::archive::Checkpoints;

/// The general part of the description.
#[derive(OpenApi)]
#[openapi(
    info(title = "Kindling", description = "A training lab for language models. Errors have the body {code, message, field?, hint?}."),
    modifiers(&Access),
    // Types of query parameters, which are not collected from the routes.
    components(schemas(Axis, FigureTheme, FitKind, Checkpoints, Deleted, GroupBy)),
    security(("bearer" = []), ("cookie" = [])),
    tags(
        (name = "runs", description = "Plan, create, watch and steer runs; export and import them."),
        (name = "sweeps", description = "Sweeps over hyperparameters: trials, early stopping, and the decisions about them."),
        (name = "inspect", description = "Inspect models: inspections, snapshots, completions."),
        (name = "evaluation", description = "Evaluation tasks, and the scores of checkpoints on them."),
        (name = "experiments", description = "Hypotheses with predictions, pairs of runs, and verdicts by a rule that is fixed in advance; research loops of them."),
        (name = "data", description = "Upload, generate, download and tokenize datasets."),
        (name = "access", description = "Sign in and out; people, projects, tokens and the audit log."),
        (name = "alerts", description = "Alerts of runs and machines, conditions on metrics, and the channels to which alerts are sent."),
        (name = "agents", description = "Proposals: calls of agents that a person approves, edits or rejects."),
        (name = "fleet", description = "Pools, join tokens and workers."),
        (name = "assistant", description = "Conversations with the assistant: a model at a configured provider, or rules, fits and journal."),
        (name = "lab", description = "Devices, jobs, and the whole lab in one answer."),
        (name = "transfer", description = "Datasets and checkpoints between the server and workers of other machines, with a worker's token."),
        (name = "sockets", description = "WebSockets of pages and workers, in postcard.")
    )
)]
pub struct Document;

struct Access;

impl Modify for Access {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`kindling token` creates it.")).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme(
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "kindling_LAB",
                "The name ends with the id of the lab, which is in the file `id` of its folder.",
            ))),
        );
    }
}

/// Adds to each operation the errors that its parts can cause (its parameters, its body, its role, the store), which the routes do not
/// repeat, and a description to each response without one.
pub fn complete(description: &mut Description) {
    for (path, item) in &mut description.paths.paths {
        let PathItem { get, post, put, delete, patch, .. } = item;
        let operations = [(get, false), (post, true), (put, true), (delete, true), (patch, true)];
        for (operation, writes) in operations.into_iter().filter_map(|(found, writes)| Some((found.as_mut()?, writes)))
        {
            errors(path, operation, writes).into_iter().for_each(|(status, cause)| add(operation, status, cause));
            describe(operation);
        }
    }
}

/// Statuses and causes of the errors that an operation can answer with.
fn errors(path: &str, operation: &Operation, writes: bool) -> Vec<(StatusCode, &'static str)> {
    let parameters = operation.parameters.iter().flatten();
    let is_in = |place: &ParameterIn| {
        parameters.clone().any(|found| matches!(found, RefOr::T(found) if found.parameter_in == *place))
    };
    let is_of_run = path.contains("/runs/{id}");
    let has_body = operation.request_body.is_some();
    // An upload is accepted in any content type.
    let takes_json =
        matches!(&operation.request_body, Some(RefOr::T(body)) if body.content.contains_key("application/json"));
    let is_socket = operation.responses.responses.contains_key("101");
    let possible = [
        (true, StatusCode::UNAUTHORIZED, "The request has no valid token."),
        (
            true,
            StatusCode::FORBIDDEN,
            "The role of the token is too small, or the request comes from a page of another site.",
        ),
        (is_in(&ParameterIn::Path), StatusCode::NOT_FOUND, "Nothing has this id."),
        (has_body, StatusCode::NOT_FOUND, "Something that the request names does not exist, such as its project."),
        (is_in(&ParameterIn::Query) || has_body, StatusCode::BAD_REQUEST, "The query or the body cannot be read."),
        (is_socket, StatusCode::BAD_REQUEST, "The request does not open a WebSocket."),
        (is_socket, StatusCode::UPGRADE_REQUIRED, "The connection cannot be upgraded to a WebSocket."),
        (has_body, StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        (takes_json, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not of the described content type."),
        (has_body || is_in(&ParameterIn::Query), StatusCode::UNPROCESSABLE_ENTITY, "A value is invalid."),
        (is_of_run && writes, StatusCode::CONFLICT, "The state of the run does not allow it."),
        (is_of_run, StatusCode::GONE, "The folder with the curves of the run was removed."),
        (writes, StatusCode::INSUFFICIENT_STORAGE, "The disk is full."),
        (
            true,
            StatusCode::TOO_MANY_REQUESTS,
            "Too many tokens or passwords were wrong; the header Retry-After says how many seconds to wait.",
        ),
        (true, StatusCode::INTERNAL_SERVER_ERROR, "The server failed; its log says why."),
    ];
    possible.into_iter().filter(|(is_possible, ..)| *is_possible).map(|(_, status, cause)| (status, cause)).collect()
}

/// Adds a response, unless the route describes one with this status.
fn add(operation: &mut Operation, status: StatusCode, cause: &str) {
    let error = || {
        let mut response = Response::new(cause);
        let body = Content::new(Some(Ref::from_schema_name("ApiErrorBody")));
        response.content.insert("application/json".to_owned(), RefOr::T(body));
        RefOr::T(response)
    };
    operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(error);
}

/// Describes the responses whose description the route leaves out by the name of their status.
fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let status: Option<StatusCode> = status.parse().ok();
            response.description = status.and_then(|status| status.canonical_reason()).unwrap_or("Answer").to_owned();
        }
    }
}
