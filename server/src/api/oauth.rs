//! Routes of programs that connect to `/mcp` and ask a person for a token: metadata, registration, the consent page, and tokens. Their
//! paths and errors are those of the standards, so they are not part of the API document.
//!
//! The cookie of the session is not sent with a request that another site has caused. The address that a program opens therefore leads to
//! the consent page by a request of this site.

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, RawQuery, State};
use axum::http::header::{REFERRER_POLICY, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use store::Identity;
use wire::access::agent::{AgentBudget, AgentMode};

use super::extract::{Query, read, read_form};
use super::notice::{Control, Notice};
use super::page;
use super::reached::Reached;
use super::session::SAME_ORIGIN;
use crate::auth::identify;
use crate::auth::oauth::request::{AuthorizationRequest, CheckedRequest};
use crate::auth::oauth::{DAYS, clients, consent, exchange, metadata, redirect, request};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;

/// Longest body of these routes, bytes.
const BODY_BYTES: usize = 20_000;
/// A program on another site may have opened the page in a window that it waits for; with the usual policy it would lose it.
const KEEP_OPENER: (HeaderName, &str) = (HeaderName::from_static("cross-origin-opener-policy"), "unsafe-none");

/// All routes. Metadata are also answered with the path of the lab behind their own, where clients of a lab under a path look for them.
pub fn routes() -> Router<Lab> {
    Router::new()
        .route(metadata::RESOURCE_METADATA, get(describe_resource))
        .route("/.well-known/oauth-protected-resource/{*path}", get(describe_resource))
        .route(metadata::SERVER_METADATA, get(describe_server))
        .route("/.well-known/oauth-authorization-server/{*path}", get(describe_server))
        .route(metadata::OPENID_METADATA, get(describe_openid))
        .route("/.well-known/openid-configuration/{*path}", get(describe_openid))
        .route(metadata::KEYS, get(list_keys))
        .route(metadata::REGISTER, post(register))
        .route(metadata::AUTHORIZE, get(authorize))
        .route(metadata::CONSENT, get(show_consent).post(decide))
        .route(metadata::TOKEN, post(exchange_token))
        .route(metadata::REVOKE, post(revoke))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

async fn describe_resource(State(lab): State<Lab>, Extension(reached): Extension<Reached>) -> Json<Value> {
    Json(metadata::protected_resource(&reached.lab_address(&lab)))
}

async fn describe_server(State(lab): State<Lab>, Extension(reached): Extension<Reached>) -> Json<Value> {
    Json(metadata::authorization_server(&reached.lab_address(&lab)))
}

async fn describe_openid(State(lab): State<Lab>, Extension(reached): Extension<Reached>) -> Json<Value> {
    Json(metadata::openid(&reached.lab_address(&lab)))
}

async fn list_keys() -> Json<Value> {
    Json(json!({ "keys": [] }))
}

/// Registers a program.
async fn register(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), OAuthError> {
    let new = read(&body).map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_client_metadata", error.body.message.clone()).source(error)
    })?;
    Ok((StatusCode::CREATED, Json(clients::register(&lab, &sender, new).await?)))
}

/// Leads to the consent page.
async fn authorize(RawQuery(query): RawQuery) -> Response {
    // Relative, because a proxy may have removed a path before it.
    let consent = format!("consent?{}", query.unwrap_or_default());
    let notice = Notice::new("Connect a program").styled_below(page::stylesheet()).forward("Continue", &consent);
    ([KEEP_OPENER], notice).into_response()
}

/// Shows what a program asks for, with a form for the decision. A browser that is not signed in gets the page to sign in, which then opens
/// this address again.
async fn show_consent(
    headers: HeaderMap,
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    asked: Result<Query<AuthorizationRequest>, ApiError>,
) -> Response {
    let own = match identify(&headers, &lab).await {
        Ok(own) => own,
        Err(error) if error.status == StatusCode::UNAUTHORIZED => {
            return ([KEEP_OPENER], page::unauthorized(&reached, metadata::CONSENT)).into_response();
        }
        Err(error) => return refusal(error),
    };
    sender.set_name(&own.name);
    let shown = async {
        let Query(asked) = asked?;
        let checked = request::check(&lab, &reached.lab_address(&lab), asked).await?;
        consent_page(&own, &checked)
    };
    match shown.await {
        Ok(notice) => ([KEEP_OPENER], [(REFERRER_POLICY, SAME_ORIGIN)], notice).into_response(),
        Err(error) => refusal(error),
    }
}

