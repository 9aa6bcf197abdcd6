//! The two WebSockets, of pages and of workers, and the polls of pages without one. All speak postcard.

use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use wire::transport::live::Poll;
use wire::{ApiErrorBody, encode};

use crate::auth::{SignedIn, Worker};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::page_socket;
use crate::live::places::Owner;
use crate::live::polling::PollError;
use crate::workers::link;

/// Maximum size of a page's message, bytes: as many inspections as a page may request, each with a prompt.
const PAGE_MESSAGE_BYTES: usize = 256 * 1024;

/// Opens the WebSocket of a page.
#[utoipa::path(get, path = "/live", tag = "sockets", responses((status = 101, description = "Postcard messages: wire::transport::live."),
    (status = 429, description = "Too many pages are open.", body = ApiErrorBody)))]
pub async fn open_live(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    request: Request,
) -> Result<Response, ApiError> {
    let upgrade = upgrade(request).await?.max_message_size(PAGE_MESSAGE_BYTES);
    let place = lab.sockets.take(Owner::of(&identity));
    let place = place.map_err(|full| ApiError::busy(full.to_string()).hint("close some pages"))?;
    let context = lab.page_context();
    Ok(upgrade.on_upgrade(async move |socket| {
        page_socket::serve(context, socket, identity).await;
        drop(place);
    }))
}

/// Sends the messages of a page, and answers within a second with the messages for it: for pages behind a proxy that blocks WebSockets.
#[utoipa::path(post, path = "/live/poll", tag = "sockets",
    request_body(content = Vec<u8>, description = "Postcard: wire::transport::live::Poll.", content_type = "application/x-postcard"),
    responses((status = 200, description = "Postcard: a list of wire::transport::live::ToPage.", content_type = "application/x-postcard", body = Vec<u8>),
        (status = 410, description = "The server keeps nothing of this page: begin again.", body = ApiErrorBody),
        (status = 429, description = "Too many pages are polling.", body = ApiErrorBody)))]
pub async fn poll_live(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let poll: Poll = encode::from_bytes(&body).map_err(|source| {
        ApiError::new(StatusCode::BAD_REQUEST, "body_unreadable", format!("the body is not a poll: {source}"))
            .hint("reload the page: it may be older than the server")
    })?;
    let answered = lab.polls.poll(lab.page_context(), identity, poll).await;
    let list = answered.map_err(|error| match error {
        PollError::Unknown => ApiError::new(StatusCode::GONE, "poll_unknown", error.to_string()),
        PollError::TooMany(_) => {
            ApiError::busy(error.to_string()).hint("close some pages, or let the proxy forward WebSocket upgrades")
        }
    })?;
    Ok(([(CONTENT_TYPE, "application/x-postcard")], list).into_response())
}

/// Opens the WebSocket of a worker, whose token is valid for its device alone.
#[utoipa::path(get, path = "/link", tag = "sockets", responses((status = 101, description = "Postcard messages: wire::transport::link.")))]
pub async fn open_link(
    Worker(identity): Worker,
    State(lab): State<Lab>,
    request: Request,
) -> Result<Response, ApiError> {
    let upgrade = upgrade(request).await?.max_message_size(link::MESSAGE_BYTES).max_frame_size(link::MESSAGE_BYTES);
    let (workers, access) = (lab.workers.clone(), lab.access.watch(identity.token_id, None));
    Ok(upgrade.on_upgrade(move |socket| link::serve(workers, socket, identity.token_id, access)))
}

/// Upgrades a request to a WebSocket, after its role was checked.
async fn upgrade(request: Request) -> Result<WebSocketUpgrade, ApiError> {
    let (mut parts, _) = request.into_parts();
    let found = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    found.map_err(|rejection| {
        ApiError::new(rejection.status(), "no_socket", rejection.body_text())
            .hint("open this address as a WebSocket; a proxy must forward the headers Upgrade and Connection")
    })
}
