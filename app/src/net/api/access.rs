//! Routes of API tokens. For admins.

use wire::access::{CreatedToken, NewToken, TokenView};

use super::failure::ApiFailure;
use super::request::{get, send, send_plain};

/// The valid tokens, oldest first.
pub(crate) async fn tokens() -> Result<Vec<TokenView>, ApiFailure> {
    get("/tokens").await
}

pub(crate) async fn create_token(token: &NewToken) -> Result<CreatedToken, ApiFailure> {
    send("POST", "/tokens", Some(token)).await
}

/// Revokes a token. One's own and the last one of an admin need `confirm`.
pub(crate) async fn revoke_token(id: i64, confirm: bool) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/tokens/{id}?confirm={confirm}")).await
}
