//! Routes of access: the tokens that open the lab. For admins.

use serde::{Deserialize, Serialize};

use super::{ApiFailure, get, send, send_plain};

/// A token as lists show it: never its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct TokenView {
    /// To revoke it.
    pub(crate) id: i64,
    /// Whose.
    pub(crate) name: String,
    /// `view`, `steer`, `admin` or `worker`.
    pub(crate) role: String,
    /// `api`, `sign_in` or `session`.
    pub(crate) kind: String,
    /// Made, milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Opens nothing from then on.
    pub(crate) expires_ms: Option<i64>,
    /// The one this browser is signed in with.
    pub(crate) is_own: bool,
}

/// What token is wanted.
#[derive(Debug, Serialize)]
pub(crate) struct NewToken {
    /// Whose.
    pub(crate) name: String,
    /// `view`, `steer`, `admin` or `worker`.
    pub(crate) role: &'static str,
    /// How long it works; as usual unless told.
    pub(crate) days: Option<u32>,
    /// Signs one browser in, once.
    pub(crate) sign_in: bool,
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct MadeToken {
    /// As lists show it.
    pub(crate) token: TokenView,
    /// The token itself, which cannot be had again.
    pub(crate) text: String,
}

/// The tokens that still open something, oldest first.
pub(crate) async fn tokens() -> Result<Vec<TokenView>, ApiFailure> {
    get("/tokens").await
}

/// Makes a token.
pub(crate) async fn make_token(wish: &NewToken) -> Result<MadeToken, ApiFailure> {
    send("POST", "/tokens", Some(wish)).await
}

/// Revokes a token; one's own, and the last one of an admin, only where one is sure.
pub(crate) async fn revoke_token(id: i64, is_sure: bool) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/tokens/{id}?sure={is_sure}")).await
}
