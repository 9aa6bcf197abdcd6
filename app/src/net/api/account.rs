//! Routes of one's own account: password, personal tokens, sessions.

use wire::access::person::NewPassword;
use wire::access::session::PasswordSignIn;
use wire::access::{CreatedToken, Me, NewPersonalToken, TokenView};

use super::failure::ApiFailure;
use super::request::{get, send, send_for, send_plain};

/// Signs this browser in with a name and a password.
pub(crate) async fn sign_in(sign_in: &PasswordSignIn) -> Result<Me, ApiFailure> {
    send("POST", "/session/password", Some(sign_in)).await
}

/// Sets the password of the signed-in person.
pub(crate) async fn set_password(password: &NewPassword) -> Result<(), ApiFailure> {
    send_for("PUT", "/me/password", Some(password)).await.map(|_| ())
}

/// The API tokens of the signed-in person.
pub(crate) async fn tokens() -> Result<Vec<TokenView>, ApiFailure> {
    get("/me/tokens").await
}

pub(crate) async fn create_token(token: &NewPersonalToken) -> Result<CreatedToken, ApiFailure> {
    send("POST", "/me/tokens", Some(token)).await
}

pub(crate) async fn revoke_token(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/me/tokens/{id}")).await
}

/// The browsers in which the signed-in person is signed in.
pub(crate) async fn sessions() -> Result<Vec<TokenView>, ApiFailure> {
    get("/me/sessions").await
}

/// Signs another browser out.
pub(crate) async fn end_session(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/me/sessions/{id}")).await
}
