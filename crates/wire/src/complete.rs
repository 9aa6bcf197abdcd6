//! A text completed by a checkpoint: what is asked, and the lines that come back as it is written.

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointId;
use crate::error::ApiErrorBody;
use crate::id::RunId;

/// Most tokens in one completion.
pub const TOKENS: u32 = 4_096;
/// Longest prompt, bytes.
pub const PROMPT_BYTES: usize = 32_768;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CompleteAsk {
    /// Whose weights.
    pub run: RunId,
    /// Which of its checkpoints; the newest unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub checkpoint: Option<CheckpointId>,
    /// What the text begins with; nothing unless told.
    #[serde(default)]
    pub prompt: String,
    /// Tokens to add.
    #[serde(default = "tokens")]
    pub tokens: u32,
    /// 0 takes the likeliest token each time.
    #[serde(default = "temperature")]
    pub temperature: f64,
    /// Only so many of the likeliest may be drawn; 0 for all.
    #[serde(default)]
    pub top_k: u32,
    /// Only the likeliest that together reach this probability may be drawn; 1 for all.
    #[serde(default = "top_p")]
    pub top_p: f64,
    /// The same seed gives the same text.
    #[serde(default = "seed")]
    pub seed: u64,
}

fn tokens() -> u32 {
    200
}

fn temperature() -> f64 {
    0.8
}

fn top_p() -> f64 {
    1.0
}

fn seed() -> u64 {
    1
}

impl CompleteAsk {
    /// Refuses what cannot be drawn: the field, and the sentence to show.
    ///
    /// # Errors
    /// The first field that is out of its bounds.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let within = |low: f64, high: f64, value: f64| (low..=high).contains(&value);
        if self.tokens == 0 || self.tokens > TOKENS {
            return Err(("tokens", format!("{} tokens cannot be drawn: 1 to {TOKENS}", self.tokens)));
        }
        if !within(0.0, 10.0, self.temperature) {
            return Err(("temperature", format!("{} is no temperature: 0 to 10, 0.8 is usual", self.temperature)));
        }
        if !within(0.0, 1.0, self.top_p) || self.top_p == 0.0 {
            return Err(("top_p", format!("{} is no share: above 0, up to 1 for all tokens", self.top_p)));
        }
        if self.prompt.len() > PROMPT_BYTES {
            return Err(("prompt", format!("the prompt has {} bytes: at most {PROMPT_BYTES}", self.prompt.len())));
        }
        Ok(())
    }
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum CompleteLine {
    /// The next token.
    Token(CompletedToken),
    /// The last line of a text that was written to its end.
    Done(Completed),
    /// The last line of one that broke off.
    Failed {
        /// Why.
        error: ApiErrorBody,
    },
}

/// A token, as it was drawn. Probabilities are the model's own, before temperature and cuts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletedToken {
    /// Its number.
    pub token: u32,
    /// What it adds to the text; empty where a character still waits for its last bytes.
    pub text: String,
    /// The model's probability of it.
    pub probability: f64,
    /// The likeliest tokens, likeliest first.
    pub alternatives: Vec<Alternative>,
}

/// A token that could have come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alternative {
    /// The token, for people to read.
    pub text: String,
    /// The model's probability of it.
    pub probability: f64,
}

/// How a text ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Completed {
    /// Always true.
    pub done: bool,
    /// Speed, loading left out.
    pub tokens_per_sec: f64,
    /// Why it ended.
    pub stopped: CompletionEnd,
    /// The checkpoint that wrote it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CompletionEnd {
    /// It has the tokens asked for.
    Length,
    /// The model drew the end of a document.
    Eot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_ask_is_enough_and_a_bad_one_names_its_field() {
        let ask: CompleteAsk = serde_json::from_str(r#"{"run":"amber-fox","checkpoint":"0-20"}"#).unwrap();
        assert_eq!((ask.check(), ask.tokens, ask.seed), (Ok(()), 200, 1));
        for (change, field) in [
            (CompleteAsk { tokens: 0, ..ask.clone() }, "tokens"),
            (CompleteAsk { tokens: 5_000, ..ask.clone() }, "tokens"),
            (CompleteAsk { temperature: f64::NAN, ..ask.clone() }, "temperature"),
            (CompleteAsk { top_p: 0.0, ..ask.clone() }, "top_p"),
            (CompleteAsk { prompt: "x".repeat(PROMPT_BYTES + 1), ..ask.clone() }, "prompt"),
        ] {
            assert_eq!(change.check().map_err(|(field, _)| field), Err(field));
        }
    }

    #[test]
    fn lines_are_told_apart_by_their_fields() {
        let check = |line: &str, expected: &str| {
            let read: CompleteLine = serde_json::from_str(line).unwrap();
            let found = match &read {
                CompleteLine::Token(_) => "token",
                CompleteLine::Done(_) => "done",
                CompleteLine::Failed { .. } => "failed",
            };
            assert_eq!(found, expected);
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        };
        check(r#"{"token":3,"text":"a","probability":0.5,"alternatives":[{"text":"a","probability":0.5}]}"#, "token");
        check(r#"{"done":true,"tokens_per_sec":81.5,"stopped":"eot","checkpoint":"0-20"}"#, "done");
        check(r#"{"error":{"code":"internal","message":"the device is gone"}}"#, "failed");
    }
}
