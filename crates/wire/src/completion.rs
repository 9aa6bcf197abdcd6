//! Text completion by a checkpoint: the request, and the lines of the streamed answer.

use serde::{Deserialize, Serialize};

use crate::control::checkpoint::CheckpointId;
use crate::error::{ApiErrorBody, PlanError};
use crate::id::RunId;
use crate::number::grouped;

/// Most tokens in one completion.
pub const TOKENS: u32 = 4_096;
/// Longest prompt, bytes.
pub const PROMPT_BYTES: usize = 32_768;

/// A request for a completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CompletionRequest {
    /// Run whose weights are used.
    pub run: RunId,
    /// Checkpoint of the run; by default its newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub checkpoint: Option<CheckpointId>,
    /// Text to continue; empty by default.
    #[serde(default)]
    pub prompt: String,
    /// Tokens to generate, 1 to [`TOKENS`]; 200 by default.
    #[serde(default = "tokens")]
    pub tokens: u32,
    /// Softmax temperature, 0 to 10; 0 always takes the most likely token; 0.8 by default.
    #[serde(default = "temperature")]
    pub temperature: f64,
    /// Samples from this many most likely tokens only; 0 for all, the default.
    #[serde(default)]
    pub top_k: u32,
    /// Samples from the most likely tokens that together reach this probability only; 1 for all, the default.
    #[serde(default = "top_p")]
    pub top_p: f64,
    /// Random seed: the same seed gives the same text.
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

impl CompletionRequest {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), PlanError> {
        let within = |low: f64, high: f64, value: f64| (low..=high).contains(&value);
        if self.tokens == 0 || self.tokens > TOKENS {
            return Err(PlanError::new("tokens", format!("tokens {} is out of range", grouped(self.tokens as u64)))
                .hint(format!("enter a whole number from 1 to {}", grouped(TOKENS as u64))));
        }
        if !within(0.0, 10.0, self.temperature) {
            return Err(PlanError::new("temperature", format!("temperature {} is out of range", self.temperature))
                .hint("enter a number from 0 to 10; 0.8 is usual"));
        }
        if !within(0.0, 1.0, self.top_p) || self.top_p == 0.0 {
            return Err(PlanError::new("top_p", format!("top-p {} is out of range", self.top_p))
                .hint("enter a number above 0, at most 1"));
        }
        if self.prompt.len() > PROMPT_BYTES {
            return Err(PlanError::new(
                "prompt",
                format!("the prompt has {} bytes", grouped(self.prompt.len() as u64)),
            )
            .hint(format!("enter at most {} bytes", grouped(PROMPT_BYTES as u64))));
        }
        Ok(())
    }
}

/// One line of the streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum CompletionLine {
    /// The next token.
    Token(CompletionToken),
    /// The last line of a complete answer.
    Done(CompletionSummary),
    /// The last line of an answer that failed.
    Failed { error: ApiErrorBody },
}

/// A generated token. Probabilities are those of the model, before temperature, top-k and top-p.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletionToken {
    /// Token id.
    pub token: u32,
    /// Text that it adds; empty while the bytes of a character are incomplete.
    pub text: String,
    pub probability: f64,
    /// The most likely tokens, most likely first.
    pub alternatives: Vec<Alternative>,
}

/// A likely token at one position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alternative {
    /// Text of the token.
    pub text: String,
    pub probability: f64,
}

/// The end of a complete answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompletionSummary {
    /// Always true.
    pub done: bool,
    /// Tokens per second, without loading the model.
    pub tokens_per_sec: f64,
    /// Tokens at the beginning of the prompt that were not used, because the prompt is longer than the context.
    pub prompt_dropped: u64,
    /// Reason for the end.
    pub stopped: CompletionEnd,
    /// Checkpoint that was used.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
}

/// Reason for the end of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CompletionEnd {
    /// The requested number of tokens was generated.
    Length,
    /// The model generated an end-of-text token.
    Eot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_defaults_and_an_invalid_one_names_its_field() {
        let request: CompletionRequest = serde_json::from_str(r#"{"run":"amber-fox","checkpoint":"0-20"}"#).unwrap();
        assert_eq!((request.check(), request.tokens, request.seed), (Ok(()), 200, 1));
        for (change, field) in [
            (CompletionRequest { tokens: 0, ..request.clone() }, "tokens"),
            (CompletionRequest { tokens: 5_000, ..request.clone() }, "tokens"),
            (CompletionRequest { temperature: f64::NAN, ..request.clone() }, "temperature"),
            (CompletionRequest { top_p: 0.0, ..request.clone() }, "top_p"),
            (CompletionRequest { prompt: "x".repeat(PROMPT_BYTES + 1), ..request.clone() }, "prompt"),
        ] {
            assert_eq!(change.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn lines_are_distinguished_by_their_fields() {
        let check = |line: &str, expected: &str| {
            let read: CompletionLine = serde_json::from_str(line).unwrap();
            let found = match &read {
                CompletionLine::Token(_) => "token",
                CompletionLine::Done(_) => "done",
                CompletionLine::Failed { .. } => "failed",
            };
            assert_eq!(found, expected);
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        };
        check(r#"{"token":3,"text":"a","probability":0.5,"alternatives":[{"text":"a","probability":0.5}]}"#, "token");
        check(r#"{"done":true,"tokens_per_sec":81.5,"prompt_dropped":0,"stopped":"eot","checkpoint":"0-20"}"#, "done");
        check(r#"{"error":{"code":"internal","message":"the device is lost"}}"#, "failed");
    }
}
