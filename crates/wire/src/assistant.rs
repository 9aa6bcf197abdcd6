//! The assistant: who answers, what is sent to the provider of a model, and conversations with it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::id::RunId;

/// Longest message of a person, characters.
pub const MESSAGE_CHARS: usize = 8_000;
/// Messages of a person in one conversation.
pub const MOST_TURNS: usize = 200;
/// Runs of a page that are attached to a message.
pub const MOST_RUNS: usize = 8;

/// A question that rules, fits and journal answer without a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AssistantQuestion))]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The runs with alerts, and those that failed or were lost.
    Triage,
    /// Whether a run is healthy.
    IsHealthy,
    /// State, throughput and slow steps of a run.
    WhySlow,
    /// The difference of the plans and results of two runs.
    WhatChanged,
    /// Remedies of a run, its batch size, and verdicts of the project.
    WhatNext,
}

impl Question {
    pub const ALL: [Self; 5] = [Self::Triage, Self::IsHealthy, Self::WhySlow, Self::WhatChanged, Self::WhatNext];

    /// The question as a person asks it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Triage => "Which runs need attention?",
            Self::IsHealthy => "Is this run healthy?",
            Self::WhySlow => "Why is this run slow?",
            Self::WhatChanged => "What changed between these two runs?",
            Self::WhatNext => "What would you try next?",
        }
    }

    /// How many runs the question is about.
    pub const fn runs(self) -> usize {
        match self {
            Self::Triage => 0,
            Self::WhatChanged => 2,
            _ => 1,
        }
    }

    /// The question that a text asks, by its words; `None` if it asks none of them.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let words: [(Self, &[&str]); 5] = [
            (Self::WhySlow, &["slow", "speed", "throughput", "tokens/s", "fast"]),
            (Self::WhatChanged, &["changed", "differ", "compare", "between"]),
            (Self::WhatNext, &["next", "try", "improve", "suggest"]),
            (Self::IsHealthy, &["healthy", "health", "wrong", "diverg", "spike", "ok?"]),
            (Self::Triage, &["triage", "attention", "which runs", "the lab", "all runs"]),
        ];
        words.into_iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map(|(question, _)| question)
    }
}

/// The programming interface of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// The Messages API of Anthropic.
    Anthropic,
    /// Chat completions as OpenAI defines them: llama.cpp, vLLM, Ollama.
    Openai,
}

impl FromStr for ProviderKind {
    type Err = ParseError;

    fn from_str(word: &str) -> Result<Self, ParseError> {
        match word {
            "anthropic" => Ok(Self::Anthropic),
            "openai" => Ok(Self::Openai),
            _ => Err(ParseError::new(word, "a kind of provider: anthropic or openai")),
        }
    }
}

/// The provider of the model, without its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProviderInfo {
    pub kind: ProviderKind,
    /// Host to which requests are sent.
    pub host: String,
    /// Name of the model at the provider.
    pub model: String,
    /// Price of a million input tokens, US dollars; `None` if it is not configured.
    pub input_price: Option<f64>,
    /// Price of a million output tokens, US dollars; `None` if it is not configured.
    pub output_price: Option<f64>,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolInfo {
    pub name: String,
    pub title: String,
    /// Whether it changes something, so that the person has to confirm each call.
    pub acts: bool,
}

/// Who answers, and what is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssistantInfo {
    /// `None` if no provider is configured: then rules, fits and journal answer.
    pub provider: Option<ProviderInfo>,
    /// Tools whose answers are sent to the provider.
    pub tools: Vec<ToolInfo>,
    /// Datasets whose text is never sent.
    pub protected: Vec<String>,
}

/// What the page shows when a message is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PageContext {
    /// Path of the page, without its query.
    pub page: String,
    /// The run of the page, or the selected runs; at most 8.
    pub runs: Vec<RunId>,
    /// The step that the page shows.
    pub step: Option<u64>,
}

/// A message of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The text; may be empty with `question`.
    #[serde(default)]
    pub text: String,
    /// A question that is answered without a model.
    #[serde(default)]
    pub question: Option<Question>,
    #[serde(default)]
    pub context: PageContext,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NewConversation {
    /// The project with whose journal it is kept; `default` if none is given.
    pub project: Option<String>,
}

