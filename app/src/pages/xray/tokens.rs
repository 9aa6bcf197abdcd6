//! How tokens, fractions and losses are written.

use figure::number;

/// A token with its white space made visible: a line break as `⏎`, a leading blank as `·`, an empty token as `∅`.
pub(crate) fn visible(text: &str) -> String {
    let shown = with_marks(text);
    match shown.strip_prefix(' ') {
        _ if shown.is_empty() => "∅".into(),
        Some("") => "␣".into(),
        Some(rest) if !rest.starts_with(' ') => format!("·{rest}"),
        _ => shown.replace(' ', "␣"),
    }
}

/// White space other than blanks, and characters that are not drawn, as marks.
pub(crate) fn with_marks(text: &str) -> String {
    crate::components::visible(text).replace('\n', "⏎").replace('\t', "⇥")
}

/// The token as [`visible`] text, shortened to `letters` characters.
pub(crate) fn brief(text: &str, letters: usize) -> String {
    let shown = visible(text);
    if shown.chars().count() <= letters { shown } else { shown.chars().take(letters - 1).chain(['…']).collect() }
}

/// A fraction as `4.31 %`.
pub(crate) fn percent(fraction: f64) -> String {
    match fraction * 100.0 {
        percent if percent.is_nan() => "unknown".into(),
        percent if percent > 0.0 && percent < 0.01 => "under\u{a0}0.01\u{a0}%".into(),
        percent => format!("{}{}%", number::short(percent), number::THIN),
    }
}

/// A loss as `2.31 nats`.
pub(crate) fn nats(loss: f32) -> String {
    if loss.is_nan() { "no next token".into() } else { number::with_unit(f64::from(loss), "nats") }
}

/// A mean loss as `2.31 nats/token`.
pub(crate) fn nats_per_token(loss: f32) -> String {
    number::with_unit(f64::from(loss), "nats/token")
}

/// Mean of the finite values; `None` if there are none.
pub(crate) fn mean(values: impl IntoIterator<Item = f32>) -> Option<f64> {
    let (sum, count) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((0.0, 0u32), |(sum, count), value| (sum + f64::from(value), count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_visible() {
        let cases =
            [("the", "the"), (" the", "·the"), (" ", "␣"), ("  ", "␣␣"), ("\n", "⏎"), ("", "∅"), ("a b", "a␣b")];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(brief(" elephant", 5), "·ele…");
        assert_eq!(mean([1.0, f32::NAN, 3.0]), Some(2.0));
        assert_eq!(mean([f32::NAN]), None);
    }
}
