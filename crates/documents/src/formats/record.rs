//! One JSON value as a record: the texts of the wanted field, and which fields have text. Only wanted texts are copied.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use wire::data::import::Reason;

use crate::error::Stopped;
use crate::formats::quoted;
use crate::intake::Intake;

/// The texts and the fields of one record.
struct Record {
    /// Texts of each wanted field.
    texts: Vec<Vec<String>>,
    /// What a wanted field holds instead of text.
    instead: Option<&'static str>,
    /// Fields with text and its length.
    fields: Vec<(String, usize)>,
}

/// Passes the texts of a JSON value on. `line` is where it begins.
pub(super) fn read(json: &[u8], line: u64, wanted: &[String], intake: &mut Intake<'_>) -> Result<(), Stopped> {
    let json = match std::str::from_utf8(json) {
        Ok(json) => json,
        Err(error) => {
            let message = format!("it is not UTF-8: an invalid byte at byte {} of the record", error.valid_up_to());
            return intake.skip(Some(line), Reason::Encoding, message);
        }
    };
    let error = match parse(json, wanted) {
        Ok(record) => return pass_on(record, line, wanted, None, intake),
        Err(error) => error,
    };
    let repaired = repair(json);
    match parse(&repaired.json, wanted) {
        Ok(record) => pass_on(record, line, wanted, Some(repaired.message()), intake),
        Err(_) => intake.skip(Some(line), Reason::Malformed, format!("it is not JSON: {}", described(&error))),
    }
}

fn pass_on(
    record: Record,
    line: u64,
    wanted: &[String],
    repaired: Option<String>,
    intake: &mut Intake<'_>,
) -> Result<(), Stopped> {
    record.fields.iter().for_each(|(name, bytes)| intake.count_field(name, *bytes));
    let Some(texts) = record.texts.into_iter().find(|texts| !texts.is_empty()) else {
        let names: Vec<String> = record.fields.into_iter().map(|(name, _)| name).collect();
        let message = match record.instead {
            Some(what) => format!("the field {:?} has {what} instead of text", wanted[0]),
            None if names.is_empty() => "the record has no text in any field".to_owned(),
            None => format!("no text in the field {:?}; fields with text: {}", wanted[0], quoted(&names)),
        };
        return intake.skip(Some(line), Reason::Field, message);
    };
    if let Some(message) = repaired {
        intake.repair(Some(line), Reason::Malformed, message)?;
    }
    intake.found_field();
    texts.iter().try_for_each(|text| intake.text(text, line))
}

/// The parser's message; the place in its line is a column, as a record may begin anywhere in a file.
fn described(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    format!("{reason} at column {}", error.column())
}

fn parse(json: &str, wanted: &[String]) -> serde_json::Result<Record> {
    let mut record = Record { texts: vec![vec![]; wanted.len()], instead: None, fields: vec![] };
    let mut parser = serde_json::Deserializer::from_str(json);
    Walk { path: "", wanted, record: &mut record }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(record)
}

/// Walks through a value. Lists do not lengthen the path, so that a list of objects has the fields of each.
struct Walk<'a> {
    path: &'a str,
    wanted: &'a [String],
    record: &'a mut Record,
}

impl Walk<'_> {
    fn place(&self) -> Option<usize> {
        self.wanted.iter().position(|wanted| wanted == self.path)
    }

    fn instead(&mut self, what: &'static str) {
        if self.place().is_some() && !self.path.is_empty() {
            self.record.instead = Some(what);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if !self.path.is_empty() {
            self.record.fields.push((self.path.to_owned(), text.len()));
        }
        if let Some(place) = self.place() {
            self.record.texts[place].push(text.to_owned());
        }
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.instead("null");
        Ok(())
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<(), E> {
        self.instead("true or false");
        Ok(())
    }

    fn visit_u64<E>(mut self, _: u64) -> Result<(), E> {
        self.instead("a number");
        Ok(())
    }

    fn visit_i64<E>(mut self, _: i64) -> Result<(), E> {
        self.instead("a number");
        Ok(())
    }

    fn visit_f64<E>(mut self, _: f64) -> Result<(), E> {
        self.instead("a number");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.instead("a list");
        let Walk { path, wanted, record } = self;
        while list.next_element_seed(Walk { path, wanted, record: &mut *record })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.instead("an object");
        let is_wanted = self.place().is_some() && !self.path.is_empty();
        let Walk { path, wanted, record } = self;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            // A column as pandas writes it, {"0": "...", "1": "..."}, is a list.
            let is_row = is_wanted && key.bytes().all(|byte| byte.is_ascii_digit());
            let below = match (is_row, path.is_empty()) {
                (true, _) => Cow::Borrowed(path),
                (false, true) => key,
                (false, false) => Cow::Owned(format!("{path}.{key}")),
            };
            map.next_value_seed(Walk { path: &below, wanted, record: &mut *record })?;
        }
        Ok(())
    }
}

