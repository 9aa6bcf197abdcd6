//! What a program asks a person for. It is in the query of the address that the program opens in a browser.

use serde::Deserialize;
use store::OAuthClient;

use super::metadata::resource;
use super::{redirect, refused};
use crate::error::ApiError;
use crate::lab::Lab;

/// Length of an S256 challenge: 32 bytes as base64url.
const CHALLENGE_CHARS: usize = 43;
/// Longest state that is sent back, bytes.
const MOST_STATE_BYTES: usize = 2_000;

/// The query of an authorization request, not checked.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AuthorizationRequest {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: Option<String>,
    code_challenge: String,
    code_challenge_method: String,
    resource: Option<String>,
}

/// A request that may be shown to a person.
pub struct CheckedRequest {
    pub client: OAuthClient,
    pub redirect: String,
    pub state: Option<String>,
    pub challenge: String,
    /// The address of `/mcp`.
    pub resource: String,
}

/// Checks a request that reached the lab at an address. The browser is never sent on with an error: anybody may register an address, and a
/// link to the lab would then open it without a person's decision.
///
/// # Errors
/// 400; an error of the store.
pub async fn check(lab: &Lab, address: &str, request: AuthorizationRequest) -> Result<CheckedRequest, ApiError> {
    let unknown = || {
        let message = "the program that asks for access is not registered at this lab, or not any more";
        refused("invalid_client", message).hint("remove the lab from the program and add it again")
    };
    let client = lab.store().oauth_client(&request.client_id).await?.ok_or_else(unknown)?;
    if !client.redirects.iter().any(|registered| redirect::is_registered(registered, &request.redirect_uri)) {
        let message =
            format!("the program {:?} has not registered the address to which it wants to return", client.name);
        return Err(refused("invalid_request", message));
    }
    check_parameters(&request)?;
    let own = resource(address);
    if let Some(other) = request.resource.filter(|wanted| wanted.trim_end_matches('/') != own) {
        let shown: String = other.chars().take(MOST_STATE_BYTES).collect();
        let message = format!("the program asks for access to {shown:?}, and this lab is {own:?}");
        return Err(refused("invalid_target", message).hint(format!("add the lab to the program by the address {own}")));
    }
    let AuthorizationRequest { redirect_uri: redirect, state, code_challenge: challenge, .. } = request;
    Ok(CheckedRequest { client, redirect, state, challenge, resource: own })
}

fn check_parameters(request: &AuthorizationRequest) -> Result<(), ApiError> {
    if request.response_type != "code" {
        let message = format!("the response type is {:?}, and only code is possible", request.response_type);
        return Err(refused("unsupported_response_type", message));
    }
    let challenge = &request.code_challenge;
    let is_base64 = challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if request.code_challenge_method != "S256" || challenge.len() != CHALLENGE_CHARS || !is_base64 {
        return Err(refused("invalid_request", "the program does not use PKCE with the method S256"));
    }
    if request.state.as_ref().is_some_and(|state| state.len() > MOST_STATE_BYTES) {
        return Err(refused("invalid_request", format!("the state is longer than {MOST_STATE_BYTES} bytes")));
    }
    Ok(())
}
