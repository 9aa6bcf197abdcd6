//! Opening a share link in a browser. A GET changes nothing, because chat programs open links; the form of its page posts to the same
//! address.

use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use figure::number;
use serde::Deserialize;
use store::{LinkRecord, OpenedBy};
use wire::access::link::LinkScope;
use wire::access::{Grants, Role, TokenKind};

use super::extract::{Path, read_form};
use super::notice::Notice;
use super::page;
use super::reached::Reached;
use super::session::session_cookie;
use crate::auth::identify;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::live::access_changes::Concerned;
use crate::live::clock::now_ms;

const DAY_SECS: i64 = 86_400;
/// Longest form, bytes: a passphrase of 200 characters, each encoded.
const FORM_BYTES: usize = 10_000;
/// Runs that are named.
const NAMED: usize = 3;
/// The form names its origin, and no address of a share link is sent to another page. With no referrer at all, browsers send the form with
/// `Origin: null`.
const ORIGIN_ONLY: HeaderValue = HeaderValue::from_static("strict-origin");

/// The form of the page.
#[derive(Default, Deserialize)]
struct ShareForm {
    #[serde(default)]
    passphrase: String,
}

/// Shows what a link shares, with a button that opens it.
pub async fn show(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Path(text): Path<String>,
) -> Result<Response, ApiError> {
    match find(&lab, &sender, &text).await {
        Ok(Some(link)) => Ok(reply(StatusCode::OK, form(&lab, &link, None).await?)),
        Ok(None) => Ok(ended()),
        Err(error) => slowed(error),
    }
}

/// Opens a link: adds it to the session of this browser, or to a new session of a guest, and leads to the page that it shares.
pub async fn open(
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    Path(text): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, ApiError> {
    let link = match find(&lab, &sender, &text).await {
        Ok(Some(link)) => link,
        Ok(None) => return Ok(ended()),
        Err(error) => return slowed(error),
    };
    match is_admitted(&lab, &sender, &link, &body).await {
        Ok(true) => {}
        Ok(false) => {
            let notice = form(&lab, &link, Some("The passphrase is wrong.")).await?;
            return Ok(reply(StatusCode::FORBIDDEN, notice));
        }
        Err(error) => return slowed(error),
    }
    let own = identify(&headers, &lab).await.ok();
    let own = own.filter(|own| matches!(own.kind, TokenKind::Session | TokenKind::Guest));
    let opened = lab.store().open_link(link.id, own.as_ref().map(|own| own.token_id)).await?;
    let Some(opened) = opened else { return Ok(ended()) };
    sender.set_name(own.as_ref().map_or("guest", |own| &own.name));
    // Pages that this browser has open see more now; a new session has none.
    if let Some(own) = own.filter(|_| opened == OpenedBy::Session) {
        lab.access.announce(Concerned::Token(own.token_id));
    }
    // Relative, because a proxy may have removed a path before it.
    let location = (LOCATION, format!("..{}", link.path));
    Ok(match opened {
        OpenedBy::Session => (StatusCode::SEE_OTHER, [location]).into_response(),
        OpenedBy::Guest(session) => {
            let cookie = (SET_COOKIE, session_cookie(&lab, &reached, &session));
            (StatusCode::SEE_OTHER, [location, cookie]).into_response()
        }
    })
}

/// The link of a text, if it is for browsers and its creator still has what it shares; an unknown text counts as a guess.
async fn find(lab: &Lab, sender: &Sender, text: &str) -> Result<Option<LinkRecord>, ApiError> {
    match lab.store().find_link(text).await?.filter(|link| !link.is_embed) {
        Some(link) if lab.store().grants_of_link(link.id).await? == Grants::default() => Ok(None),
        Some(link) => Ok(Some(link)),
        None => {
            lab.throttle.text_failed(sender.address, text)?;
            Ok(None)
        }
    }
}

/// Whether the form has the passphrase of the link, or the link has none.
async fn is_admitted(lab: &Lab, sender: &Sender, link: &LinkRecord, body: &str) -> Result<bool, ApiError> {
    let Some(stored) = link.passphrase.clone() else { return Ok(true) };
    let account = format!("link:{}", link.id);
    let tried = lab.throttle.check(sender.address, Some(&account))?;
    tried.end(lab.passwords.verify(passphrase(body), Some(stored))).await
}

/// The passphrase of a form, which is encoded as a query is; empty for anything else.
fn passphrase(body: &str) -> String {
    let form = (body.len() <= FORM_BYTES).then(|| read_form::<ShareForm>(body)).flatten();
    form.map(|form| form.passphrase).unwrap_or_default()
}

/// The page of a link. It names what is shared only where no passphrase is needed.
async fn form(lab: &Lab, link: &LinkRecord, refusal: Option<&str>) -> Result<Notice, ApiError> {
    let expiry =
        link.expires_ms.map(|at_ms| format!("The link works for another {}.", left((at_ms - now_ms()).max(0) / 1000)));
    let notice = Notice::new("Shared with you").styled_below(page::stylesheet());
    let notice = match link.passphrase {
        Some(_) => notice.sentence("This link needs a passphrase. Ask the person who sent it to you."),
        None => notice.sentence(&description(lab, link).await?),
    };
    let notice = expiry.iter().fold(notice, |notice, text| notice.sentence(text));
    let notice = refusal.iter().fold(notice, |notice, text| notice.alarm(text));
    Ok(match link.passphrase {
        Some(_) => notice.passphrase("Passphrase", "Open"),
        None => notice.button("Open"),
    })
}

/// The time that is left, seconds, in words: `7 days`, `3 h 20 min`.
fn left(secs: i64) -> String {
    match (secs + DAY_SECS / 2) / DAY_SECS {
        0 | 1 => number::duration(secs as f64),
        days => format!("{days} days"),
    }
}

/// What a link shares, in a sentence.
async fn description(lab: &Lab, link: &LinkRecord) -> Result<String, ApiError> {
    let rights = if link.role == Role::Steer { "look at it and steer it" } else { "look at it" };
    let shared = match &link.scope {
        LinkScope::Project(project) => format!("the project “{project}”"),
        LinkScope::Runs(runs) => {
            let mut names = vec![];
            for run in runs.iter().take(NAMED) {
                let summary = lab.store().summary(run).await?;
                names.push(format!("“{}”", summary.map_or_else(|| run.to_string(), |summary| summary.name)));
            }
            let more = runs.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} {}{more}", if runs.len() == 1 { "the run" } else { "the runs" }, names.join(", "))
        }
    };
    Ok(format!("{} shares {shared} with you. You can {rights} without an account.", link.created_by))
}

