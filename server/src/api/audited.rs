//! Which requests the audit log records: those that change something or try to, sign-ins, and all that are refused for their token or its
//! role. Not recorded are the traffic of workers and open pages, and requests that only compute something.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use wire::access::audit::AuditEntry;

use super::oidc::CALLBACK;
use super::routes::Operation;
use crate::lab::Lab;
use crate::lab::audit::Sender;
pub use crate::lab::paths::{AGENTS, API};
use crate::live::clock::now_ms;

/// Operations that are the traffic of workers and of open pages.
const TRAFFIC: [&str; 3] = ["open_link", "open_live", "poll_live"];
/// Where the routes of workers of other machines begin, below the API.
const OF_WORKERS: &str = "/transfer/";
/// Operations that compute an answer and change nothing.
const COMPUTATIONS: [&str; 4] = ["plan_run", "preview_sweep", "create_completion", "create_inspection"];
/// First parts of paths whose next part is a secret.
const SECRET: [&str; 5] = ["embed", "invite", "oidc", "share", "signin"];
/// Longest target, characters.
const TARGET_CHARS: usize = 300;

/// The lab, and the operations of the API.
#[derive(Clone)]
pub struct Audited {
    lab: Lab,
    /// By method and path.
    operations: Arc<HashMap<(Method, String), Operation>>,
}

impl Audited {
    pub fn new(lab: Lab, operations: Vec<Operation>) -> Self {
        let by_key = |operation: Operation| ((operation.method.clone(), format!("{API}{}", operation.path)), operation);
        Self { lab, operations: Arc::new(operations.into_iter().map(by_key).collect()) }
    }
}

/// The command to a run that a request contained, as an extension of its answer.
#[derive(Debug, Clone)]
pub struct SentCommand(pub String);

impl SentCommand {
    fn action(&self) -> String {
        format!("command: {}", self.0)
    }
}

/// Records a request when it has been answered.
pub async fn note_request(State(audited): State<Audited>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = request.uri().path().to_owned();
    let sender = request.extensions().get::<Sender>().cloned().unwrap_or_default();
    let response = next.run(request).await;
    let key = (method, route.unwrap_or_default());
    if is_recorded(&key, audited.operations.get(&key), response.status()) {
        let command = response.extensions().get::<SentCommand>();
        let action = command.map(SentCommand::action).unwrap_or_else(|| action(&key, audited.operations.get(&key)));
        audited.lab.audit.record(AuditEntry {
            id: 0,
            at_ms: now_ms(),
            who: sender.name().to_owned(),
            action,
            target: target(&path),
            status: response.status().as_u16(),
            address: sender.address_text(),
        });
    }
    response
}

fn is_recorded((method, route): &(Method, String), operation: Option<&Operation>, status: StatusCode) -> bool {
    let id = operation.map_or("", |operation| operation.id);
    // Anybody can ask for routes that do not exist, as often as they like.
    if operation.is_none() && page_action(route).is_none() {
        return false;
    }
    if TRAFFIC.contains(&id) || operation.is_some_and(|operation| operation.path.starts_with(OF_WORKERS)) {
        return false;
    }
    let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    // The changes of a tool are recorded as the requests that it sends.
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || route == AGENTS;
    is_refused || route == CALLBACK || !reads && !COMPUTATIONS.contains(&id)
}

/// What was done, in words.
fn action((_, route): &(Method, String), operation: Option<&Operation>) -> String {
    match operation {
        Some(operation) => match operation.id {
            // One that could not be read; others are named by `SentCommand`.
            "command_run" => "send command to run".to_owned(),
            // The page calls a corpus a dataset.
            id => id.replace("corpus", "dataset").replace("corpora", "datasets").replace('_', " "),
        },
        None => page_action(route).unwrap_or_default().to_owned(),
    }
}

/// What a route outside of the API does; `None` for files of the page and for unknown routes.
fn page_action(route: &str) -> Option<&'static str> {
    match route.trim_start_matches('/').split('/').next()? {
        "signin" => Some("use sign-in link"),
        "oauth" => Some("connect an agent"),
        "oidc" => Some("sign in with OpenID Connect"),
        "share" => Some("open share link"),
        "embed" => Some("open embedded chart"),
        "mcp" => Some("call a tool"),
        _ => None,
    }
}

/// The path below the API, without secrets.
fn target(path: &str) -> String {
    let below = path.strip_prefix(API).unwrap_or(path);
    let first = below.trim_start_matches('/').split('/').next().unwrap_or_default();
    match SECRET.contains(&first) {
        true => format!("/{first}"),
        false => below.chars().take(TARGET_CHARS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_target_has_no_secrets() {
        for (path, expected) in [
            ("/api/v1/runs/amber-fox", "/runs/amber-fox"),
            ("/share/0123abc", "/share"),
            ("/embed/0123abc/loss.svg", "/embed"),
            ("/oidc/callback", "/oidc"),
            ("/signin", "/signin"),
        ] {
            assert_eq!(target(path), expected);
        }
    }
}
