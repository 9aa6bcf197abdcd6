//! Route of pages that poll, because no WebSocket can be opened.

use wire::encode;
use wire::transport::live::{Poll, ToPage};

use super::failure::ApiFailure;
use super::request::post_packed;

/// Sends the messages of this page and returns those of the server, after at most a second.
pub(crate) async fn poll(poll: &Poll) -> Result<Vec<ToPage>, ApiFailure> {
    let body = encode::to_bytes(poll).map_err(ApiFailure::unreadable)?;
    post_packed("/live/poll", &body).await
}