/// The page of a browser that must wait after failed tries; other errors stay as they are.
fn slowed(error: ApiError) -> Result<Response, ApiError> {
    if error.status != StatusCode::TOO_MANY_REQUESTS {
        return Err(error);
    }
    let notice = Notice::new("Please wait").sentence(&format!("{error}.")).styled_below(page::stylesheet());
    let mut response = reply(error.status, notice);
    // For the log.
    response.extensions_mut().insert(error);
    Ok(response)
}

fn reply(status: StatusCode, notice: Notice) -> Response {
    (status, [(REFERRER_POLICY, ORIGIN_ONLY)], notice).into_response()
}

/// The answer to a link that was revoked, has expired or never existed.
fn ended() -> Response {
    let notice = Notice::new("This link has ended")
        .sentence(
            "It was revoked, has expired, or was not copied completely. Ask the person who sent it for a new one.",
        )
        .styled_below(page::stylesheet());
    (StatusCode::GONE, notice).into_response()
}

#[cfg(test)]
mod tests {
    use super::passphrase;

    #[test]
    fn a_passphrase_is_read_from_an_encoded_form() {
        for (body, expected) in [
            ("passphrase=open+sesame%21", "open sesame!"),
            ("x=1&passphrase=%C3%A4", "ä"),
            ("", ""),
            ("{\"passphrase\": 1}", ""),
            ("passphrase=%", "%"),
        ] {
            assert_eq!(passphrase(body), expected, "{body}");
        }
        assert_eq!(passphrase(&format!("passphrase={}", "a".repeat(20_000))), "");
    }
}
