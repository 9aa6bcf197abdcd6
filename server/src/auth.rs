//! Who sends a request, and whether their role allows it. Each route names the role that it needs as an extractor, so that a route without
//! one is easy to see.
//!
//! - [`session`]: signing in and the cookie; [`tokens`]: creating and revoking tokens.

pub mod session;
pub mod tokens;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use store::Identity;
use wire::access::Role;
use wire::control::author::Author;

use crate::error::ApiError;
use crate::lab::Lab;

/// Someone who may view: everyone who is signed in.
pub struct Viewer(pub Identity);
/// Someone who may start, steer and delete runs, and add datasets.
pub struct Steerer(pub Identity);
/// Someone who may also manage tokens and delete datasets.
pub struct Admin(pub Identity);
/// A worker process.
pub struct Worker(pub Identity);
/// A machine with a join token, valid or not: its text. The exchange says why it is refused.
pub struct Joiner(pub String);

/// The name of the cookie. Browsers send the cookies of a host name to all its ports and paths, so each lab has its own name.
pub fn cookie_name(lab_id: &str) -> String {
    format!("kindling_{lab_id}")
}

/// The author of a person's commands in the journal.
pub fn author(identity: &Identity) -> Author {
    Author::Person(identity.name.clone())
}

/// The token of a request: from the Authorization header, or else from the cookie of this lab.
pub fn token_of(headers: &HeaderMap, lab_id: &str) -> Option<String> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(value) = bearer {
        let (scheme, token) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    let name = cookie_name(lab_id);
    let cookies =
        headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, token)| token.to_owned())
}

/// The identity of the sender of a request.
///
/// # Errors
/// 401 without a token, or with one that is unknown or has expired.
pub async fn identify(headers: &HeaderMap, lab: &Lab) -> Result<Identity, ApiError> {
    let unauthorized = |message: &str| {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("sign in with a link from `kindling token --sign-in`, or send Authorization: Bearer with a token from `kindling token`")
    };
    let token = token_of(headers, lab.store().id()).ok_or_else(|| unauthorized("the request has no token"))?;
    lab.store().identify(&token).await?.ok_or_else(|| unauthorized("the token is unknown or has expired"))
}

async fn require(parts: &Parts, lab: &Lab, needed: Role) -> Result<Identity, ApiError> {
    let identity = identify(&parts.headers, lab).await?;
    if identity.role.includes(needed) {
        return Ok(identity);
    }
    let message =
        format!("this needs the role {}, and {:?} has the role {}", needed.name(), identity.name, identity.role.name());
    Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
        .hint(format!("`kindling token --role {}` creates a token with that role", needed.name())))
}

macro_rules! extractor {
    ($name:ident, $role:expr) => {
        impl FromRequestParts<Lab> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, lab: &Lab) -> Result<Self, ApiError> {
                require(parts, lab, $role).await.map(Self)
            }
        }
    };
}

extractor!(Viewer, Role::View);
extractor!(Steerer, Role::Steer);
extractor!(Admin, Role::Admin);
extractor!(Worker, Role::Worker);

impl FromRequestParts<Lab> for Joiner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, lab: &Lab) -> Result<Self, ApiError> {
        let text = token_of(&parts.headers, lab.store().id()).unwrap_or_default();
        if lab.store().pool_of_join_token(&text).await?.is_some() {
            return Ok(Self(text));
        }
        let hint = "send Authorization: Bearer with a join token, which the Fleet page of the lab creates";
        match lab.store().identify(&text).await? {
            Some(Identity { name, .. }) => {
                let message = format!("this needs a join token, and the token of {name:?} is none");
                Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message).hint(hint))
            }
            None => {
                let message = if text.is_empty() { "the request has no token" } else { "the join token is unknown" };
                Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).hint(hint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_token_is_read_from_the_header_or_from_the_cookie_of_the_lab() {
        let check = |pairs: &[(&'static str, &'static str)], expected: Option<&str>| {
            let headers =
                pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect();
            assert_eq!(token_of(&headers, "7f").as_deref(), expected, "{pairs:?}");
        };
        check(&[], None);
        check(&[("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "Basic abc")], None);
        check(&[("cookie", "a=b; kindling_7f=xyz")], Some("xyz"));
        check(&[("cookie", "kindling_8a=xyz")], None);
        check(&[("cookie", "kindling_8a=abc; kindling_7f=xyz; kindling_7f0=def")], Some("xyz"));
        check(&[("cookie", "kindling_8a=abc"), ("cookie", "kindling_7f=xyz")], Some("xyz"));
        check(&[("cookie", "kindling_7878=xyz")], None);
        check(&[("authorization", "Bearer abc"), ("cookie", "kindling_7f=xyz")], Some("abc"));
    }
}
