//! Reads the file of a task, TOML or JSON. The file is untrusted: its size and the number of its items are bounded, and an error names the
//! line, the value, and what to do.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use wire::error::in_words;
use wire::task::item::{ChoiceItem, CompletionItem, TextItem};
use wire::task::{MAX_FILE_BYTES, MAX_ITEMS, Task, TaskItems, TaskKind, TaskName};

use crate::error::{DataError, EngineError, TaskError};

const HINT: &str = "a task has name, kind (multiple_choice, completion or perplexity) and items";
const HINT_CHOICE: &str =
    "an item of the kind multiple_choice has prompt, choices and answer, the index of the right choice from 0";
const HINT_COMPLETION: &str = "an item of the kind completion has prompt and answer, two texts";
const HINT_TEXT: &str = "an item of the kind perplexity has text";

/// Reads a task from a file.
///
/// # Errors
/// The file could not be read, or an error of [`parse`].
pub fn read(path: &Path) -> Result<Task, EngineError> {
    let failed = DataError::disk("could not read", path);
    let read = || {
        let mut bytes = vec![];
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(parse(&read().map_err(failed)?)?)
}

/// Reads a task from the content of a file: JSON if it begins with a brace, else TOML.
///
/// # Errors
/// The file is too large, is not UTF-8, does not have the format of a task, or has an invalid item.
pub fn parse(bytes: &[u8]) -> Result<Task, TaskError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(TaskError::TooLarge { bytes: bytes.len() as u64 });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| TaskError::NotText { line: line_at(&bytes[..error.valid_up_to()]) })?;
    // The kind is read first, so that each item is read as one of its kind, and an error has the line of the item.
    let Head { kind, .. } = decode(text, HINT)?;
    let (name, about, items) = match kind {
        TaskKind::MultipleChoice => {
            let body: Body<ChoiceItem> = decode_body(text, HINT_CHOICE)?;
            (body.name, body.about, TaskItems::MultipleChoice(body.items))
        }
        TaskKind::Completion => {
            let body: Body<CompletionItem> = decode_body(text, HINT_COMPLETION)?;
            (body.name, body.about, TaskItems::Completion(body.items))
        }
        TaskKind::Perplexity => {
            let body: Body<TextItem> = decode_body(text, HINT_TEXT)?;
            (body.name, body.about, TaskItems::Perplexity(body.items))
        }
        TaskKind::Command => {
            let message = "a task file cannot name a command: name it with the server's option --evaluator".to_owned();
            return Err(TaskError::Format { line: 1, message, hint: HINT });
        }
    };
    match items.len() {
        1..=MAX_ITEMS => Ok(Task { name, about, items }),
        items => Err(TaskError::Items { items }),
    }
}

/// The fields of a task, of any kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "name")]
    _name: TaskName,
    #[serde(default, rename = "about")]
    _about: String,
    kind: TaskKind,
    #[serde(rename = "items")]
    _items: Vec<IgnoredAny>,
}

/// The fields of a task whose kind is known.
#[derive(Deserialize)]
struct Body<T> {
    name: TaskName,
    #[serde(default)]
    about: String,
    items: Vec<T>,
}

/// Decodes a task whose kind is known. The parsers give an item that is refused as a whole the line of another place, TOML that of the first
/// item and JSON that of what follows, so the item is looked for.
fn decode_body<T: DeserializeOwned>(text: &str, hint: &'static str) -> Result<Body<T>, TaskError> {
    decode(text, hint).map_err(|error| match error {
        TaskError::Format { line, message, hint } => {
            let found = if is_json(text) { invalid_in_json::<T>(text) } else { invalid_in_toml::<T>(text, line) };
            TaskError::Format { line: found.unwrap_or(line), message, hint }
        }
        error => error,
    })
}

/// The line of the first item that is not a `T` in a JSON text, or of the value in it that is invalid.
fn invalid_in_json<T: DeserializeOwned>(text: &str) -> Option<usize> {
    #[derive(Deserialize)]
    struct Items<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
    }
    let Items { items } = serde_json::from_str(text).ok()?;
    items.into_iter().map(RawValue::get).find_map(|item| {
        let error = serde_json::from_str::<T>(item).err()?;
        // An item is a part of the text. The line in it counts from 1, and is 0 if the whole item is refused.
        let start = item.as_ptr() as usize - text.as_ptr() as usize;
        Some(line_at(&text.as_bytes()[..start]) + error.line().saturating_sub(1))
    })
}

