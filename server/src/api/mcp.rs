//! `/mcp`: a language model that acts (an agent) watches and steers the lab with tools of the Model Context Protocol, over streamable HTTP.
//!
//! A tool sends requests to the routes of the API with the token of the agent ([`caller`]), so it has the permissions of that token.
//!
//! - here: the route; [`service`]: the protocol; [`tool`]: what a tool is; [`tools`]: all tools; [`acts`]: each act once;
//! - [`proposing`]: calls that a person decides about; [`deciding`]: their decisions;
//! - [`resources`] and [`prompts`]: what a person can add to a conversation;
//! - [`answer`]: the answer of a tool; [`untrusted`]: texts that others wrote; [`shrink`]: values shortened to a size; [`brief`]: short
//!   forms of runs; [`protected`]: datasets whose text is withheld;
//! - [`progress`]: progress of long calls; [`calls`]: cancelling a call.

pub mod acts;
pub mod answer;
pub mod brief;
pub mod caller;
pub mod calls;
pub mod deciding;
pub mod progress;
pub mod prompts;
pub mod proposing;
pub mod protected;
pub mod resources;
pub mod service;
pub mod shrink;
pub mod tool;
pub mod tools;
pub mod untrusted;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use futures_util::StreamExt;
use wire::access::{Role, TokenKind};

use super::audited::AGENTS;
use super::reached::Reached;
use crate::auth::oauth::metadata::challenge;
use crate::auth::{SignedIn, forbidden};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::places::Place;
use calls::{Calls, cancelled_by};
use service::{McpService, service};

/// Largest message that is checked for a cancellation, bytes.
const CANCELLATION_BYTES: u64 = 4_096;

/// The route of agents. `api` has the routes that tools call.
pub fn route(lab: &Lab, api: Router) -> Router<Lab> {
    let calls = Calls::default();
    let service = service(lab.clone(), api, calls.clone());
    let route = Router::new().route(AGENTS, any(answer_message));
    let named = from_fn_with_state(lab.clone(), name_scheme);
    route.layer(named).layer(Extension(service)).layer(Extension(calls))
}

/// Answers a message of an agent. The agent must send a token in the Authorization header; a browser cookie is not accepted.
/// Guests cannot use agents.
async fn answer_message(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Extension(service): Extension<McpService>,
    Extension(calls): Extension<Calls>,
    request: Request,
) -> Result<Response, ApiError> {
    if identity.kind == TokenKind::Guest {
        return Err(forbidden(&identity, Role::View, None));
    }
    if !request.headers().contains_key(AUTHORIZATION) {
        let message = "an agent must send a token; a browser cookie is not accepted";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("send the header \"Authorization: Bearer TOKEN\"; `kindling token --role view` creates a token"));
    }
    let (mut request, cancelled) = read_cancellation(request).await?;
    if let Some(id) = cancelled {
        calls.cancel(identity.token_id, id);
    }
    let place = lab.agents.call(&identity)?;
    request.extensions_mut().insert(identity);
    Ok(holding(place, service.handle(request).await.map(Body::new)))
}

/// Reads a short message. Returns the request and, if the message cancels a call, the id of that call.
async fn read_cancellation(request: Request) -> Result<(Request, Option<String>), ApiError> {
    if request.body().size_hint().upper().is_none_or(|bytes| bytes > CANCELLATION_BYTES) {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let refused = |source: axum::Error| {
        ApiError::new(StatusCode::BAD_REQUEST, "body_unreadable", "the message could not be read").source(source)
    };
    let message: Bytes = to_bytes(body, CANCELLATION_BYTES as usize).await.map_err(refused)?;
    let cancelled = cancelled_by(&message);
    Ok((Request::from_parts(parts, Body::from(message)), cancelled))
}

/// A stream of events holds the place of its call until it ends.
fn holding(place: Place, response: Response) -> Response {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return response;
    }
    let held = move |body: Body| {
        Body::from_stream(body.into_data_stream().map(move |part| {
            let _place = &place;
            part
        }))
    };
    response.map(held)
}

/// Names the authentication scheme in responses with status 401, and where a program reads how it gets a token.
async fn name_scheme(
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::try_from(challenge(&reached.lab_address(&lab)))
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
