//! Routes of share links and embeds.

use wire::access::link::{CreatedLink, LinkView, NewLink};

use super::failure::ApiFailure;
use super::request::{get, send, send_plain};

/// The valid links: one's own, or all those that an admin may revoke.
pub(crate) async fn list() -> Result<Vec<LinkView>, ApiFailure> {
    get("/links").await
}

pub(crate) async fn create(link: &NewLink) -> Result<CreatedLink, ApiFailure> {
    send("POST", "/links", Some(link)).await
}

pub(crate) async fn revoke(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/links/{id}")).await
}
