//! Route of text completion.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader};
use wire::completion::{CompletionLine, CompletionRequest};

use super::failure::ApiFailure;
use super::request::fetch_until;

/// Completes a prompt and passes each line to `take` as it arrives. Ends early without a failure when `stop` is raised
/// or `take` returns false.
pub(crate) async fn complete(
    request: &CompletionRequest,
    stop: &AbortSignal,
    mut take: impl FnMut(CompletionLine) -> bool,
) -> Result<(), ApiFailure> {
    let body = serde_json::to_string(request).map_err(ApiFailure::unreadable)?;
    let answered = fetch_until("POST", "/completions", Some(&body), "application/x-ndjson", stop).await;
    let response = match answered {
        Err(_) if stop.aborted() => return Ok(()),
        answered => answered?,
    };
    let Some(stream) = response.body() else { return Err(ApiFailure::unreachable()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut bytes: Vec<u8> = vec![];
    loop {
        let part = match JsFuture::from(reader.read()).await {
            Ok(part) => part,
            Err(_) if stop.aborted() => return Ok(()),
            Err(_) => return Err(ApiFailure::unreachable()),
        };
        let field = |name: &str| Reflect::get(&part, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(());
        }
        bytes.extend(js_sys::Uint8Array::new(&field("value")).to_vec());
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = bytes.drain(..=end).collect();
            if !take(serde_json::from_slice(&line).map_err(ApiFailure::unreadable)?) {
                let _ = reader.cancel();
                return Ok(());
            }
        }
    }
}
