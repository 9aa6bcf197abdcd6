//! Who is asking, and whether their role reaches far enough. Each route names the role it needs as an extractor, so
//! that a route without one is plain to see.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use store::{Identity, Role};
use wire::event::Author;

use crate::api_error::ApiError;
use crate::app_state::AppState;

/// Anyone signed in: may look.
pub struct Viewer(pub Identity);
/// May start, steer and delete runs, and bring text.
pub struct Steerer(pub Identity);
/// May do what cannot be undone.
pub struct Admin(pub Identity);
/// A worker process: may report runs and nothing else.
pub struct WorkerSeat(pub Identity);

/// The name of the cookie; cookies know no ports, so two labs on one machine need two names.
pub fn cookie_name(port: u16) -> String {
    format!("kindling_{port}")
}

/// How a role reads in messages and on the command line.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::View => "view",
        Role::Steer => "steer",
        Role::Admin => "admin",
        Role::Worker => "worker",
    }
}

/// What the journal writes as author.
pub fn author(identity: &Identity) -> Author {
    Author::Person(identity.name.clone())
}

/// The token of a request: a bearer's, or else the cookie's.
pub fn token_of(headers: &HeaderMap, port: u16) -> Option<String> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(value) = bearer {
        let (scheme, token) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    let name = cookie_name(port);
    let cookies =
        headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, token)| token.to_owned())
}

/// Who is asking.
///
/// # Errors
/// 401 without a token or with one that is unknown or has expired.
pub async fn identify(headers: &HeaderMap, state: &AppState) -> Result<Identity, ApiError> {
    let unauthorized = |message: &str| {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("sign in with a link from `kindling token --sign-in`, or send Authorization: Bearer with a token from `kindling token`")
    };
    let token = token_of(headers, state.port()).ok_or_else(|| unauthorized("this needs a token, and none was sent"))?;
    let found =
        state.store.identify(&token).await.map_err(|source| ApiError::internal("looking up a token", source))?;
    found.ok_or_else(|| unauthorized("this token is unknown or has expired"))
}

async fn require(parts: &Parts, state: &AppState, needed: Role) -> Result<Identity, ApiError> {
    let identity = identify(&parts.headers, state).await?;
    if identity.role.reaches(needed) {
        return Ok(identity);
    }
    let message =
        format!("this needs the role {} and {:?} has {}", role_name(needed), identity.name, role_name(identity.role));
    Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
        .hint(format!("kindling token --role {}", role_name(needed))))
}

macro_rules! seat {
    ($seat:ident, $role:expr) => {
        impl FromRequestParts<AppState> for $seat {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
                require(parts, state, $role).await.map(Self)
            }
        }
    };
}

seat!(Viewer, Role::View);
seat!(Steerer, Role::Steer);
seat!(Admin, Role::Admin);
seat!(WorkerSeat, Role::Worker);

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn tokens_come_as_bearer_or_as_this_labs_cookie() {
        let check = |pairs: &[(&'static str, &'static str)], expected: Option<&str>| {
            let headers =
                pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect();
            assert_eq!(token_of(&headers, 7).as_deref(), expected, "{pairs:?}");
        };
        check(&[], None);
        check(&[("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "Basic abc")], None);
        check(&[("cookie", "a=b; kindling_7=xyz")], Some("xyz"));
        check(&[("cookie", "kindling_8=xyz")], None);
        check(&[("authorization", "Bearer abc"), ("cookie", "kindling_7=xyz")], Some("abc"));
    }
}
