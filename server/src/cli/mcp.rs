//! `kindling mcp`: for programs that start a server of the Model Context Protocol as a child process and communicate over its standard
//! input and output. It forwards each message to `/mcp` of a lab and writes each answer to standard output.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use store::{Store, StoreError};
use tokio::task::JoinSet;
use ureq::http::Response;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use ureq::{Agent, Body};
use wire::ApiErrorBody;
use wire::access::TokenKind;

use super::client;
use super::data::{DataArgs, UnusedFolder};
use super::token::RoleArg;
use crate::live::clock::now_ms;
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  The command for a client that may only view, on the machine of the lab:
    kindling mcp --data my-lab
  For a client that may also act:
    kindling mcp --data my-lab --role steer
  For a lab on another machine, with a token of `kindling token` in the environment:
    KINDLING_TOKEN=... kindling mcp --url https://lab.example";

/// Time limit of a response: some tools wait for an event.
const WITHIN: Duration = Duration::from_secs(120);
/// Largest answer, bytes: an image.
const ANSWER_BYTES: u64 = 16 << 20;
/// Validity of the token of this process, ms. It is revoked at the end of the input.
const TOKEN_MS: i64 = 24 * 3600 * 1000;
/// JSON-RPC code of an error of the server.
const SERVER_ERROR: i64 = -32_000;
/// JSON-RPC code of a message that is not JSON.
const PARSE_ERROR: i64 = -32_700;
/// Field of a message in which the newest version of the protocol names the version.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Connects an agent to a lab over standard input and output (Model Context Protocol).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct McpArgs {
    /// Address of the lab [default: the server of the folder]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// API token; set the environment variable, because other programs can read a command line [default: a new token that is revoked when
    /// this command ends]
    #[arg(long, value_name = "TOKEN", env = "KINDLING_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Role of the new token, if none is given [default: view]
    #[arg(long, value_enum, conflicts_with = "token")]
    role: Option<RoleArg>,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling mcp`.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no server uses the folder {0}: start one with `kindling serve`, or give the address of a lab with --url")]
    NoServer(String),
    #[error("a lab at --url needs a token: set KINDLING_TOKEN to one of `kindling token`")]
    NoToken,
    #[error("standard input cannot be read: {0}")]
    Input(io::Error),
}

impl McpArgs {
    /// Forwards messages until the end of the input.
    ///
    /// # Errors
    /// There is no server or no token, the store fails, or the input cannot be read.
    pub async fn run(self) -> Result<(), McpError> {
        if self.url.is_some() && self.token.is_none() {
            return Err(McpError::NoToken);
        }
        let url = match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => self.own_server()?,
        };
        match &self.token {
            Some(token) => Bridge::new(url, token).serve().await,
            None => self.with_own_token(url).await,
        }
    }

    fn own_server(&self) -> Result<String, McpError> {
        let folder = self.data.used()?;
        local::address_of_server(folder).ok_or_else(|| McpError::NoServer(folder.display().to_string()))
    }

    /// Forwards messages with a token that is revoked at the end of the input.
    async fn with_own_token(&self, url: String) -> Result<(), McpError> {
        let store = Store::open_access(self.data.used()?).await?;
        let role = self.role.unwrap_or(RoleArg::View).into();
        let token = store.add_token("mcp", role, TokenKind::Api, Some(now_ms() + TOKEN_MS)).await?;
        let served = Bridge::new(url, &token).serve().await;
        if let Some(own) = store.identify(&token).await? {
            store.revoke(own.token_id).await?;
        }
        served
    }
}

/// The connection to a server, shared by concurrent messages.
#[derive(Clone)]
struct Bridge {
    agent: Agent,
    url: String,
    bearer: String,
    /// The negotiated version of the protocol; empty before the negotiation.
    version: Arc<Mutex<String>>,
}

impl Bridge {
    fn new(url: String, token: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(WITHIN)).http_status_as_error(false);
        let bearer = format!("Bearer {token}");
        Self { agent: config.build().into(), url: format!("{url}/mcp"), bearer, version: Arc::default() }
    }

    /// Forwards each line of the input, several at a time, because some answers take long.
    async fn serve(self) -> Result<(), McpError> {
        let mut under_way = JoinSet::new();
        let (lines, mut input) = tokio::sync::mpsc::channel(16);
        // In its own thread, because reading the input blocks.
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                if lines.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        while let Some(line) = input.recv().await {
            let line = line.map_err(McpError::Input)?;
            if line.trim().is_empty() {
                continue;
            }
            // The results of messages that have been answered are not needed.
            while under_way.try_join_next().is_some() {}
            // A message that names no version may negotiate it, and the next one is sent with that version.
            let negotiates = !line.contains(VERSION) && self.agreed().is_empty();
            let bridge = self.clone();
            let passing = move || bridge.pass(&line);
            match negotiates {
                true => drop(tokio::task::spawn_blocking(passing).await),
                false => drop(under_way.spawn_blocking(passing)),
            }
        }
        while under_way.join_next().await.is_some() {}
        Ok(())
    }

    /// Sends a message and writes its answer, after the notifications that come before it.
    fn pass(&self, line: &str) {
        let message = match serde_json::from_str::<Value>(line) {
            Ok(message) => message,
            Err(error) => {
                return self.write(&failure(&Value::Null, PARSE_ERROR, &format!("the message is not JSON: {error}")));
            }
        };
        if let Err(reason) = self.send(&message, line)
            && let Some(id) = message.get("id")
        {
            self.write(&failure(id, SERVER_ERROR, &reason));
        }
    }

    fn write(&self, answer: &Value) {
        if let Some(version) = answer["result"]["protocolVersion"].as_str() {
            version.clone_into(&mut self.version.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let mut out = io::stdout().lock();
        // A client that stops reading closes the input next.
        let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
    }

    /// Sends a message and writes what the server answers: one message, or a stream of events that ends with the answer.
    ///
    /// # Errors
    /// In words: the server did not answer, or not with a message of the protocol.
    fn send(&self, message: &Value, line: &str) -> Result<(), String> {
        let unanswered = |error: &dyn Display| format!("the lab at {} did not answer: {error}", self.url);
        let response = self.exchange(message, line).map_err(|error| unanswered(&error))?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_stream = content_type.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES);
        if !is_stream {
            let text = body.read_to_string().map_err(|error| unanswered(&error))?;
            return match serde_json::from_str::<Value>(&text) {
                Ok(answer) if answer.get("jsonrpc").is_some() => {
                    self.write(&answer);
                    Ok(())
                }
                _ if text.trim().is_empty() => Ok(()),
                _ => Err(in_words(&text)),
            };
        }
        for line in BufReader::new(body.reader()).lines() {
            let line = line.map_err(|error| unanswered(&error))?;
            let Some(event) = message_of(&line) else { continue };
            self.write(&event);
            if event.get("id") == message.get("id") {
                return Ok(());
            }
        }
        Err(unanswered(&"it has closed the connection"))
    }

    fn exchange(&self, message: &Value, line: &str) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.post(&self.url).header(AUTHORIZATION, &self.bearer);
        request =
            request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json, text/event-stream");
        let stated = message["params"]["_meta"][VERSION].as_str().map(str::to_owned);
        let version = stated.unwrap_or_else(|| self.agreed());
        if !version.is_empty() {
            request = request.header("MCP-Protocol-Version", version);
        }
        let params = &message["params"];
        let name = if params["name"].is_string() { &params["name"] } else { &params["uri"] };
        for (header, value) in [("Mcp-Method", &message["method"]), ("Mcp-Name", name)] {
            if let Some(value) = value.as_str().filter(|value| value.bytes().all(|byte| byte.is_ascii_graphic())) {
                request = request.header(header, value);
            }
        }
        request.send(line)
    }

    fn agreed(&self) -> String {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The message of a line of a stream of events; `None` for other lines. A message is one line, because JSON has no line breaks.
fn message_of(line: &str) -> Option<Value> {
    serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()
}

/// An error in the form of the protocol.
fn failure(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// The error of a response that is not a message of the protocol, such as the refusal of a token.
fn in_words(text: &str) -> String {
    match serde_json::from_str::<ApiErrorBody>(text) {
        Ok(body) => client::in_words(&body),
        Err(_) => format!("the server answered: {}", text.chars().take(200).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_from_the_lines_of_a_stream() {
        assert_eq!(message_of(r#"data: {"jsonrpc":"2.0"}"#), Some(json!({ "jsonrpc": "2.0" })));
        for line in ["", ": keep-alive", "event: message", "id: 1", "data:", "retry: 3000"] {
            assert_eq!(message_of(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_not_an_answer_of_the_protocol_is_said_in_words() {
        let refused = r#"{"code":"unauthorized","message":"the token is unknown or has expired","hint":"create one"}"#;
        assert_eq!(in_words(refused), "the token is unknown or has expired (create one)");
        assert_eq!(in_words("<html>"), "the server answered: <html>");
        let failed = failure(&json!(7), SERVER_ERROR, "no");
        assert_eq!(failed, json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -32000, "message": "no" } }));
    }
}
