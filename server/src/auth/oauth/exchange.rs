//! Codes and refresh tokens, exchanged for access tokens, and the end of both.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{OAuthRefusal, OAuthTokens, PresentedCode, StoreError};

use super::{ACCESS_SECS, DAYS, refused};
use crate::auth::tokens::DAY_MS;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::live::clock::now_ms;

/// The form of a token request.
#[derive(Deserialize)]
pub struct TokenRequest {
    grant_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    code: String,
    redirect_uri: Option<String>,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    refresh_token: String,
    resource: Option<String>,
}

/// The form of a revocation (RFC 7009).
#[derive(Deserialize)]
pub struct Revocation {
    token: String,
    client_id: String,
}

/// Exchanges a code or a refresh token.
///
/// # Errors
/// 400 for what is not valid, 429 after many unknown codes; an error of the store.
pub async fn exchange(lab: &Lab, sender: &Sender, request: &TokenRequest) -> Result<Value, ApiError> {
    let exchanged = match request.grant_type.as_str() {
        "authorization_code" => exchange_code(lab, request).await,
        "refresh_token" => refresh(lab, request).await,
        _ => return Err(refused("unsupported_grant_type", "use authorization_code or refresh_token")),
    };
    match exchanged {
        Err(StoreError::OAuth(OAuthRefusal::UnknownCode | OAuthRefusal::UnknownRefresh)) => {
            lab.throttle.text_failed(sender.address, &format!("{}{}", request.code, request.refresh_token))?;
        }
        // A token has ended: an earlier one of the client, or the one of a code or refresh token that was used twice.
        Ok(_) | Err(StoreError::OAuth(OAuthRefusal::UsedCode | OAuthRefusal::UsedRefresh)) => lab.access_changed(),
        Err(_) => {}
    }
    let OAuthTokens { access, refresh, name } = exchanged?;
    sender.set_name(&name);
    Ok(json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECS,
        "refresh_token": refresh,
    }))
}

async fn exchange_code(lab: &Lab, request: &TokenRequest) -> Result<OAuthTokens, StoreError> {
    let presented = PresentedCode {
        code: &request.code,
        client: &request.client_id,
        redirect: request.redirect_uri.as_deref(),
        challenge: &challenge_of(&request.code_verifier),
        resource: wanted(request),
    };
    let expires_ms = now_ms() + i64::from(DAYS) * DAY_MS;
    lab.store().exchange_oauth_code(&presented, access_expiry_ms(), expires_ms).await
}

async fn refresh(lab: &Lab, request: &TokenRequest) -> Result<OAuthTokens, StoreError> {
    let TokenRequest { refresh_token, client_id, .. } = request;
    let renew = lab.store().refresh_oauth_token(refresh_token, client_id, wanted(request), access_expiry_ms());
    lab.renewals.once(refresh_token, client_id, renew).await
}

fn access_expiry_ms() -> i64 {
    now_ms() + i64::from(ACCESS_SECS) * 1000
}

/// The address for which the token is wanted; a slash at its end means the same.
fn wanted(request: &TokenRequest) -> Option<&str> {
    request.resource.as_deref().map(|resource| resource.trim_end_matches('/'))
}

/// The challenge of PKCE with the method S256.
fn challenge_of(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Ends the access of a client with its access token or its refresh token. A text that it does not have changes nothing.
///
/// # Errors
/// An error of the store.
pub async fn revoke(lab: &Lab, revocation: &Revocation) -> Result<(), ApiError> {
    if let Some(token) = lab.store().oauth_token(&revocation.token, &revocation.client_id).await? {
        lab.revoke(token).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::challenge_of;

    #[test]
    fn the_challenge_is_the_one_of_the_example_in_rfc_7636() {
        let challenge = challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
