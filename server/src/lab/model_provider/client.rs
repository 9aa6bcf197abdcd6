//! HTTP requests to a provider. Each runs on a thread of its own, which blocks, and passes the text on as it arrives.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use chrono::DateTime;
use serde_json::Value;
use tokio::sync::mpsc;
use ureq::http::HeaderValue;
use ureq::{Agent, Body};
use wire::assistant::ProviderKind;

use super::error::{ProviderError, short};
use super::request::{Added, Reply, Request};
use super::sse::SseParser;
use super::{ModelProvider, anthropic, openai};

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest time of a whole answer.
const ANSWER: Duration = Duration::from_secs(1_200);
/// Largest error that is read, bytes.
const ERROR_BYTES: u64 = 20_000;
/// Largest answer, bytes.
const ANSWER_BYTES: usize = 32 << 20;
/// Parts that wait to be taken.
const WAITING: usize = 64;

/// A part of an answer.
#[derive(Debug)]
pub enum Part {
    /// The next text of the model.
    Text(String),
    /// The whole reply.
    Done(Reply),
    Failed(ProviderError),
}

/// Asks the model. The answer ends with [`Part::Done`] or [`Part::Failed`]; dropping the receiver ends the request.
pub fn ask(provider: &ModelProvider, request: &Request) -> mpsc::Receiver<Part> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let body = match provider.kind {
        ProviderKind::Anthropic => anthropic::body(request, &provider.model),
        ProviderKind::Openai => openai::body(request, &provider.model),
    };
    let provider = provider.clone();
    tokio::task::spawn_blocking(move || {
        let last = match read(&provider, &body.to_string(), &sender) {
            Ok(reply) => Part::Done(reply),
            Err(error) => Part::Failed(error),
        };
        // Nobody may be waiting any more.
        let _ = sender.blocking_send(last);
    });
    receiver
}

fn read(provider: &ModelProvider, body: &str, sender: &mpsc::Sender<Part>) -> Result<Reply, ProviderError> {
    let mut answer = open(provider, body)?;
    let (mut parser, mut reply, mut bytes) = (SseParser::default(), Reply::default(), vec![0; 16 << 10]);
    let (mut all, mut has_events) = (0, false);
    let mut reader = answer.as_reader();
    loop {
        let length = match reader.read(&mut bytes) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(interrupted(provider, &error)),
        };
        all += length;
        let no_stream = || ProviderError::NoStream { host: provider.host().to_owned() };
        if all > ANSWER_BYTES {
            return Err(no_stream());
        }
        for data in parser.push(&bytes[..length]).map_err(|_| no_stream())? {
            if data.trim() == openai::END {
                continue;
            }
            let event: Value = serde_json::from_str(&data).map_err(|_| no_stream())?;
            has_events = true;
            if !pass_on(provider, &mut reply, &event, sender)? {
                return Ok(reply);
            }
        }
    }
    match reply.ended {
        Some(_) => Ok(reply),
        None if !has_events => Err(ProviderError::NoStream { host: provider.host().to_owned() }),
        None => Err(ProviderError::Incomplete { host: provider.host().to_owned() }),
    }
}

/// Adds an event to the reply; false if nobody waits for it any more.
fn pass_on(
    provider: &ModelProvider,
    reply: &mut Reply,
    event: &Value,
    sender: &mpsc::Sender<Part>,
) -> Result<bool, ProviderError> {
    let added = match provider.kind {
        ProviderKind::Anthropic => anthropic::take(reply, event),
        ProviderKind::Openai => openai::take(reply, event),
    };
    match added {
        Added::Nothing => Ok(!sender.is_closed()),
        Added::Text(text) => Ok(sender.blocking_send(Part::Text(text)).is_ok()),
        Added::Error { message, is_temporary } => Err(ProviderError::Reported {
            host: provider.host().to_owned(),
            message: hidden(provider, &message),
            is_temporary,
        }),
    }
}

/// Sends a request; returns the body of a successful answer.
fn open(provider: &ModelProvider, body: &str) -> Result<Body, ProviderError> {
    let path = match provider.kind {
        ProviderKind::Anthropic => "/v1/messages",
        ProviderKind::Openai => "/chat/completions",
    };
    let mut request =
        agent(provider).post(format!("{}{path}", provider.url)).header("content-type", "application/json");
    if provider.kind == ProviderKind::Anthropic {
        request = request.header("anthropic-version", anthropic::VERSION);
    }
    if let Some(key) = &provider.key {
        let (name, value) = match provider.kind {
            ProviderKind::Anthropic => ("x-api-key", key.expose().to_owned()),
            ProviderKind::Openai => ("authorization", format!("Bearer {}", key.expose())),
        };
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            request = request.header(name, value);
        }
    }
    let answer = request.send(body).map_err(|error| unreachable(provider, &error))?;
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    let retry_after_secs = answer.headers().get("retry-after").and_then(retry_after);
    let status = answer.status().as_u16();
    let text = answer.into_body().with_config().limit(ERROR_BYTES).read_to_string().unwrap_or_default();
    let message = hidden(provider, &message_of(&text));
    Err(ProviderError::Refused { host: provider.host().to_owned(), status, message, retry_after_secs })
}

/// Redirects are not followed: the key is for the host that the operator has named.
fn agent(provider: &ModelProvider) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(provider.silent))
        .timeout_per_read(Some(provider.silent))
        .timeout_recv_body(Some(ANSWER))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .build()
        .into()
}

fn unreachable(provider: &ModelProvider, error: &ureq::Error) -> ProviderError {
    match error {
        ureq::Error::Timeout(_) => silent(provider),
        error => ProviderError::Unreachable {
            host: provider.host().to_owned(),
            message: hidden(provider, &error.to_string()),
        },
    }
}

/// The error of a stream that broke off.
fn interrupted(provider: &ModelProvider, error: &std::io::Error) -> ProviderError {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<ureq::Error>());
    match (error.kind(), source) {
        (ErrorKind::TimedOut | ErrorKind::WouldBlock, _) | (_, Some(ureq::Error::Timeout(_))) => silent(provider),
        _ => ProviderError::Incomplete { host: provider.host().to_owned() },
    }
}

fn silent(provider: &ModelProvider) -> ProviderError {
    ProviderError::Timeout { host: provider.host().to_owned(), secs: provider.silent.as_secs() }
}

/// A message of the provider without the key.
fn hidden(provider: &ModelProvider, message: &str) -> String {
    short(&provider.key.as_ref().map_or_else(|| message.to_owned(), |key| key.hide_in(message)))
}

/// The message in the body of an error.
fn message_of(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let places = ["/error/message", "/error", "/message", "/detail"];
    let found = places.iter().find_map(|place| body.pointer(place).and_then(Value::as_str));
    found.unwrap_or(text).to_owned()
}

/// Seconds of a Retry-After header: a number, or a date.
fn retry_after(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    text.parse().ok().or_else(|| {
        let at = DateTime::parse_from_rfc2822(text).ok()?.timestamp();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        Some((at.max(0) as u64).saturating_sub(now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_the_provider_says() {
        for (body, expected) in [
            (r#"{"type":"error","error":{"type":"x","message":"invalid key"}}"#, "invalid key"),
            (r#"{"error":"model not found"}"#, "model not found"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            ("<html>bad gateway</html>", "<html>bad gateway</html>"),
        ] {
            assert_eq!(message_of(body), expected);
        }
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap());
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
    }
}
