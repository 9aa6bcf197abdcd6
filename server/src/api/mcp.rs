//! `/mcp`: a language model that acts (an agent) watches and steers the lab by tools of the Model Context Protocol, over streamable HTTP.
//!
//! A tool works by requests to the routes of the API with the token of the agent ([`caller`]), so it may do what the token may do there.
//!
//! - here: the route; [`service`]: the protocol; [`tool`]: what a tool is; [`tools`]: all tools; [`acts`]: acting once;
//! - [`answer`]: the answer of a tool; [`untrusted`]: texts that others wrote; [`shrink`]: values cut to a size; [`brief`]: runs in few words.

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

use super::audited::AGENTS;
use crate::auth::SignedIn;
use crate::error::ApiError;
use crate::lab::Lab;
use service::{McpService, service};

/// The route of agents. `api` has the routes that tools call.
pub fn route(lab: &Lab, api: Router) -> Router<Lab> {
    let service = service(lab.clone(), api);
    Router::new().route(AGENTS, any(answer_message)).layer(map_response(name_scheme)).layer(Extension(service))
}

/// Answers a message of an agent. It proves itself by a token in the Authorization header; the cookie of a browser is not enough.
async fn answer_message(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Extension(service): Extension<McpService>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if !request.headers().contains_key(AUTHORIZATION) {
        let message = "agents are identified by a token, not by the cookie of a browser";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("send Authorization: Bearer with a token from `kindling token --role view`"));
    }
    let _place = lab.agents.call(&identity)?;
    request.extensions_mut().insert(identity);
    Ok(service.handle(request).await.map(Body::new))
}

/// Says how to identify oneself where that is missing.
async fn name_scheme(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"kindling\""));
    }
    response
}