/// A JSON text with what other programs write although JSON does not have it.
struct Repaired {
    json: String,
    surrogates: u64,
    numbers: u64,
    controls: u64,
}

impl Repaired {
    fn message(&self) -> String {
        let mut parts = vec![];
        if self.surrogates > 0 {
            parts.push(format!("{} unpaired surrogates were replaced with U+FFFD", self.surrogates));
        }
        if self.numbers > 0 {
            parts.push(format!("{} values NaN or Infinity, which are not valid JSON, were read as null", self.numbers));
        }
        if self.controls > 0 {
            parts.push(format!("{} unescaped control characters were kept", self.controls));
        }
        parts.join("; ")
    }
}

/// Replaces unpaired surrogates in strings, `NaN` and `Infinity` outside of them, and escapes control characters.
fn repair(json: &str) -> Repaired {
    let mut repaired = Repaired { json: String::with_capacity(json.len()), surrogates: 0, numbers: 0, controls: 0 };
    let (mut rest, mut in_string) = (json, false);
    while let Some(c) = rest.chars().next() {
        let length = match (in_string, c) {
            (true, '\\') => repaired.take_escape(rest),
            (true, '\0'..'\x20') => {
                repaired.controls += 1;
                repaired.json.push_str(&format!("\\u{:04x}", c as u32));
                1
            }
            (false, '-' | 'N' | 'I') => repaired.take_number(rest),
            (_, c) => {
                in_string ^= c == '"';
                repaired.json.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    repaired
}

impl Repaired {
    fn take_escape(&mut self, rest: &str) -> usize {
        let length = match (surrogate(rest), surrogate(rest.get(6..).unwrap_or_default())) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(_), _) => {
                self.surrogates += 1;
                self.json.push_str("\\ufffd");
                return 6;
            }
            (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        self.json.push_str(&rest[..length]);
        length
    }

    fn take_number(&mut self, rest: &str) -> usize {
        let words = ["NaN", "-NaN", "Infinity", "-Infinity"];
        if let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) {
            self.numbers += 1;
            self.json.push_str("null");
            return word.len();
        }
        self.json.push_str(&rest[..1]);
        1
    }
}

/// The surrogate that a text begins with: `\ud83d`.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok().filter(|code| (0xD800..0xE000).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(json: &str, field: &str) -> Vec<String> {
        parse(json, &[field.to_owned()]).unwrap().texts.remove(0)
    }

    #[test]
    fn fields_are_found_at_any_depth() {
        for (json, field, expected) in [
            (r#"{"text": "a", "n": 1}"#, "text", &["a"][..]),
            (r#"{"data": [{"text": "a"}, {"text": "b"}]}"#, "data.text", &["a", "b"]),
            (r#"{"text": ["a", "b"]}"#, "text", &["a", "b"]),
            (r#"{"text": {"0": "a", "1": "b"}}"#, "text", &["a", "b"]),
            (r#"{"a": {"b": {"c": "x"}}}"#, "a.b.c", &["x"]),
            (r#"{"a.b": "x"}"#, "a.b", &["x"]),
            (r#""bare""#, "", &["bare"]),
            (r#"{"text": null}"#, "text", &[]),
        ] {
            assert_eq!(texts(json, field), expected, "{json}");
        }
    }

    #[test]
    fn what_other_programs_write_is_repaired() {
        for (json, expected, message) in [
            (r#"{"text": "cut \ud83d"}"#, "cut \u{fffd}", "1 unpaired"),
            (r#"{"text": "\ude00 \ud83d\ude00 \ud83dx"}"#, "\u{fffd} 😀 \u{fffd}x", "2 unpaired"),
            (r#"{"score": NaN, "text": "NaN -Infinity"}"#, "NaN -Infinity", "1 values"),
            (r#"{"a": [-Infinity, Infinity, -1], "text": "\\ud83d"}"#, "\\ud83d", "2 values"),
            ("{\"text\": \"a\tb\"}", "a\tb", "1 unescaped control"),
        ] {
            let repaired = repair(json);
            assert_eq!(texts(&repaired.json, "text"), [expected], "{json}");
            assert!(repaired.message().contains(message), "{}", repaired.message());
        }
    }
}
