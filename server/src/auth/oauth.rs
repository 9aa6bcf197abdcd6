//! The lab as the authorization server of its own `/mcp`: a program registers, a person permits it to act as an agent, and it exchanges a
//! code for the token of an agent. It follows the authorization section of the specification of MCP (OAuth 2.1 with PKCE). The routes are
//! in `crate::api::oauth`.
//!
//! - [`metadata`]: what programs read first; [`clients`]: registration; [`redirect`]: addresses to which codes are sent;
//! - [`request`]: what a program asks a person for; [`consent`]: what the person permits; [`exchange`]: codes and refresh tokens.
//!
//! Refusals have the codes of RFC 6749, 7591 and 8707.

pub mod clients;
pub mod consent;
pub mod exchange;
pub mod metadata;
pub mod redirect;
pub mod request;

use axum::http::StatusCode;

use crate::error::ApiError;

/// Validity of an access token, seconds. A refresh token gives another one without a person.
pub const ACCESS_SECS: u32 = 3_600;
/// Validity of what a person permits, days.
pub const DAYS: u32 = 90;

/// 400 with a code of OAuth.
fn refused(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, code, message)
}
