//! A request to a model and its reply, in the terms that both providers share.

use serde_json::{Map, Value};

/// Tokens that a model may write in one round.
pub const MAX_TOKENS: u32 = 4_096;

/// A conversation with instructions and tools.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Instructions.
    pub system: String,
    pub tools: Vec<ToolSpec>,
    /// The conversation; persons and results alternate with the model.
    pub messages: Vec<Message>,
}

/// A tool that the model may call.
#[derive(Debug, Clone)]
pub struct ToolSpec {
    pub name: String,
    pub about: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Person(String),
    Model {
        text: String,
        calls: Vec<Call>,
    },
    /// The answers to the calls of the message before.
    Results(Vec<ToolResult>),
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    pub id: String,
    pub tool: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

impl Call {
    /// The arguments; empty if they are no JSON object, since servers refuse requests that repeat such arguments.
    pub fn object(&self) -> Map<String, Value> {
        serde_json::from_str(&self.arguments).unwrap_or_default()
    }
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    pub id: String,
    pub text: String,
    pub is_error: bool,
    /// PNG in base64.
    pub image: Option<String>,
}

/// What a model has replied so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub text: String,
    pub calls: Vec<Call>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Why it ended, in the word of the provider; `None` while it has not.
    pub ended: Option<String>,
}

/// The part of an event that people see at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    Nothing,
    Text(String),
    /// The provider reports an error within its stream.
    Error {
        message: String,
        is_temporary: bool,
    },
}

impl Reply {
    pub fn add_text(&mut self, text: &str) -> Added {
        if text.is_empty() {
            return Added::Nothing;
        }
        self.text.push_str(text);
        Added::Text(text.to_owned())
    }

    /// The call at an index of the stream, which is created if it is the next one; `None` beyond it.
    pub fn call_at(&mut self, index: usize) -> Option<&mut Call> {
        if index == self.calls.len() && index < MOST_CALLS {
            self.calls.push(Call::default());
        }
        self.calls.get_mut(index)
    }
}

/// Calls in one reply.
const MOST_CALLS: usize = 16;
