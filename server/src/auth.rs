//! Who sends a request, and whether what they reach allows it. Each route names what it needs as an extractor, so that a route without
//! one is easy to see: [`Viewer`], [`Steerer`] and [`Admin`] need a role in the whole lab, those of [`run`] a role on the run in the path,
//! those of [`project`] a role in the project in the path, those of [`sweep`] a role in the project of the sweep in the path, and [`SignedIn`]
//! only somebody who is signed in: such a route answers with what the sender may see.
//!
//! - [`agent`]: what the token of an agent permits, [`agents`]: agents listed and limited; [`approved`]: requests for what a person has
//!   approved;
//! - [`experiment`], [`research_loop`]: roles on the experiment or the research loop in the path; [`spec`]: who may make a run of a spec;
//!   [`datasets`]: access to datasets;
//! - [`session`]: signing in and the cookie; [`tokens`]: creating and revoking tokens; [`links`]: share links;
//! - [`oauth`]: tokens of agents for programs that ask a person;
//! - [`people`]: accounts and invitations; [`projects`]: projects and their members.

/// Defines an extractor of the sender of a request, if the function `require` of the module finds that the sender has the role on the
/// resource in the path.
macro_rules! path_extractor {
    ($name:ident, $role:expr) => {
        impl axum::extract::FromRequestParts<crate::lab::Lab> for $name {
            type Rejection = crate::error::ApiError;

            async fn from_request_parts(
                parts: &mut axum::http::request::Parts,
                lab: &crate::lab::Lab,
            ) -> Result<Self, crate::error::ApiError> {
                require(parts, lab, $role).await.map(Self)
            }
        }
    };
}

pub mod agent;
pub mod agents;
mod approved;
pub mod datasets;
pub mod experiment;
pub mod links;
pub mod oauth;
pub mod people;
pub mod project;
pub mod projects;
pub mod research_loop;
pub mod run;
pub mod session;
pub mod spec;
pub mod sweep;
pub mod tokens;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use store::Identity;
use wire::access::{Role, TokenKind};
use wire::control::author::Author;

use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
pub use approved::Approved;

/// Code of the answer to an access token of OAuth that has expired.
const ACCESS_EXPIRED: &str = "access_expired";

/// Someone who is signed in, a guest with a share link included; no worker.
pub struct SignedIn(pub Identity);
/// Someone who may view the lab or at least one project. Guests with a link to single runs are none.
pub struct Member(pub Identity);
/// Someone who may steer in the lab or in at least one project.
pub struct Contributor(pub Identity);
/// Someone who may view the whole lab.
pub struct Viewer(pub Identity);
/// Someone who may start, steer and delete runs, and add datasets, in the whole lab.
pub struct Steerer(pub Identity);
/// Someone who may also manage tokens, people and projects, and delete datasets.
pub struct Admin(pub Identity);
/// An extension of a request that marks it as sent by an agent over MCP.
#[derive(Debug, Clone, Copy)]
pub struct ByAgent;
/// A worker process.
pub struct Worker(pub Identity);
/// A machine with a join token, valid or not: its text. The exchange says why it is refused.
pub struct Joiner(pub String);

/// The name of the cookie. Browsers send the cookies of a host name to all its ports and paths, so each lab has its own name.
pub fn cookie_name(lab_id: &str) -> String {
    format!("kindling_{lab_id}")
}

/// The author of a sender's commands in the journal: a person, or an agent, which has the name of its token.
pub fn author(identity: &Identity) -> Author {
    match identity.is_agent {
        true => Author::Agent(identity.author_name.as_ref().unwrap_or(&identity.name).clone()),
        false => Author::Person(identity.name.clone()),
    }
}

/// The token of a request: from the Authorization header, or else from the cookie of this lab.
pub fn token_of(headers: &HeaderMap, lab_id: &str) -> Option<String> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(value) = bearer {
        let (scheme, token) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    cookie_of(headers, &cookie_name(lab_id))
}

/// The value of a cookie.
pub fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies =
        headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
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
    if let Some(identity) = lab.store().identify(&token).await? {
        return Ok(identity);
    }
    if lab.store().is_guest(&token).await? {
        let message = "the share link was revoked or has expired";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "link_ended", message)
            .hint("ask the person who sent it for a new one, or sign in"));
    }
    if lab.store().is_expired_access(&token).await? {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, ACCESS_EXPIRED, "the access token has expired")
            .hint("exchange the refresh token for another one: POST /oauth/token"));
    }
    Err(unauthorized("the token is unknown or has expired"))
}

