//! What receivers get: subject and text of an e-mail, the JSON of Slack and ntfy. Pure.

use serde_json::{Value, json};
use wire::alert::AlertView;
use wire::alert::delivery::WebhookBody;

/// Longest text of one alert, characters.
const TEXT_CHARS: usize = 1_000;
/// Longest answer of a receiver that is kept, characters.
const ANSWER_CHARS: usize = 200;
/// Longest message of ntfy, bytes: its servers turn longer ones into attachments.
const NTFY_BYTES: usize = 3_500;
/// Priorities of ntfy: default, and high, which makes a sound.
const NTFY_DEFAULT: u8 = 3;
const NTFY_HIGH: u8 = 4;

/// One line: the title of the only alert, or the number of alerts with the most urgent one.
pub(super) fn subject(message: &WebhookBody) -> String {
    let total = message.alerts.len() as u64 + message.left_out;
    let first = message.alerts.iter().find(|alert| alert.is_urgent).or(message.alerts.first());
    let title = first.map_or_else(|| "no alerts".to_owned(), |alert| line(&alert.title));
    match total {
        0 | 1 => title,
        total => format!("{total} alerts: {title} …"),
    }
}

/// All alerts, each with its address.
pub(super) fn plain(message: &WebhookBody) -> String {
    let parts = message.alerts.iter().map(|alert| {
        let address = address(message, alert).map(|address| format!("\n{address}")).unwrap_or_default();
        format!("{}\n{}{address}\n", line(&alert.title), short(&alert.text))
    });
    let mut parts: Vec<String> = parts.collect();
    parts.extend(left_out(message));
    parts.join("\n")
}

/// The body for an incoming webhook of Slack.
pub(super) fn slack(message: &WebhookBody) -> Value {
    let parts = message.alerts.iter().map(|alert| {
        let title = escaped(&line(&alert.title));
        let title = match address(message, alert) {
            Some(address) => format!("<{}|{title}>", escaped(&address)),
            None => title,
        };
        let mark = if alert.is_urgent { ":warning: " } else { "" };
        format!("{mark}*{title}*\n{}", escaped(&short(&alert.text)))
    });
    let mut parts: Vec<String> = parts.collect();
    parts.extend(left_out(message));
    json!({ "text": parts.join("\n\n") })
}

/// The body for a server of ntfy.
pub(super) fn ntfy(message: &WebhookBody, topic: &str) -> Value {
    let is_urgent = message.alerts.iter().any(|alert| alert.is_urgent);
    let text = match message.alerts.as_slice() {
        [alert] if message.left_out == 0 => short(&alert.text),
        _ => plain(message),
    };
    let mut body = json!({
        "topic": topic,
        "title": subject(message),
        "message": cut(&text, NTFY_BYTES),
        "priority": if is_urgent { NTFY_HIGH } else { NTFY_DEFAULT },
    });
    if is_urgent {
        body["tags"] = json!(["warning"]);
    }
    if let Some(address) = message.alerts.first().and_then(|alert| address(message, alert)) {
        body["click"] = json!(address);
    }
    body
}

fn left_out(message: &WebhookBody) -> Option<String> {
    (message.left_out > 0).then(|| format!("{} further alerts are not listed.", message.left_out))
}

fn address(message: &WebhookBody, alert: &AlertView) -> Option<String> {
    Some(format!("{}{}", message.lab.as_deref()?, alert.path))
}

/// A title without line breaks, which would end a header.
fn line(title: &str) -> String {
    title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// At most this many bytes of a text.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The beginning of an answer, without line breaks and other control characters.
pub(super) fn on_one_line(answer: &str) -> String {
    let words: Vec<&str> = answer.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(ANSWER_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The characters that Slack reads as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::alert::{AlertContent, AlertKind};

    fn alert(id: i64, name: &str, is_urgent: bool, text: &str) -> AlertView {
        let (kind, phrase) = (AlertKind::RunFailed, "failed".to_owned());
        let content =
            AlertContent { kind, is_urgent, phrase, text: text.to_owned(), device: None, step: Some(1), project: None };
        AlertView::new(id, 0, Some("fox".parse().unwrap()), Some((name.to_owned(), "default".to_owned())), content)
    }

    fn message(alerts: Vec<AlertView>, left_out: u64) -> WebhookBody {
        WebhookBody { delivery: "d".into(), is_test: false, lab: Some("https://lab.example".into()), alerts, left_out }
    }

    #[test]
    fn one_alert_is_its_own_subject_and_several_are_counted_with_the_most_urgent() {
        let one = message(vec![alert(1, "fox", false, "No memory.")], 0);
        assert_eq!(subject(&one), "fox: failed");
        assert_eq!(plain(&one), "fox: failed\nNo memory.\nhttps://lab.example/runs/fox\n");
        let many = message(vec![alert(1, "fox", false, "a"), alert(2, "owl", true, "b")], 3);
        assert_eq!(subject(&many), "5 alerts: owl: failed …");
        assert!(plain(&many).ends_with("3 further alerts are not listed."));
    }

    #[test]
    fn markup_in_names_is_text_and_long_texts_are_cut() {
        let evil = message(vec![alert(1, "<!channel> & co", true, &"é".repeat(5_000))], 0);
        let text = slack(&evil)["text"].as_str().unwrap().to_owned();
        assert!(
            text.starts_with(":warning: *<https://lab.example/runs/fox|&lt;!channel&gt; &amp; co: failed>*"),
            "{text}"
        );
        assert_eq!(text.matches('é').count(), TEXT_CHARS);
        let many = message((0..50).map(|id| alert(id, "fox", false, &"é".repeat(200))).collect(), 0);
        let body = ntfy(&many, "lab");
        assert!(
            body["message"].as_str().unwrap().len() <= NTFY_BYTES && body["message"].as_str().unwrap().ends_with('…')
        );
        assert_eq!((body["topic"].as_str(), body["priority"].as_u64()), (Some("lab"), Some(3)));
        assert_eq!(ntfy(&evil, "lab")["click"], "https://lab.example/runs/fox");
    }
}
