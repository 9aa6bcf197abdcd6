//! The address of a lab for an agent: it forwards messages of the Model Context Protocol to the lab, counts calls of tools, records them
//! with their answers, and grants the simulated runs some steps for each. It adds the tool `finish`, with which an agent ends the scenario.
//!
//! Baselines and other agents act through it, so all of them have the same tools and limits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt;

use super::device::Simulation;
use crate::auth::token_of;

/// Largest message and answer, bytes.
const MESSAGE_BYTES: usize = 1 << 20;
const ANSWER_BYTES: usize = 16 << 20;
/// The tool that ends a scenario.
pub(super) const FINISH: &str = "finish";
const ABOUT_FINISH: &str = "Ends the scenario: call it when you have done what the goal asks for. Runs then continue without you, and the \
                            scenario is scored by what was done. Later calls are refused.";
/// The tool that waits, the steps that it grants as a multiple of those of another call, and its maximum duration, s: all granted steps are
/// taken at once, so a longer wait changes nothing.
const WAIT: &str = "wait_for";
const WAIT_CALLS: u64 = 5;
const WAIT_SECS: u64 = 2;
/// JSON-RPC code of a method that is not offered.
const METHOD_NOT_FOUND: i32 = -32601;

/// The limits of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Limits {
    /// Maximum number of calls of tools.
    pub(super) calls: u64,
    /// Time limit of the agent, s.
    pub(super) secs: u64,
    /// Steps that each run takes for each call.
    pub(super) steps_per_call: u64,
}

/// A call in the transcript.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Called {
    /// From 1.
    pub(super) call: u64,
    /// Time of the answer, ms since the agent began.
    pub(super) ms: u64,
    pub(super) tool: String,
    pub(super) arguments: Value,
    /// What the tool returned, without images.
    pub(super) answer: Value,
}

/// The calls of an agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Transcript {
    pub(super) calls: Vec<Called>,
    /// Whether it tried to make more calls than it may.
    pub(super) is_exceeded: bool,
}

/// The gate of a lab.
pub(super) struct Gate {
    lab: Router,
    simulation: Arc<Simulation>,
    limits: Limits,
    token: String,
    goal: String,
    began: Instant,
    /// Calls that were begun, `finish` not counted.
    made: AtomicU64,
    transcript: Mutex<Transcript>,
    is_over: AtomicBool,
    over: Notify,
}

impl Gate {
    /// The gate of a lab with this router for the agent with this token.
    pub(super) fn new(lab: Router, simulation: Arc<Simulation>, limits: Limits, token: &str, goal: &str) -> Arc<Self> {
        let (token, goal, began) = (token.to_owned(), goal.to_owned(), Instant::now());
        let (made, is_over, over) = (AtomicU64::new(0), AtomicBool::new(false), Notify::new());
        let transcript = Mutex::default();
        Arc::new(Self { lab, simulation, limits, token, goal, began, made, transcript, is_over, over })
    }

    /// Its route.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/mcp", any(answer)).with_state(Arc::clone(self))
    }

    /// Waits until the agent has finished or has no calls left.
    pub(super) async fn wait(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            self.over.notified().await;
        }
    }

    /// Refuses further calls, and returns what the agent did.
    pub(super) fn close(&self) -> Transcript {
        self.end();
        self.lock().clone()
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        // One permit is kept for a task that is about to wait.
        self.over.notify_one();
    }

    // The transcript is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, Transcript> {
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forwards a message to the lab.
    async fn pass(&self, parts: &Parts, message: &Value) -> Response {
        let mut request = Request::new(Body::from(message.to_string()));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        request.headers_mut().remove(CONTENT_LENGTH);
        // A router cannot fail.
        match self.lab.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Forwards a message, and changes the result in its answer.
    async fn pass_changed(&self, parts: &Parts, message: &Value, change: impl FnOnce(&mut Value)) -> Response {
        let (mut head, body) = self.pass(parts, message).await.into_parts();
        let bytes = to_bytes(body, ANSWER_BYTES).await.unwrap_or_default();
        let Ok(mut answer) = serde_json::from_slice::<Value>(&bytes) else {
            return Response::from_parts(head, Body::from(bytes));
        };
        if let Some(result) = answer.get_mut("result") {
            change(result);
        }
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Response::from_parts(head, Body::from(answer.to_string()))
    }

    /// Calls a tool, if the agent has calls left.
    async fn call(&self, parts: &Parts, mut message: Value) -> Response {
        let tool = message["params"]["name"].as_str().unwrap_or_default().to_owned();
        let arguments = message["params"]["arguments"].clone();
        if self.is_over.load(Ordering::SeqCst) {
            return own_answer(&message, &refused("scenario_over", "the scenario has ended"), true);
        }
        if tool == FINISH {
            self.end();
            let finished = json!({ "data": { "calls": self.made.load(Ordering::SeqCst) } });
            self.record(&tool, arguments, finished.clone());
            return own_answer(&message, &finished, false);
        }
        // Counted before it is carried out, so that parallel calls do not exceed the limit.
        if self.made.fetch_add(1, Ordering::SeqCst) >= self.limits.calls {
            self.lock().is_exceeded = true;
            self.end();
            let text = format!("all {} calls of the scenario have been made", self.limits.calls);
            return own_answer(&message, &refused("calls_exhausted", &text), true);
        }
        let is_wait = tool == WAIT;
        self.simulation.grant(self.limits.steps_per_call * if is_wait { WAIT_CALLS } else { 1 }).await;
        if is_wait && arguments.is_object() {
            let secs = arguments["timeout_s"].as_u64().unwrap_or(WAIT_SECS).min(WAIT_SECS);
            message["params"]["arguments"]["timeout_s"] = secs.into();
        }
        let mut shown = Value::Null;
        let response = self.pass_changed(parts, &message, |result| shown = result["structuredContent"].clone()).await;
        self.record(&tool, arguments, shown);
        response
    }

    fn record(&self, tool: &str, arguments: Value, answer: Value) {
        let ms = self.began.elapsed().as_millis() as u64;
        let mut transcript = self.lock();
        let call = transcript.calls.len() as u64 + 1;
        transcript.calls.push(Called { call, ms, tool: tool.to_owned(), arguments, answer });
    }
}