/// The decision about a proposed act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ActDecision {
    /// Whether the act is carried out.
    pub confirm: bool,
    /// Why not, for the model.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The state of a call of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// It has its answer.
    Done,
    /// It was refused or failed.
    Failed,
    /// It would change something, and waits for the person; its answer is the dry run.
    Proposed,
    /// The person has rejected it.
    Rejected,
}

/// A call of a tool by the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolCall {
    /// Id that the provider gave it.
    pub id: String,
    pub tool: String,
    /// Arguments as JSON; what the model wrote if that is none.
    pub arguments: String,
    pub state: CallState,
    /// The answer, or what the dry run returned, as JSON.
    pub answer: String,
    /// An image of the answer, PNG in base64.
    #[serde(default)]
    pub image: Option<String>,
}

/// What a request to the provider left out, because the conversation is longer than the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftOut {
    /// Oldest answers of tools.
    pub answers: u32,
    /// Oldest messages.
    pub messages: u32,
}

/// An entry of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ConversationEntry))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A message of the person.
    Asked {
        text: String,
        context: PageContext,
        /// ms since 1970.
        at_ms: i64,
    },
    /// An answer from rules, fits and journal, without a model.
    Answered { text: String },
    /// What the model wrote and called in one round.
    Said {
        text: String,
        calls: Vec<ToolCall>,
        #[serde(default)]
        left_out: LeftOut,
    },
    /// The answer ended early: stopped by the person, or failed.
    Ended { message: String },
}

/// Tokens and their cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenUsage {
    /// Tokens that were sent.
    pub input_tokens: u64,
    /// Tokens that the model wrote.
    pub output_tokens: u64,
    /// Their price by the configured prices, US dollars; `None` without prices.
    pub dollars: Option<f64>,
}

impl TokenUsage {
    /// Adds the usage of another request.
    pub fn add(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.dollars = match (self.dollars, other.dollars) {
            (None, None) => None,
            (one, two) => Some(one.unwrap_or(0.0) + two.unwrap_or(0.0)),
        };
    }
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConversationSummary {
    pub id: i64,
    pub project: String,
    /// The first message, shortened; empty before it.
    pub title: String,
    /// ms since 1970.
    pub created_ms: i64,
    /// Time of the newest entry, ms since 1970.
    pub changed_ms: i64,
    /// Name of the model that answered last; `None` if rules, fits and journal gave all answers.
    #[serde(default)]
    pub model: Option<String>,
    /// Number of the calls of tools.
    #[serde(default)]
    pub tool_calls: u64,
    pub usage: TokenUsage,
}

/// A conversation with its entries, and the answer that is being written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conversation {
    pub summary: ConversationSummary,
    /// Number of its entries.
    pub total: u32,
    /// Entries from the requested one on.
    pub entries: Vec<Entry>,
    /// Whether an answer is being written.
    pub is_answering: bool,
    /// What the model has written of its answer so far.
    pub partial: String,
    /// What the server is doing, in words; empty if it does nothing.
    pub doing: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_mapped_to_a_question_by_its_words() {
        for (text, expected) in [
            ("Why is my run slow?", Some(Question::WhySlow)),
            ("what changed between these two", Some(Question::WhatChanged)),
            ("triage the lab", Some(Question::Triage)),
            ("Is this run healthy?", Some(Question::IsHealthy)),
            ("what would you try next", Some(Question::WhatNext)),
            ("write a poem", None),
        ] {
            assert_eq!(Question::of(text), expected, "{text}");
        }
        for question in Question::ALL {
            assert_eq!(Question::of(question.label()), Some(question));
        }
    }

    #[test]
    fn usage_adds_up() {
        let mut all = TokenUsage { input_tokens: 1, output_tokens: 2, dollars: None };
        all.add(TokenUsage { input_tokens: 10, output_tokens: 20, dollars: Some(0.5) });
        assert_eq!(all, TokenUsage { input_tokens: 11, output_tokens: 22, dollars: Some(0.5) });
    }
}
