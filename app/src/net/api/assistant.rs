//! Routes of the assistant, and the protection of datasets.

use wire::CorpusId;
use wire::assistant::{ActDecision, AssistantInfo, Conversation, ConversationSummary, NewConversation, NewMessage};

use super::failure::ApiFailure;
use super::request::{escape, get, send, send_for, send_plain};

/// Who answers, and what is sent.
pub(crate) async fn info() -> Result<AssistantInfo, ApiFailure> {
    get("/assistant").await
}

/// The conversations of this person, newest first.
pub(crate) async fn list() -> Result<Vec<ConversationSummary>, ApiFailure> {
    get("/conversations").await
}

/// Begins a conversation.
pub(crate) async fn begin(new: &NewConversation) -> Result<Conversation, ApiFailure> {
    send("POST", "/conversations", Some(new)).await
}

/// A conversation with its entries from number `from` on.
pub(crate) async fn conversation(id: i64, from: usize) -> Result<Conversation, ApiFailure> {
    get(&format!("/conversations/{id}?from={from}")).await
}

/// Deletes a conversation.
pub(crate) async fn delete(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/conversations/{id}")).await
}

/// Sends a message.
pub(crate) async fn ask(id: i64, message: &NewMessage) -> Result<Conversation, ApiFailure> {
    send("POST", &format!("/conversations/{id}/messages"), Some(message)).await
}

/// Confirms or rejects a proposed act.
pub(crate) async fn decide(id: i64, call: &str, decision: &ActDecision) -> Result<Conversation, ApiFailure> {
    send("POST", &format!("/conversations/{id}/calls/{}", escape(call)), Some(decision)).await
}

/// Stops the answer that is being written.
pub(crate) async fn stop(id: i64) -> Result<(), ApiFailure> {
    send_plain("POST", &format!("/conversations/{id}/stop")).await
}

/// Protects a dataset from providers of models, or ends its protection.
pub(crate) async fn protect(corpus: &CorpusId, is_protected: bool) -> Result<(), ApiFailure> {
    let body = serde_json::json!({ "protected": is_protected });
    send_for("PUT", &format!("/corpora/{corpus}/protection"), Some(&body)).await.map(|_| ())
}
