//! One attempt to send a message.

use wire::alert::Target;
use wire::alert::delivery::WebhookBody;

use super::error::SendError;
use super::text::on_one_line;
use super::{email, http};
use crate::lab::Lab;

/// A receiver that sends its answer byte by byte is given up after this many times the time for an answer.
const PATIENCE: u32 = 3;

/// Sends a message. Returns what the receiver answered.
///
/// # Errors
/// It was not accepted.
pub async fn send(lab: &Lab, target: &Target, message: WebhookBody) -> Result<String, SendError> {
    let (settings, target) = (lab.settings.alerts.clone(), target.clone());
    let within = settings.answer_within * PATIENCE;
    let attempt = tokio::task::spawn_blocking(move || match &target {
        Target::Email { to } => {
            email::send(settings.smtp.as_ref().ok_or(SendError::NoSmtp)?, to, &message, settings.answer_within)
        }
        _ => http::send(&settings, &target, &message),
    });
    match tokio::time::timeout(within, attempt).await {
        Ok(Ok(sent)) => sent.map(|answer| on_one_line(&answer)),
        Ok(Err(source)) => Err(SendError::Interrupted { source }),
        Err(_) => Err(SendError::Slow { within }),
    }
}
