//! Requests to `/api/v1`: JSON or postcard, with a timeout, and with a refusal as an [`ApiFailure`].

use std::cell::Cell;

use leptos::prelude::{RwSignal, Set};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, FormData, Headers, RequestInit, Response, XmlHttpRequest};
use wire::encode;

use super::failure::ApiFailure;
use crate::base::at;

/// Timeout of a request: longer than the server waits for a worker, so that the response of the server comes first.
const TIMEOUT_MS: u32 = 45_000;

thread_local! {
    // The page has one thread. A 401 of any request sets this flag, and the shell then shows the sign-in page.
    static SIGNED_OUT: Cell<Option<RwSignal<bool>>> = const { Cell::new(None) };
    // A 403 of any request sets this one: roles were changed, and the page fetches the account again.
    static FORBIDDEN: Cell<Option<RwSignal<bool>>> = const { Cell::new(None) };
}

/// Sets `flag` whenever the server responds that this browser is not signed in.
pub(crate) fn on_signed_out(flag: RwSignal<bool>) {
    SIGNED_OUT.set(Some(flag));
}

/// Sets `flag` whenever the server responds that the role of this browser does not suffice.
pub(crate) fn on_forbidden(flag: RwSignal<bool>) {
    FORBIDDEN.set(Some(flag));
}

/// The same for a poll, which the server answers within a second or two.
const POLL_TIMEOUT_MS: u32 = 10_000;
const POSTCARD: &str = "application/x-postcard";

/// A response as postcard.
pub(super) async fn packed<T: DeserializeOwned>(method: &str, path: &str, json: Option<&str>) -> Result<T, ApiFailure> {
    unpack(fetch(method, path, json, POSTCARD).await?).await
}

/// A POST of postcard with an answer as postcard.
pub(super) async fn post_packed<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ApiFailure> {
    let body = (POSTCARD, js_sys::Uint8Array::from(body).into());
    let stop = AbortSignal::timeout_with_u32(POLL_TIMEOUT_MS);
    unpack(fetch_with("POST", path, Some(body), POSTCARD, &stop).await?).await
}

async fn unpack<T: DeserializeOwned>(response: Response) -> Result<T, ApiFailure> {
    let buffer = JsFuture::from(response.array_buffer().map_err(|_| ApiFailure::unreachable())?)
        .await
        .map_err(|_| ApiFailure::unreachable())?;
    encode::from_bytes(&js_sys::Uint8Array::new(&buffer).to_vec()).map_err(ApiFailure::unreadable)
}

pub(super) async fn post_form(
    path: &str,
    form: &FormData,
    sent: impl Fn(f64) + 'static,
) -> Result<(u16, String), ApiFailure> {
    let request = XmlHttpRequest::new().map_err(|_| ApiFailure::unreachable())?;
    request.open("POST", path).map_err(|_| ApiFailure::unreachable())?;
    let on_progress = Closure::<dyn Fn(web_sys::ProgressEvent)>::new(move |event: web_sys::ProgressEvent| {
        sent(if event.total() > 0.0 { event.loaded() / event.total() } else { 0.0 });
    });
    if let Ok(upload) = request.upload() {
        upload.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    }
    // Resolves when the request ends in any way; the status then says how.
    let ended = js_sys::Promise::new(&mut |resolve, _| request.set_onloadend(Some(&resolve)));
    request.send_with_opt_form_data(Some(form)).map_err(|_| ApiFailure::unreachable())?;
    let _ = JsFuture::from(ended).await;
    match request.status().unwrap_or(0) {
        0 => Err(ApiFailure::unreachable()),
        status => Ok((status, request.response_text().ok().flatten().unwrap_or_default())),
    }
}

pub(super) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, ApiFailure> {
    send::<(), T>("GET", path, None).await
}

pub(super) async fn send<B: Serialize + ?Sized, T: DeserializeOwned>(
    method: &str,
    path: &str,
    body: Option<&B>,
) -> Result<T, ApiFailure> {
    read(&text_of(&send_for(method, path, body).await?).await?)
}

pub(super) async fn send_plain(method: &str, path: &str) -> Result<(), ApiFailure> {
    fetch(method, path, None, "application/json").await.map(|_| ())
}

pub(super) async fn send_for<B: Serialize + ?Sized>(
    method: &str,
    path: &str,
    body: Option<&B>,
) -> Result<Response, ApiFailure> {
    let body = body.map(serde_json::to_string).transpose().map_err(ApiFailure::unreadable)?;
    fetch(method, path, body.as_deref(), "application/json").await
}

async fn fetch(method: &str, path: &str, json: Option<&str>, accept: &str) -> Result<Response, ApiFailure> {
    fetch_until(method, path, json, accept, &AbortSignal::timeout_with_u32(TIMEOUT_MS)).await
}

pub(super) async fn fetch_until(
    method: &str,
    path: &str,
    json: Option<&str>,
    accept: &str,
    stop: &AbortSignal,
) -> Result<Response, ApiFailure> {
    let body = json.map(|json| ("application/json", JsValue::from_str(json)));
    fetch_with(method, path, body, accept, stop).await
}

/// A request whose body has a content type.
async fn fetch_with(
    method: &str,
    path: &str,
    body: Option<(&str, JsValue)>,
    accept: &str,
    stop: &AbortSignal,
) -> Result<Response, ApiFailure> {
    let headers = Headers::new().map_err(|_| ApiFailure::unreachable())?;
    let _ = headers.set("accept", accept);
    let options = RequestInit::new();
    options.set_method(method);
    options.set_signal(Some(stop));
    if let Some((content_type, body)) = body {
        let _ = headers.set("content-type", content_type);
        options.set_body(&body);
    }
    options.set_headers(&headers);
    let sent = leptos::prelude::window().fetch_with_str_and_init(&at(&format!("/api/v1{path}")), &options);
    let answered = JsFuture::from(sent).await.map_err(|_| ApiFailure::unreachable())?;
    let response: Response = answered.dyn_into().map_err(|_| ApiFailure::unreachable())?;
    if response.ok() {
        return Ok(response);
    }
    let text = text_of(&response).await.unwrap_or_default();
    Err(refusal(response.status(), &text))
}

/// A refusal of the server; a proxy in between may have sent another response.
pub(super) fn refusal(status: u16, text: &str) -> ApiFailure {
    let flag = match status {
        401 => SIGNED_OUT.get(),
        403 => FORBIDDEN.get(),
        _ => None,
    };
    if let Some(flag) = flag {
        flag.set(true);
    }
    match serde_json::from_str(text) {
        Ok(body) => ApiFailure { status, body },
        Err(_) => ApiFailure::new(
            status,
            "refused",
            format!("The server answered with status {status}."),
            "Try again. The log of the server may contain more details.",
        ),
    }
}

pub(super) async fn text_of(response: &Response) -> Result<String, ApiFailure> {
    let text = response.text().map_err(|_| ApiFailure::unreachable())?;
    JsFuture::from(text).await.map_err(|_| ApiFailure::unreachable())?.as_string().ok_or_else(ApiFailure::unreachable)
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ApiFailure> {
    serde_json::from_str(text).map_err(ApiFailure::unreadable)
}

pub(super) fn escape(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}