/// The same in a TOML text, in which the parser's line is right if it is in the item.
fn invalid_in_toml<T: DeserializeOwned>(text: &str, line: usize) -> Option<usize> {
    #[derive(Deserialize)]
    struct Items {
        items: Vec<toml::Spanned<toml::Value>>,
    }
    let Items { items } = toml::from_str(text).ok()?;
    let mut starts = items.into_iter().map(|item| (item.span().start, item.into_inner()));
    let start = starts.find_map(|(start, item)| T::deserialize(item).is_err().then_some(start))?;
    Some(line_at(&text.as_bytes()[..start]).max(line))
}

/// The formats are told apart by the first character: no TOML text begins with a brace.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn decode<T: DeserializeOwned>(text: &str, hint: &'static str) -> Result<T, TaskError> {
    if is_json(text) {
        return serde_json::from_str(text).map_err(|error| {
            let message = in_words(&error);
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            TaskError::Format { line: error.line().max(1), message, hint }
        });
    }
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        TaskError::Format { line: line_at(before.as_bytes()), message: in_words(error.message()), hint }
    })
}

/// The line that follows some bytes, from 1.
fn line_at(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = \"capitals\"\nkind = \"multiple_choice\"\n\n[[items]]\nprompt = \"France:\"\nchoices = [\" Paris\", \" Rome\"]\nanswer = 0\n";

    #[test]
    fn toml_and_json_give_the_same_task() {
        let json = r#"{"name": "capitals", "kind": "multiple_choice",
            "items": [{"prompt": "France:", "choices": [" Paris", " Rome"], "answer": 0}]}"#;
        let task = parse(TOML.as_bytes()).unwrap();
        assert_eq!(parse(json.as_bytes()).unwrap(), task);
        assert_eq!(parse(&serde_json::to_vec(&task).unwrap()).unwrap(), task);
        assert_eq!((task.name.as_str(), task.items.len()), ("capitals", 1));
    }

    #[test]
    fn an_error_names_the_line_the_value_and_what_to_do() {
        let check = |text: &str, line: usize, parts: &[&str]| {
            let error = parse(text.as_bytes()).unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, TaskError::Format { line: at, .. } if at == line), "{text}: {message}");
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        };
        let second = |item: &str| format!("{TOML}[[items]]\n{item}\n");
        check(&TOML.replace("multiple_choice", "choice"), 2, &["choice", "multiple_choice, completion or perplexity"]);
        check(&TOML.replace("capitals", "Capitals!"), 1, &["Capitals!"]);
        check(&format!("{TOML}extra = = 1\n"), 8, &[]);
        check(&TOML.replace("[[items]]", "author = 1\n[[items]]"), 4, &["author"]);
        check(&second("choices = [\"a\", \"b\"]\nanswer = \"b\""), 10, &["index of the right choice"]);
        check(&second("choices = [\"a\"]\nanswer = 0"), 8, &["has 1 choices"]);
        let json = |item: &str| format!("{{\"name\": \"a\", \"kind\": \"completion\", \"items\": [\n{item}\n]}}");
        check(&json("{\"prompt\": \"a\", \"answer\": 3}"), 2, &["3", "two texts"]);
        let (good, empty) = ("{\"prompt\": \"a\", \"answer\": \"b\"}", "{\"prompt\": \"a\",\n\"answer\": \"\"}");
        check(&json(empty), 2, &["the answer is empty"]);
        check(&json(&format!("{good},\n{empty},\n{good}")), 3, &["the answer is empty"]);
        check(&json(&format!("{good},\n{{\"prompt\": \"a\",\n\"answer\": 3}},\n{good}")), 4, &["3", "two texts"]);
        check(&json("{\"prompt\": \"a\","), 3, &[]);
        check("", 1, &["name"]);
    }

    #[test]
    fn a_file_has_bounds() {
        let many = serde_json::json!({"name": "a", "kind": "perplexity", "items": vec![serde_json::json!({"text": "x"}); MAX_ITEMS + 1]});
        assert!(matches!(parse(many.to_string().as_bytes()), Err(TaskError::Items { .. })));
        let none = br#"{"name": "a", "kind": "perplexity", "items": []}"#;
        assert!(matches!(parse(none), Err(TaskError::Items { items: 0 })));
        assert!(matches!(parse(&vec![b' '; MAX_FILE_BYTES as usize + 1]), Err(TaskError::TooLarge { .. })));
        assert!(matches!(parse(b"name = 1\n\xff"), Err(TaskError::NotText { line: 2 })));
    }

    #[test]
    fn random_damage_gives_an_error_or_a_task_and_never_a_panic() {
        let seed = testing::seed(3);
        let mut random = crate::kernels::random::Counter::new(seed, 0);
        for _ in 0..3000 {
            let mut bytes = TOML.as_bytes().to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.below(256) as u8;
            }
            if let Err(error) = parse(&bytes) {
                assert!(error.to_string().contains("line") || matches!(error, TaskError::Items { .. }), "{error}");
            }
        }
    }
}
