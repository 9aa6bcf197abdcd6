//! A provider of models: it answers requests in the order of a script, and records them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A request that arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The answer to a request.
pub(super) enum Scripted {
    /// A stream of events.
    Events(String),
    /// A stream that the test writes.
    Open(UnboundedReceiver<String>),
    /// An error with a Retry-After header, if it has one.
    Error(u16, Option<&'static str>, String),
    /// No answer.
    Silence,
}

#[derive(Clone, Default)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<VecDeque<Scripted>>>,
}

/// A provider on a port of its own.
pub(super) struct Stub {
    pub(super) url: String,
    shared: Shared,
}

impl Stub {
    pub(super) async fn start(script: Vec<Scripted>) -> Self {
        let shared = Shared::default();
        let stub = Self { url: String::new(), shared: shared.clone() };
        script.into_iter().for_each(|answer| stub.add(answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, ..stub }
    }

    pub(super) fn add(&self, answer: Scripted) {
        self.shared.script.lock().unwrap().push_back(answer);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8(body.to_vec()).unwrap();
    shared.seen.lock().unwrap().push(Seen { path: uri.path().to_owned(), headers, text });
    let next = shared.script.lock().unwrap().pop_front();
    let stream = [("content-type", "text/event-stream")];
    match next {
        Some(Scripted::Events(events)) => (stream, events).into_response(),
        Some(Scripted::Open(parts)) => {
            let next = |mut parts: UnboundedReceiver<String>| async move {
                let part = parts.recv().await?;
                Some((Ok::<_, Infallible>(part), parts))
            };
            (stream, Body::from_stream(unfold(parts, next))).into_response()
        }
        Some(Scripted::Error(status, retry_after, body)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            if let Some(secs) = retry_after {
                response.headers_mut().insert("retry-after", secs.parse().unwrap());
            }
            response
        }
        Some(Scripted::Silence) => std::future::pending().await,
        None => (StatusCode::BAD_REQUEST, "the script has no further answer").into_response(),
    }
}

/// A stream that the test writes part by part.
pub(super) fn open_stream() -> (UnboundedSender<String>, Scripted) {
    let (sender, receiver) = unbounded_channel();
    (sender, Scripted::Open(receiver))
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or("message"))
}

/// Events of the Messages API: a text, and calls by id, tool and arguments.
pub(super) fn anthropic(text: &str, calls: &[(&str, &str, &str)]) -> String {
    anthropic_begin(text) + &anthropic_end(calls)
}

/// The first events, with a text.
pub(super) fn anthropic_begin(text: &str) -> String {
    [
        json!({ "type": "message_start", "message": { "usage": { "input_tokens": 1000, "output_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        json!({ "type": "content_block_stop", "index": 0 }),
    ]
    .iter()
    .map(event)
    .collect()
}

/// The last events, with calls.
pub(super) fn anthropic_end(calls: &[(&str, &str, &str)]) -> String {
    let blocks = calls.iter().zip(1..).flat_map(|((id, tool, arguments), index)| {
        let block = json!({ "type": "tool_use", "id": id, "name": tool, "input": {} });
        let delta = json!({ "type": "input_json_delta", "partial_json": arguments });
        [
            json!({ "type": "content_block_start", "index": index, "content_block": block }),
            json!({ "type": "content_block_delta", "index": index, "delta": delta }),
            json!({ "type": "content_block_stop", "index": index }),
        ]
    });
    let reason = if calls.is_empty() { "end_turn" } else { "tool_use" };
    let end = [
        json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": 100 } }),
        json!({ "type": "message_stop" }),
    ];
    blocks.chain(end).map(|data| event(&data)).collect()
}

/// Chunks of a chat completion.
pub(super) fn openai(text: &str, calls: &[(&str, &str, &str)]) -> String {
    let call = |(index, (id, tool, arguments)): (usize, &(&str, &str, &str))| {
        let function = json!({ "name": tool, "arguments": arguments });
        let calls = json!([{ "index": index, "id": id, "type": "function", "function": function }]);
        json!({ "choices": [{ "index": 0, "delta": { "tool_calls": calls } }] })
    };
    let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    let chunks = [json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": text } }] })]
        .into_iter()
        .chain(calls.iter().enumerate().map(call))
        .chain([
            json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }),
            json!({ "choices": [], "usage": { "prompt_tokens": 1000, "completion_tokens": 100 } }),
        ]);
    chunks.map(|chunk| format!("data: {chunk}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect()
}
