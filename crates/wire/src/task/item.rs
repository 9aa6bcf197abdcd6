//! The items of tasks. An item that is read has been checked; an error names the field, the value, and what to do.

use serde::{Deserialize, Serialize};

use super::MAX_CHOICES;
use crate::error::PlanError;

/// A prompt with several choices, of which one is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "UncheckedChoice")]
pub struct ChoiceItem {
    /// Text before each choice; may be empty.
    pub prompt: String,
    /// Continuations of the prompt, including their leading space.
    pub choices: Vec<String>,
    /// Index of the right choice, from 0.
    pub answer: usize,
}

/// A prompt with the one right continuation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "UncheckedCompletion")]
pub struct CompletionItem {
    /// Text before the answer.
    pub prompt: String,
    /// Continuation of the prompt, including its leading space.
    pub answer: String,
}

/// A text whose likelihood is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "UncheckedText")]
pub struct TextItem {
    /// A whole document.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedChoice {
    #[serde(default)]
    prompt: String,
    choices: Vec<String>,
    answer: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedCompletion {
    prompt: String,
    answer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedText {
    text: String,
}

impl TryFrom<UncheckedChoice> for ChoiceItem {
    type Error = PlanError;

    fn try_from(UncheckedChoice { prompt, choices, answer }: UncheckedChoice) -> Result<Self, PlanError> {
        let count = choices.len();
        if !(2..=MAX_CHOICES).contains(&count) {
            return Err(PlanError::new("choices", format!("the item has {count} choices"))
                .hint(format!("give 2 to {MAX_CHOICES}")));
        }
        if answer >= count {
            let message = format!("{answer} names none of the {count} choices");
            return Err(PlanError::new("answer", message)
                .hint(format!("give the index of the right choice, from 0 to {}", count - 1)));
        }
        for (at, choice) in choices.iter().enumerate() {
            if choice.is_empty() {
                return Err(PlanError::new("choices", format!("choice {at} is empty")).hint("give each choice a text"));
            }
            if let Some(other) = choices[..at].iter().position(|other| other == choice) {
                let shown: String = choice.chars().take(40).collect();
                let message = format!("choices {other} and {at} are both {shown:?}");
                return Err(PlanError::new("choices", message).hint("give choices that differ"));
            }
        }
        Ok(Self { prompt, choices, answer })
    }
}

impl TryFrom<UncheckedCompletion> for CompletionItem {
    type Error = PlanError;

    fn try_from(UncheckedCompletion { prompt, answer }: UncheckedCompletion) -> Result<Self, PlanError> {
        if answer.is_empty() {
            return Err(PlanError::new("answer", "the answer is empty").hint("give the text that follows the prompt"));
        }
        Ok(Self { prompt, answer })
    }
}

impl TryFrom<UncheckedText> for TextItem {
    type Error = PlanError;

    fn try_from(UncheckedText { text }: UncheckedText) -> Result<Self, PlanError> {
        if text.is_empty() {
            return Err(PlanError::new("text", "the text is empty").hint("give a text of at least one character"));
        }
        Ok(Self { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_item_names_the_field_the_value_and_the_remedy() {
        let choice = |text: &str| serde_json::from_str::<ChoiceItem>(text).unwrap_err().to_string();
        let check = |text: &str, parts: &[&str]| {
            let message = choice(text);
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        };
        check(r#"{"choices":["a"],"answer":0}"#, &["choices: ", "has 1 choices", "give 2 to 20"]);
        check(r#"{"choices":["a","b"],"answer":2}"#, &["answer: 2 names none of the 2", "from 0 to 1"]);
        check(r#"{"choices":["a","a"],"answer":0}"#, &["choices 0 and 1 are both \"a\""]);
        check(r#"{"choices":["a",""],"answer":0}"#, &["choice 1 is empty"]);
        check(r#"{"choices":["a","b"],"answer":-1}"#, &["-1"]);
        check(r#"{"choices":["a","b"],"right":0}"#, &["right"]);
        let empty = serde_json::from_str::<CompletionItem>(r#"{"prompt":"a","answer":""}"#).unwrap_err();
        assert!(empty.to_string().contains("the answer is empty"));
        assert!(serde_json::from_str::<TextItem>(r#"{"text":""}"#).is_err());
    }
}
