//! Text of users, datasets and models as it is shown.

use std::borrow::Cow;

/// The text with the characters that no browser draws: `␍` for each carriage return, and `[U+202E]` for a bidirectional control, which would
/// otherwise turn the text after it around. A line end of `\r\n` shows `␍` before the line break.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| matches!(c, '\r' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\r' => shown.push('␍'),
            c if is_hidden(c) => shown += &format!("[U+{:04X}]", u32::from(c)),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A name or note as a part of other text, on a canvas and in a tooltip as well: its direction does not reach the text around it.
pub(crate) fn isolated(name: &str) -> String {
    let name = visible(name);
    // The first script that is written from right to left, Hebrew, begins at U+0590.
    match name.contains(|c| c >= '\u{590}') {
        true => format!("\u{2068}{name}\u{2069}"),
        false => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriage_returns_and_bidirectional_controls_are_visible() {
        for (text, shown) in [
            ("plain\n", "plain\n"),
            ("a\r\nb\r", "a␍\nb␍"),
            ("x\u{202e}gnp.txt", "x[U+202E]gnp.txt"),
            ("\u{2066}open \u{2069}\u{2069}closed twice", "[U+2066]open [U+2069][U+2069]closed twice"),
            ("שלום\u{200f}", "שלום\u{200f}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_name_is_isolated_if_its_direction_could_differ() {
        for (name, shown) in [
            ("amber-fox", "amber-fox"),
            ("café", "café"),
            ("שלום 1", "\u{2068}שלום 1\u{2069}"),
            ("\u{2069}\u{202e}evil", "[U+2069][U+202E]evil"),
            ("שלום\u{2069}", "\u{2068}שלום[U+2069]\u{2069}"),
        ] {
            assert_eq!(isolated(name), shown);
        }
    }
}