fn consent_page(own: &Identity, asked: &CheckedRequest) -> Result<Notice, ApiError> {
    let role = consent::role_for(own)?;
    let (name, host) = (&asked.client.name, redirect::host(&asked.redirect));
    let place = match redirect::is_local(&asked.redirect) {
        true => format!("It runs on the computer of this browser ({host})."),
        false => format!("It returns to {host}."),
    };
    let (owner, reach) = match own.person {
        Some(_) => (format!("“{}”", own.name), "that you reach"),
        None => ("the lab".to_owned(), "of the lab"),
    };
    Ok(Notice::new(&format!("Connect {name}"))
        .styled_below(page::stylesheet())
        .sentence(&format!("A program that calls itself “{name}” wants to use this lab as an agent of {owner}. {place}"))
        .sentence(&format!(
            "The program gets a token with the role {} for {DAYS} days, for all projects and runs {reach}. It deletes nothing and gives no \
             rights to others. On the Settings page, under Agents, you can change its limits and stop it.",
            role.name()
        ))
        .form(&controls(), &[("approve", "Approve"), ("refuse", "Refuse")]))
}

/// Mode and budgets, and a box. Without it, one click would approve, and another site can place this page below a click of its own: it opens a
/// window over it and closes that window between the two clicks of a double click.
fn controls() -> [Control<'static>; 6] {
    let budget = |budget: AgentBudget| Control::Number {
        field: budget.word(),
        label: budget.label(),
        step: if budget == AgentBudget::DeviceHours { "any" } else { "1" },
    };
    let [hours, steps, at_once, per_day] = AgentBudget::ALL.map(budget);
    let mode = Control::Choice { field: "mode", label: "Mode", values: &MODES, chosen: AgentMode::Propose.word() };
    let confirmation = Control::Confirmation { label: "I have just added this lab to this program myself" };
    [mode, hours, steps, at_once, per_day, confirmation]
}

const MODES: [(&str, &str); 3] = [
    (AgentMode::Read.word(), "Read only: it changes nothing"),
    (AgentMode::Propose.word(), "Propose: each action waits until a person approves it"),
    (AgentMode::Act.word(), "Act: it acts within its budgets"),
];

/// Carries the decision of a person out, and returns the browser to the program.
async fn decide(
    headers: HeaderMap,
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    asked: Result<Query<AuthorizationRequest>, ApiError>,
    body: String,
) -> Response {
    let decided = async {
        let own = identify(&headers, &lab).await?;
        sender.set_name(&own.name);
        let (Query(asked), address) = (asked?, reached.lab_address(&lab));
        let checked = request::check(&lab, &address, asked).await?;
        let unreadable = || ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", "the form could not be read");
        let decision = read_form(&body).ok_or_else(unreadable)?;
        consent::decide(&lab, &own, &address, checked, &decision).await
    };
    match decided.await {
        // Not a redirect: the policy of the page forbids forms that lead to other sites.
        Ok(back) => {
            let notice = Notice::new("Return to the program").styled_below(page::stylesheet());
            ([KEEP_OPENER], notice.forward("Continue", &back)).into_response()
        }
        Err(error) => refusal(error),
    }
}

/// An error as a page, because a browser has opened the address.
fn refusal(error: ApiError) -> Response {
    let notice = Notice::new("Not connected").styled_below(page::stylesheet()).sentence(&error.body.message);
    let notice = error.body.hint.iter().fold(notice, |notice, hint| notice.sentence(hint));
    let mut response = (error.status, [KEEP_OPENER], notice).into_response();
    // For the log.
    response.extensions_mut().insert(error);
    response
}

/// Exchanges a code or a refresh token for an access token.
async fn exchange_token(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    body: String,
) -> Result<Json<Value>, OAuthError> {
    let request = read_form(&body).ok_or_else(malformed)?;
    Ok(Json(exchange::exchange(&lab, &sender, &request).await?))
}

/// Ends the access of a program.
async fn revoke(State(lab): State<Lab>, body: String) -> Result<StatusCode, OAuthError> {
    let revocation = read_form(&body).ok_or_else(malformed)?;
    exchange::revoke(&lab, &revocation).await?;
    Ok(StatusCode::OK)
}

fn malformed() -> ApiError {
    let message = "the body is not a form with the needed fields, each once";
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}

/// An error in the form of RFC 6749. Its code is one of OAuth, or `server_error` for a failure of the server.
struct OAuthError(ApiError);

impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let code = match error.status {
            StatusCode::BAD_REQUEST => error.body.code.as_str(),
            StatusCode::TOO_MANY_REQUESTS => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        let body = json!({ "error": code, "error_description": error.to_string() });
        let mut response = (error.status, Json(body)).into_response();
        if let Some(secs) = error.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        // For the log.
        response.extensions_mut().insert(error);
        response
    }
}