async fn answer(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MESSAGE_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    // The agents route reads the header alone, so the name of the cookie does not matter.
    let is_agent = token_of(&parts.headers, "").is_some_and(|token| token == gate.token);
    match message["method"].as_str().filter(|_| is_agent) {
        Some("tools/call") => gate.call(&parts, message).await,
        // Resources are answers of tools, which no limit would count.
        Some("resources/read") => uncounted(&message),
        Some("tools/list") => gate.pass_changed(&parts, &message, add_finish).await,
        Some("initialize") => {
            let goal = format!("\nYour goal: {}", gate.goal);
            gate.pass_changed(&parts, &message, |result| add_text(&mut result["instructions"], &goal)).await
        }
        // The lab answers other messages, and refuses other tokens.
        _ => gate.pass(&parts, &message).await,
    }
}

fn add_finish(result: &mut Value) {
    let input = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let tool =
        json!({ "name": FINISH, "title": "Finish the scenario", "description": ABOUT_FINISH, "inputSchema": input });
    if let Some(tools) = result["tools"].as_array_mut() {
        tools.push(tool);
    }
}

fn add_text(text: &mut Value, more: &str) {
    *text = format!("{}{more}", text.as_str().unwrap_or_default()).into();
}

fn refused(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

/// The refusal of a resource.
fn uncounted(message: &Value) -> Response {
    let text = "the scenario counts calls of tools: get_run, get_journal and write_report return what resources have";
    let error = json!({ "code": METHOD_NOT_FOUND, "message": text });
    Json(json!({ "jsonrpc": "2.0", "id": message["id"], "error": error })).into_response()
}

/// An answer of the gate itself, in the form of the protocol.
fn own_answer(message: &Value, content: &Value, is_error: bool) -> Response {
    let text = json!([{ "type": "text", "text": content.to_string() }]);
    let result = json!({ "content": text, "structuredContent": content, "isError": is_error });
    Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::PathBuf;

    use axum::http::header::AUTHORIZATION;

    use super::*;

    async fn sent(gate: &Arc<Gate>, bearer: &str, method: &str) -> String {
        let params = json!({ "name": "get_run", "uri": "kindling://runs/amber-fox" });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = axum::http::Request::post("/mcp").header(AUTHORIZATION, bearer);
        let request = request.body(Body::from(message.to_string())).unwrap();
        let response = gate.router().oneshot(request).await.unwrap();
        String::from_utf8(to_bytes(response.into_body(), ANSWER_BYTES).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn neither_another_spelling_of_the_header_nor_a_resource_avoids_the_limit_of_calls() {
        let lab = Router::new().route("/mcp", any(|| async { "lab" }));
        let limits = Limits { calls: 1, secs: 1, steps_per_call: 1 };
        let simulation = Simulation::new(HashMap::new(), PathBuf::new());
        let gate = Gate::new(lab, simulation, limits, "abc", "Look.");
        assert_eq!(sent(&gate, "bearer  abc", "tools/call").await, "lab");
        assert!(sent(&gate, "Bearer abc", "resources/read").await.contains("-32601"));
        assert!(sent(&gate, "bearer abc", "tools/call").await.contains("calls_exhausted"));
        assert_eq!(sent(&gate, "Bearer other", "tools/call").await, "lab", "the lab refuses other tokens");
        let transcript = gate.close();
        assert_eq!((transcript.calls.len(), transcript.is_exceeded), (1, true));
    }
}
