//! Messages as HTTP requests: webhooks, Slack, ntfy.

use ureq::Agent;
use ureq::http::Uri;
use wire::alert::Target;
use wire::alert::delivery::{DELIVERY_HEADER, WebhookBody};

use super::error::SendError;
use super::text::{self, on_one_line};
use crate::lab::alerting::AlertSettings;

/// Largest answer that is read, bytes.
const ANSWER_BYTES: u64 = 10_000;

/// Sends a message and returns the answer, without what is secret in the target.
///
/// # Errors
/// There was no answer, or one with a status other than 2xx. Redirects are not followed: they would lead where nobody has allowed.
pub(super) fn send(settings: &AlertSettings, target: &Target, message: &WebhookBody) -> Result<String, SendError> {
    let (url, token, body) = match target {
        Target::Slack { url } => (url.clone(), None, serde_json::to_vec(&text::slack(message))),
        Target::Ntfy { server, topic, token } => {
            let server = server.as_deref().unwrap_or(&settings.ntfy);
            (server.to_owned(), token.as_deref(), serde_json::to_vec(&text::ntfy(message, topic)))
        }
        Target::Webhook { url } => (url.clone(), None, serde_json::to_vec(message)),
        // E-mails are not sent by HTTP; see `send`.
        Target::Email { .. } => return Err(SendError::NoSmtp),
    };
    let body = body.map_err(|source| SendError::Encoding { source })?;
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(settings.answer_within))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("kindling/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    // Its message would contain the address.
    let uri: Uri = url.parse().map_err(|_| without_address(ureq::Error::HostNotFound))?;
    let mut request =
        agent.post(uri).header("content-type", "application/json").header(DELIVERY_HEADER, &message.delivery);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut response = request.send(&body[..]).map_err(without_address)?;
    let (status, reason) = (response.status(), response.status().canonical_reason().unwrap_or_default().to_owned());
    let answer =
        response.body_mut().with_config().limit(ANSWER_BYTES).lossy_utf8(true).read_to_string().unwrap_or_default();
    let answer = on_one_line(&target.hide_in(&answer));
    match status.is_success() {
        true => Ok(format!("HTTP {} {reason} {answer}", status.as_u16())),
        false => Err(SendError::Refused { status: status.as_u16(), answer }),
    }
}

fn without_address(source: ureq::Error) -> SendError {
    let source = match source {
        ureq::Error::BadUri(_) => ureq::Error::HostNotFound,
        other => other,
    };
    SendError::Http { source: Box::new(source) }
}
