//! The messages of serde in words. It names the types of Rust ("expected u64"), which say nothing to whoever sent the
//! JSON.

use std::fmt::Display;

/// A message of `serde_json`, of a query or of a path, with what is expected in words: `steps: invalid type: string
/// "many", expected u64 at line 1 column 16` becomes `steps: expected a whole number from 0 to 18446744073709551615, not
/// the text "many"`. Other messages stay as they are.
pub fn in_words(message: impl Display) -> String {
    message.to_string().lines().map(line_in_words).collect::<Vec<_>>().join("\n")
}

fn line_in_words(line: &str) -> String {
    mismatch(line)
        .or_else(|| unparsed_path(line))
        .or_else(|| {
            PHRASES.iter().find(|(phrase, _)| line.contains(phrase)).map(|(phrase, to)| line.replace(phrase, to))
        })
        .or_else(|| {
            let (before, _) = line.split_once("data did not match any variant of untagged enum ")?;
            Some(format!("{before}the value has none of the accepted forms"))
        })
        .unwrap_or_else(|| line.to_owned())
}

/// Messages of the parsers of integers, numbers and switches, and of serde for a word that is not in a list.
const PHRASES: [(&str, &str); 8] = [
    ("invalid digit found in string", "expected a whole number"),
    ("cannot parse integer from empty string", "expected a whole number, not an empty text"),
    ("number too large to fit in target type", "the number is too large"),
    ("number too small to fit in target type", "the number is too small"),
    ("invalid float literal", "expected a number"),
    ("cannot parse float from empty string", "expected a number, not an empty text"),
    ("provided string was not `true` or `false`", "expected true or false"),
    ("unknown variant `", "unknown value `"),
];

/// `invalid type: FOUND, expected TYPE`, after the path of the field where it is known.
fn mismatch(line: &str) -> Option<String> {
    let line = without_position(line);
    let starts = ["invalid type: ", "invalid value: ", "invalid length "];
    let (before, rest) = starts.iter().find_map(|start| line.split_once(start))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    Some(format!("{before}expected {}, not {}", expected_in_words(expected), found_in_words(found)))
}

/// axum: ``Cannot parse `abc` to a `u64` ``.
fn unparsed_path(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Cannot parse ")?;
    let (value, kind) = rest.rsplit_once(" to a `")?;
    let expected = number_in_words(kind.trim_end_matches('`'))?;
    let value = value.rsplit_once(" with value ").map_or(value, |(_, value)| value);
    Some(format!("{value} is not {expected}"))
}

