//! Evaluation tasks: questions that a model is scored on, and the results. A task has a name, a kind and items:
//!
//! ```toml
//! name = "capitals"
//! kind = "multiple_choice"
//!
//! [[items]]
//! prompt = "The capital of France is"
//! choices = [" Paris", " Rome"]
//! answer = 0
//! ```
//!
//! JSON has the same fields. [`item`] has the items of each kind with their limits, [`result`] the metrics, [`lab`] what the API answers. The
//! engine reads the files and computes the results.

pub mod item;
pub mod lab;
pub mod result;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use item::{ChoiceItem, CompletionItem, TextItem};

/// Longest file of a task, bytes.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// Maximum number of items of a task.
pub const MAX_ITEMS: usize = 10_000;
/// Maximum number of choices of an item.
pub const MAX_CHOICES: usize = 20;
/// Names of the built-in tasks, each with the generator of the dataset that it belongs to.
pub const BUILT_IN: [(&str, &str); 2] = [("tales-holder", "tales"), ("modular-addition", "modular-addition")];
/// Longest name of a task, bytes.
const MAX_NAME: usize = 40;

/// The name of a task. It is a part of series names, such as `eval/capitals/accuracy`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct TaskName(String);

impl TaskName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TaskName {
    type Error = ParseError;

    fn try_from(name: String) -> Result<Self, ParseError> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        match !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_allowed) {
            true => Ok(Self(name)),
            false => Err(ParseError::new(
                &name,
                "a name of a task: 1 to 40 lower-case letters, digits, - and _, such as capitals",
            )),
        }
    }
}

impl std::str::FromStr for TaskName {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        Self::try_from(name.to_owned())
    }
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.0
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Questions of one kind on which a model is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task {
    pub name: TaskName,
    /// What it measures, in a sentence; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    #[serde(flatten)]
    pub items: TaskItems,
}

/// The kind of a task, with its items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "items", rename_all = "snake_case")]
pub enum TaskItems {
    MultipleChoice(Vec<ChoiceItem>),
    Completion(Vec<CompletionItem>),
    Perplexity(Vec<TextItem>),
}

impl TaskItems {
    /// The kind, without the items.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::MultipleChoice(_) => TaskKind::MultipleChoice,
            Self::Completion(_) => TaskKind::Completion,
            Self::Perplexity(_) => TaskKind::Perplexity,
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        match self {
            Self::MultipleChoice(items) => items.len(),
            Self::Completion(items) => items.len(),
            Self::Perplexity(items) => items.len(),
        }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The method by which a model is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// The model chooses the choice with the highest log-likelihood after the prompt.
    MultipleChoice,
    /// The most likely continuation of the prompt must be the answer.
    Completion,
    /// Perplexity and bits per byte of a text.
    Perplexity,
    /// A program of the server's machine computes the values from the exported checkpoint.
    Command,
}

impl TaskKind {
    /// The kind as a phrase.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::MultipleChoice => "multiple choice by likelihood",
            Self::Completion => "exact completion",
            Self::Perplexity => "perplexity of a text",
            Self::Command => "external command",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_fit_into_a_series_name_are_names() {
        for good in ["a", "tales-holder", "arc_easy", "4", &"x".repeat(40)] {
            assert!(good.parse::<TaskName>().is_ok(), "{good}");
        }
        for bad in ["", "A", "a/b", "a b", "a.b", "é", &"x".repeat(41)] {
            assert!(bad.parse::<TaskName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_format_is_name_kind_and_items() {
        let check = |text: &str| {
            let task: Task = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&task).unwrap(), text);
            task.items.kind()
        };
        let choice = r#"{"name":"a","about":"b","kind":"multiple_choice","items":[{"prompt":"p","choices":["x","y"],"answer":1}]}"#;
        assert_eq!(check(choice), TaskKind::MultipleChoice);
        let completion = r#"{"name":"a","kind":"completion","items":[{"prompt":"1+1=","answer":"2"}]}"#;
        assert_eq!(check(completion), TaskKind::Completion);
        assert_eq!(check(r#"{"name":"a","kind":"perplexity","items":[{"text":"t"}]}"#), TaskKind::Perplexity);
    }
}
