//! The tools of a lab as a baseline calls them: through the gate, as any other agent.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Version of the protocol.
const VERSION: &str = "2025-11-25";
/// Largest answer, bytes.
const ANSWER_BYTES: usize = 16 << 20;

/// The tools of a lab.
pub(super) struct Tools {
    gate: Router,
    token: String,
    number: AtomicU64,
}

impl Tools {
    pub(super) fn new(gate: Router, token: &str) -> Self {
        Self { gate, token: token.to_owned(), number: AtomicU64::new(0) }
    }

    /// Calls a tool that reads. Returns its data with plain texts; `None` if the call was refused.
    pub(super) async fn read(&self, tool: &str, arguments: Value) -> Option<Value> {
        let result = self.send(tool, &arguments).await?;
        let data = result["result"]["structuredContent"]["data"].clone();
        data.is_object().then(|| plain(data))
    }

    /// Calls a tool that acts, with a reason and a new idempotency key.
    pub(super) async fn act(&self, tool: &str, mut arguments: Value, reason: &str) -> Option<Value> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        arguments["reason"] = reason.into();
        arguments["idempotency_key"] = format!("baseline-{number}").into();
        self.read(tool, arguments).await
    }

    async fn send(&self, tool: &str, arguments: &Value) -> Option<Value> {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = Request::post("/mcp").header(HOST, "127.0.0.1").header(CONTENT_TYPE, "application/json");
        let request =
            request.header(ACCEPT, "application/json, text/event-stream").header("mcp-protocol-version", VERSION);
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        let response = self.gate.clone().oneshot(request.body(Body::from(message.to_string())).ok()?).await.ok()?;
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// A value whose texts are without the delimiters that mark them as data. A baseline follows no text, so it needs no marks.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_marks(&text).to_owned()),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}

fn without_marks(text: &str) -> &str {
    let inner = text.strip_prefix("⟦data ").and_then(|rest| rest.split_once('⟧'));
    inner.and_then(|(_, rest)| rest.rsplit_once('⟦')).map_or(text, |(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_around_texts_are_removed() {
        let fenced =
            json!({ "name": "⟦data name⟧amber fox⟦end⟧", "id": "amber-fox", "tags": ["⟦data tags⟧a⟦end⟧"], "step": 3 });
        assert_eq!(plain(fenced), json!({ "name": "amber fox", "id": "amber-fox", "tags": ["a"], "step": 3 }));
    }
}
