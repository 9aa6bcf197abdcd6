//! Messages and hints of errors as sentences. Libraries and the API write them in lower case and without a period, so
//! that a program can put them into a sentence of its own.

/// A message with a capital and a period. A first word that is a name, such as `bin.txt`, stays as it is.
pub(crate) fn sentence(message: &str) -> String {
    let message = message.trim();
    let first = message.split_whitespace().next().unwrap_or_default();
    let is_word = first.chars().all(|letter| letter.is_ascii_lowercase() || matches!(letter, '\'' | ',' | ':'));
    let mut text = match message.chars().next() {
        Some(letter) if is_word => letter.to_ascii_uppercase().to_string() + &message[1..],
        _ => message.to_owned(),
    };
    if !text.is_empty() && !text.ends_with(['.', '?', '!', '…']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_message_becomes_a_sentence_and_a_name_stays() {
        for (message, text) in [
            ("no device is connected", "No device is connected."),
            ("bin.txt is not UTF-8 text", "bin.txt is not UTF-8 text."),
            ("d_model 129 fits", "d_model 129 fits."),
            ("did you mean model.layers?", "Did you mean model.layers?"),
            ("The server did not answer.", "The server did not answer."),
            ("β is unknown", "β is unknown."),
            ("", ""),
        ] {
            assert_eq!(sentence(message), text);
        }
    }
}
