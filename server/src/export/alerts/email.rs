//! Messages as e-mails.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};
use wire::alert::delivery::{DELIVERY_HEADER, WebhookBody};

use super::error::SendError;
use super::text;
use crate::lab::alerting::{SmtpSecurity, SmtpSettings};

/// Sends a message and returns the answer of the SMTP server.
///
/// # Errors
/// The server cannot be reached, or refuses the e-mail.
pub(super) fn send(
    smtp: &SmtpSettings,
    to: &str,
    message: &WebhookBody,
    within: Duration,
) -> Result<String, SendError> {
    let email = write(smtp, to, message)?;
    let failed = |source| SendError::Smtp { source };
    let parameters = || TlsParameters::new(smtp.host.clone()).map_err(failed);
    let tls = match smtp.security {
        SmtpSecurity::Starttls => Tls::Required(parameters()?),
        SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
        SmtpSecurity::None => Tls::None,
    };
    let mut builder = SmtpTransport::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(within))
        .hello_name(ClientId::Domain(smtp.from.email.domain().to_owned()));
    if let Some(credentials) = &smtp.credentials {
        builder = builder.credentials(credentials.clone());
    }
    let response = builder.build().send(&email).map_err(failed)?;
    Ok(format!("SMTP {} {}", response.code(), response.message().collect::<Vec<_>>().join(" ")))
}

/// The e-mail of a message. Its Message-ID is the same at each attempt, so that mail programs show a repeated one once.
fn write(smtp: &SmtpSettings, to: &str, message: &WebhookBody) -> Result<Message, SendError> {
    let to = to.parse().map_err(|source| SendError::Address { source })?;
    let id = format!("<{}@{}>", message.delivery, smtp.from.email.domain());
    let raw =
        |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    Message::builder()
        .from(smtp.from.clone())
        .to(Mailbox::new(None, to))
        .subject(text::subject(message))
        .message_id(Some(id))
        .raw_header(raw(DELIVERY_HEADER, &message.delivery))
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .header(ContentType::TEXT_PLAIN)
        .body(text::plain(message))
        .map_err(|source| SendError::Email { source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::alert::{AlertContent, AlertKind, AlertView};

    #[test]
    fn an_email_has_the_delivery_in_its_headers_and_a_name_adds_none() {
        let content = AlertContent {
            kind: AlertKind::RunEnded,
            is_urgent: false,
            phrase: "finished\r\nBcc: eve@example.org".to_owned(),
            text: "Größe 1.\r\n.\r\nQUIT".to_owned(),
            device: None,
            step: None,
            project: None,
        };
        let alert = AlertView::new(1, 0, Some("fox".parse().unwrap()), Some(("fox".into(), "default".into())), content);
        let message =
            WebhookBody { delivery: "0af1".into(), is_test: false, lab: None, alerts: vec![alert], left_out: 0 };
        let smtp = SmtpSettings {
            host: "localhost".into(),
            port: 25,
            security: SmtpSecurity::None,
            credentials: None,
            from: "Kindling <lab@example.org>".parse().unwrap(),
        };
        let written = String::from_utf8(write(&smtp, "ada@example.org", &message).unwrap().formatted()).unwrap();
        let (headers, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(headers.contains("Message-ID: <0af1@example.org>"), "{headers}");
        assert!(headers.contains("X-Kindling-Delivery: 0af1"), "{headers}");
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
        assert!(matches!(write(&smtp, "ada", &message), Err(SendError::Address { .. })));
    }
}
