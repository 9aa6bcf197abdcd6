//! Signing in: a one-time token is exchanged for a session, which a cookie holds that scripts cannot read.

use store::Identity;
use wire::access::Me;

use super::cookie_name;
use crate::error::ApiError;
use crate::lab::Lab;

/// How long a browser stays signed in, seconds.
pub const SESSION_SECS: u32 = 30 * 24 * 3600;

/// Exchanges a one-time token for the text of a session's token; `None` for a token that is unknown, used or expired.
///
/// # Errors
/// An error of the store.
pub async fn redeem(lab: &Lab, token: &str) -> Result<Option<(String, Identity)>, ApiError> {
    Ok(lab.store().sign_in(token.trim()).await?)
}

/// Whom a sign-in link would sign in; the link stays unused. `None` for one that is unknown, used or expired.
///
/// # Errors
/// The store.
pub async fn owner(lab: &Lab, token: &str) -> Result<Option<Identity>, ApiError> {
    Ok(lab.store().sign_in_owner(token.trim()).await?)
}

/// Who an identity is, for the page.
///
/// # Errors
/// An error of the store.
pub async fn me(lab: &Lab, identity: Identity) -> Result<Me, ApiError> {
    let Identity { name, kind, person, grants, .. } = identity;
    // Someone who reaches only projects or runs meets them anyway.
    let is_shared = grants.lab.is_none() || person.is_some() || lab.store().is_shared().await?;
    Ok(Me { name, grants, kind, person, is_shared })
}

/// The cookie of this lab, for the path under which browsers reach it. Scripts cannot read it, and browsers do not send it with requests from
/// other sites, nor without TLS where the lab is reached by https.
pub fn cookie(lab: &Lab, session: &str, max_age_secs: u32, path: &str, is_https: bool) -> String {
    let (name, secure) = (cookie_name(lab.store().id()), if is_https { "; Secure" } else { "" });
    format!("{name}={session}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={max_age_secs}{secure}")
}
