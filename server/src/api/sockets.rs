//! The two WebSockets: of pages and of workers. Both speak postcard.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;

use crate::auth::{Viewer, Worker};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::page_socket;
use crate::workers::link;

/// Maximum size of a page's message, bytes: as many inspections as a page may request, each with a prompt.
const PAGE_MESSAGE_BYTES: usize = 256 * 1024;

/// Opens the WebSocket of a page.
#[utoipa::path(get, path = "/live", tag = "sockets", responses((status = 101, description = "Postcard messages: wire::transport::live.")))]
pub async fn open_live(
    Viewer(identity): Viewer,
    State(lab): State<Lab>,
    request: Request,
) -> Result<Response, ApiError> {
    let upgrade = upgrade(request).await?.max_message_size(PAGE_MESSAGE_BYTES);
    let context = lab.page_context();
    Ok(upgrade.on_upgrade(move |socket| page_socket::serve(context, socket, identity.token_id)))
}

/// Opens the WebSocket of a worker.
#[utoipa::path(get, path = "/link", tag = "sockets", responses((status = 101, description = "Postcard messages: wire::transport::link.")))]
pub async fn open_link(_: Worker, State(lab): State<Lab>, request: Request) -> Result<Response, ApiError> {
    let upgrade = upgrade(request).await?.max_message_size(link::MESSAGE_BYTES).max_frame_size(link::MESSAGE_BYTES);
    let workers = lab.workers.clone();
    Ok(upgrade.on_upgrade(move |socket| link::serve(workers, socket)))
}

/// Upgrades a request to a WebSocket, after its role was checked.
async fn upgrade(request: Request) -> Result<WebSocketUpgrade, ApiError> {
    let (mut parts, _) = request.into_parts();
    let found = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    found.map_err(|rejection| {
        ApiError::new(rejection.status(), "no_socket", rejection.body_text()).hint("open this address as a WebSocket")
    })
}