/// The end of the text is where serde noticed it, not where the value is.
fn without_position(line: &str) -> &str {
    match line.rsplit_once(" at line ") {
        Some((message, place))
            if place.split_once(" column ").is_some_and(|(row, column)| is_digits(row) && is_digits(column)) =>
        {
            message
        }
        _ => line,
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn expected_in_words(expected: &str) -> String {
    let words = match expected {
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "str" | "path string" | "unit variant" => "a text",
        "char" | "a character" => "one character",
        "a map" | "struct variant" => "an object",
        "string or map" | "newtype variant" => "a text or an object",
        "a sequence" | "an array" => "a list",
        "unit" | "null" => "null",
        "option" => "a value or null",
        _ => "",
    };
    if !words.is_empty() {
        return words.to_owned();
    }
    let is_object = ["struct ", "internally tagged enum ", "adjacently tagged enum "];
    let counted = |prefix: &str| expected.strip_prefix(prefix).map(|count| format!("a list of {count}"));
    number_in_words(expected)
        .or_else(|| is_object.iter().any(|start| expected.starts_with(start)).then(|| "an object".to_owned()))
        .or_else(|| expected.starts_with("enum ").then(|| "a text or an object".to_owned()))
        .or_else(|| counted("a tuple of size "))
        .or_else(|| counted("an array of length "))
        .unwrap_or_else(|| expected.to_owned())
}

fn number_in_words(kind: &str) -> Option<String> {
    let up_to = |max: u64| Some(format!("a whole number from 0 to {max}"));
    match kind {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" | "usize" | "u128" => up_to(u64::MAX),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => Some("a whole number".into()),
        "f32" | "f64" => Some("a number".into()),
        _ => None,
    }
}

/// `string "many"`, ``integer `-1` ``, `map`.
fn found_in_words(found: &str) -> String {
    match found {
        "map" | "struct variant" => return "an object".into(),
        "sequence" | "tuple variant" => return "a list".into(),
        "null" | "unit value" | "Option value" => return "null".into(),
        "unit variant" | "newtype variant" => return "a text".into(),
        _ => {}
    }
    if let Some(text) = found.strip_prefix("string ").or_else(|| found.strip_prefix("character ")) {
        return format!("the text {text}");
    }
    match found.split_once(" `") {
        Some((_, value)) => value.trim_end_matches('`').to_owned(),
        None => found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::in_words;
    use crate::hyperparameters::schedule::Shape;
    use crate::{Command, RunSpec};

    fn check<T: DeserializeOwned>(json: &str, expected: &str) {
        let error = serde_json::from_str::<T>(json).err().unwrap_or_else(|| panic!("{json} was read"));
        assert_eq!(in_words(error), expected, "{json}");
    }

    #[test]
    fn what_serde_expects_is_said_in_words() {
        check::<u64>(r#""many""#, "expected a whole number from 0 to 18446744073709551615, not the text \"many\"");
        check::<u64>("-1", "expected a whole number from 0 to 18446744073709551615, not -1");
        check::<u64>("1.5", "expected a whole number from 0 to 18446744073709551615, not 1.5");
        check::<u32>("4294967296", "expected a whole number from 0 to 4294967295, not 4294967296");
        check::<i64>("true", "expected a whole number, not true");
        check::<f64>("null", "expected a number, not null");
        check::<bool>("0", "expected true or false, not 0");
        check::<String>("[]", "expected a text, not a list");
        check::<Vec<u64>>("{}", "expected a list, not an object");
        check::<(u64, f64)>("[1]", "expected a list of 2, not 1");
        check::<RunSpec>(r#""tiny""#, "expected an object, not the text \"tiny\"");
        let shape = serde_json::from_value::<Shape>(7.into()).unwrap_err();
        assert_eq!(in_words(shape), "expected a text or an object, not 7");
        check::<f64>(r#""a, expected u64""#, "expected a number, not the text \"a, expected u64\"");
    }

    #[test]
    fn messages_in_words_stay() {
        check::<RunSpec>(r#"{"corpus": "../etc"}"#, &{
            let error = serde_json::from_str::<RunSpec>(r#"{"corpus": "../etc"}"#).unwrap_err();
            error.to_string()
        });
        for message in
            ["missing field `kind`", "expected `,` or `}` at line 1 column 9", "number out of range at line 1 column 5"]
        {
            assert_eq!(in_words(message), message);
        }
        assert!(
            in_words(serde_json::from_str::<Command>(r#"{"kind":"explode"}"#).unwrap_err())
                .starts_with("unknown value `explode`")
        );
    }

    #[test]
    fn queries_and_paths_are_in_words_too() {
        assert_eq!(in_words("limit: invalid digit found in string"), "limit: expected a whole number");
        assert_eq!(in_words("Invalid URL: Cannot parse `abc` to a `i64`"), "`abc` is not a whole number");
        assert_eq!(in_words("from: invalid float literal"), "from: expected a number");
    }

    #[test]
    fn forms_that_are_tried_in_turn_are_not_named() {
        #[derive(Debug, Deserialize)]
        #[serde(untagged)]
        enum Either {
            #[expect(dead_code, reason = "only its form matters")]
            Whole(u64),
            #[expect(dead_code, reason = "only its form matters")]
            List(Vec<u64>),
        }
        check::<Either>(r#""x""#, "the value has none of the accepted forms");
    }
}