/// As [`identify`]; notes the sender for the audit log and the use of the token, and counts an unknown one. An expired access token of OAuth is
/// no guess: it has to be answered with 401, after which its program refreshes it, also where many programs share an address.
async fn sender(parts: &Parts, lab: &Lab) -> Result<Identity, ApiError> {
    if let Some(approved) = parts.extensions.get::<Approved>() {
        return approved.identity(lab).await;
    }
    let found = identify(&parts.headers, lab).await;
    let Some(from) = parts.extensions.get::<Sender>() else { return found };
    match &found {
        Ok(identity) => {
            from.set_name(&identity.name);
            // Workers have links that stay open.
            if identity.role != Role::Worker {
                lab.audit.note_use(identity.token_id, from);
            }
        }
        Err(error) if error.status == StatusCode::UNAUTHORIZED && error.body.code != ACCESS_EXPIRED => {
            if let Some(text) = token_of(&parts.headers, lab.store().id()) {
                lab.throttle.text_failed(from.address, &text)?;
            }
        }
        Err(_) => {}
    }
    found
}

/// The sender of a request, who is not a worker.
async fn person(parts: &mut Parts, lab: &Lab) -> Result<Identity, ApiError> {
    let is_agent = parts.extensions.get::<ByAgent>().is_some();
    let mut identity = sender(parts, lab).await?;
    identity.is_agent |= is_agent;
    if identity.role == Role::Worker {
        return Err(forbidden(&identity, Role::View, None));
    }
    agent::admit(parts, lab, &mut identity).await?;
    Ok(identity)
}

/// Checks that a request which gives rights to others is not made with a person's token of a program: what they do with it would outlive the
/// token and its limits.
///
/// # Errors
/// 409.
pub fn not_a_program(identity: &Identity) -> Result<(), ApiError> {
    match (identity.person, identity.kind) {
        (Some(_), TokenKind::Api) => {
            let message = "a personal API token cannot give rights to others";
            Err(ApiError::conflict("session_needed", message).hint("sign in with a browser, or use a token of the lab"))
        }
        _ => Ok(()),
    }
}

/// 403: the sender has no sufficient role; `place` is where it is needed, the lab by default.
pub fn forbidden(identity: &Identity, needed: Role, place: Option<&str>) -> ApiError {
    let Identity { name, role, kind, grants, .. } = identity;
    let has = match (grants.lab, kind) {
        (Some(role), _) => format!("has the role {}", role.name()),
        (None, TokenKind::Guest) => "has a share link".to_owned(),
        (None, _) if *role == Role::Worker => "has the role worker".to_owned(),
        (None, _) => "has none there".to_owned(),
    };
    let place = place.map(|place| format!(" in {place}")).unwrap_or_default();
    let message = format!("this needs the role {}{place}, and {name:?} {has}", needed.name());
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
        .hint(format!("`kindling token --role {}` creates a token with that role", needed.name()))
}

macro_rules! extractor {
    ($name:ident, $role:expr, $allows:expr) => {
        impl FromRequestParts<Lab> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, lab: &Lab) -> Result<Self, ApiError> {
                let identity = person(parts, lab).await?;
                let allows: fn(&Identity) -> bool = $allows;
                if allows(&identity) { Ok(Self(identity)) } else { Err(forbidden(&identity, $role, None)) }
            }
        }
    };
}

extractor!(SignedIn, Role::View, |_| true);
extractor!(Member, Role::View, |identity| identity.grants.has_anywhere(Role::View));
extractor!(Contributor, Role::Steer, |identity| identity.grants.has_anywhere(Role::Steer));
extractor!(Viewer, Role::View, |identity| identity.grants.has_lab(Role::View));
extractor!(Steerer, Role::Steer, |identity| identity.grants.has_lab(Role::Steer));
extractor!(Admin, Role::Admin, |identity| identity.grants.has_lab(Role::Admin));

impl FromRequestParts<Lab> for Worker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, lab: &Lab) -> Result<Self, ApiError> {
        let identity = sender(parts, lab).await?;
        if identity.role == Role::Worker { Ok(Self(identity)) } else { Err(forbidden(&identity, Role::Worker, None)) }
    }
}

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
                let message = format!("this needs a join token, and the token of {name:?} is not one");
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
