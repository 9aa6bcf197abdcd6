//! `/mcp`: a language model that acts (an agent) watches and steers the lab with tools of the Model Context Protocol, over streamable HTTP.
//!
//! A tool sends requests to the routes of the API with the token of the agent ([`caller`]), so it has the permissions of that token.
//!
//! - here: the route; [`service`]: the protocol; [`tool`]: what a tool is; [`tools`]: all tools; [`acts`]: each act once;
//! - [`answer`]: the answer of a tool; [`untrusted`]: texts that others wrote; [`shrink`]: values shortened to a size; [`brief`]: short
//!   forms of runs.

pub mod acts;
pub mod answer;
pub mod brief;
pub mod caller;
pub mod service;
pub mod shrink;
pub mod tool;
pub mod tools;
pub mod untrusted;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use wire::access::{Role, TokenKind};

use super::audited::AGENTS;
use crate::auth::{SignedIn, forbidden};
use crate::error::ApiError;
use crate::lab::Lab;
use service::{McpService, service};

/// The route of agents. `api` has the routes that tools call.
pub fn route(lab: &Lab, api: Router) -> Router<Lab> {
    let service = service(lab.clone(), api);
    Router::new().route(AGENTS, any(answer_message)).layer(map_response(name_scheme)).layer(Extension(service))
}

/// Answers a message of an agent. The agent must send a token in the Authorization header; a browser cookie is not accepted.
/// Guests cannot use agents.
async fn answer_message(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Extension(service): Extension<McpService>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if identity.kind == TokenKind::Guest {
        return Err(forbidden(&identity, Role::View, None));
    }
    if !request.headers().contains_key(AUTHORIZATION) {
        let message = "an agent must send a token; a browser cookie is not accepted";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("send the header \"Authorization: Bearer TOKEN\"; `kindling token --role view` creates a token"));
    }
    let _place = lab.agents.call(&identity)?;
    request.extensions_mut().insert(identity);
    Ok(service.handle(request).await.map(Body::new))
}

/// Names the authentication scheme in responses with status 401.
async fn name_scheme(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"kindling\""));
    }
    response
}
