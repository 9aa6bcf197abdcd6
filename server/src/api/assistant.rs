//! The assistant: conversations of a person with a model, or with rules, fits and journal where no model is configured. A conversation belongs
//! to its author; nobody else can read it, because answers of tools in it contain what its author may see.
//!
//! - here: the routes; [`asker`]: the person who asks, with their credential for tools; [`rules`]: answers without a model;
//! - [`turn`]: the rounds of an answer of the model; [`history`]: the messages of a request; [`tools`]: what the model may call.

pub mod asker;
pub mod history;
pub mod rules;
pub mod tools;
pub mod turn;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use store::StoredConversation;
use utoipa::{IntoParams, ToSchema};
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::assistant::{
    ActDecision, AssistantInfo, Conversation, ConversationSummary, Entry, MESSAGE_CHARS, MOST_RUNS, MOST_TURNS,
    NewConversation, NewMessage, Question, ToolCall,
};
use wire::{ApiErrorBody, CorpusId};

use super::extract::{Body, Path, Query};
use crate::auth::{Contributor, Member, datasets, project};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::answers::Writing;
use crate::live::audience::Audience;
use crate::live::clock::now_ms;
use asker::{Asker, Author};
use turn::{Turn, proposal, reject_all};

/// Conversations in a list.
const LISTED: u32 = 200;
/// Longest title, characters.
const TITLE_CHARS: usize = 60;
/// Longest path of a page, characters.
const PAGE_CHARS: usize = 300;
/// Longest reason of a rejection, characters.
const REASON_CHARS: usize = 500;
/// Largest conversation that can be continued, bytes.
const CONVERSATION_BYTES: usize = 30 << 20;

/// The entries that a page does not have yet.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntriesQuery {
    /// Number of the first entry, from 0; all by default.
    from: Option<u32>,
}

/// Whether a dataset is protected.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// Never send its text to a provider of a model.
    protected: bool,
}

/// Returns who answers in the assistant, and what is sent to the provider of a model: its host, the model, the tools, and the datasets whose
/// text is never sent.
#[utoipa::path(get, path = "/assistant", tag = "assistant", responses((status = 200, body = AssistantInfo)))]
pub async fn get_assistant(Member(identity): Member, State(lab): State<Lab>) -> Result<Json<AssistantInfo>, ApiError> {
    let (projects, audience) = (lab.store().dataset_projects().await?, Audience::of(&identity.grants));
    let is_seen = |dataset: &String| audience.has_dataset(projects.get(dataset).map(String::as_str));
    let protected = lab.store().protected_datasets().await?.into_iter().filter(is_seen).collect();
    let provider = lab.settings.assistant.as_ref().map(|provider| provider.info());
    Ok(Json(AssistantInfo { provider, tools: tools::infos(), protected }))
}

/// Protects a dataset: its text, and what models that are trained on it write, is given to no provider of a model, neither by the assistant nor
/// to agents. Ending the protection needs an admin.
#[utoipa::path(put, path = "/corpora/{id}/protection", tag = "data", params(("id" = CorpusId, Path)), request_body = Protection,
    responses((status = 204), (status = 404, body = ApiErrorBody)))]
pub async fn set_corpus_protection(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Path(corpus): Path<CorpusId>,
    Body(Protection { protected }): Body<Protection>,
) -> Result<StatusCode, ApiError> {
    let needed = if protected { Role::Steer } else { Role::Admin };
    datasets::check(&lab, &identity, &corpus, needed).await?;
    lab.data.corpora.read(&corpus).await?;
    lab.store().set_protected(corpus.as_str(), protected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the conversations of the sender, newest first, at most 200.
#[utoipa::path(get, path = "/conversations", tag = "assistant", responses((status = 200, body = Vec<ConversationSummary>)))]
pub async fn list_conversations(
    author: Author,
    State(lab): State<Lab>,
) -> Result<Json<Vec<ConversationSummary>>, ApiError> {
    Ok(Json(lab.store().conversations(&author.owner(), LISTED).await?))
}

/// Begins a conversation. It is kept with the journal of a project and ends with it.
#[utoipa::path(post, path = "/conversations", tag = "assistant", request_body = NewConversation,
    responses((status = 201, body = Conversation), (status = 409, description = "The sender has 200 conversations.", body = ApiErrorBody)))]
pub async fn create_conversation(
    author: Author,
    State(lab): State<Lab>,
    Body(new): Body<NewConversation>,
) -> Result<(StatusCode, Json<Conversation>), ApiError> {
    let chosen = new.project.unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    // Without a named project, also somebody who reaches only others can ask.
    if chosen != DEFAULT_PROJECT {
        project::check(&author.identity, &chosen, Role::View)?;
        project::check_exists(&lab, &chosen).await?;
    }
    let owner = author.owner();
    if lab.store().conversations(&owner, LISTED).await?.len() >= LISTED as usize {
        let message = format!("you have {LISTED} conversations, which is the maximum");
        return Err(ApiError::conflict("conversations_full", message).hint("delete one that is not needed"));
    }
    let id = lab.store().add_conversation(&owner, &chosen).await?;
    let stored = find(&lab, &owner, id, 0).await?;
    Ok((StatusCode::CREATED, Json(shown(&lab, stored))))
}

/// Returns a conversation of the sender: its entries, and the text of the answer that is being written.
#[utoipa::path(get, path = "/conversations/{id}", tag = "assistant", params(("id" = i64, Path), EntriesQuery),
    responses((status = 200, body = Conversation)))]
pub async fn get_conversation(
    author: Author,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Query(EntriesQuery { from }): Query<EntriesQuery>,
) -> Result<Json<Conversation>, ApiError> {
    let stored = find(&lab, &author.owner(), id, from.unwrap_or(0)).await?;
    Ok(Json(shown(&lab, stored)))
}

/// Deletes a conversation of the sender. It cannot be restored.
#[utoipa::path(delete, path = "/conversations/{id}", tag = "assistant", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn delete_conversation(
    author: Author,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    if !lab.store().delete_conversation(&author.owner(), id).await? {
        return Err(unknown(id));
    }
    lab.answers.stop(id);
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a message. A question, and any text where no model is configured, is answered at once from rules, fits and journal; the model writes its
/// answer meanwhile, which the conversation then returns. Acts that wait for a decision are rejected.
#[utoipa::path(post, path = "/conversations/{id}/messages", tag = "assistant", params(("id" = i64, Path)), request_body = NewMessage,
    responses((status = 202, body = Conversation),
        (status = 409, description = "An answer is being written, or the conversation is full.", body = ApiErrorBody),
        (status = 429, description = "Too many answers are being written.", body = ApiErrorBody)))]
pub async fn send_message(
    asker: Asker,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Body(message): Body<NewMessage>,
) -> Result<(StatusCode, Json<Conversation>), ApiError> {
    check(&message)?;
    let owner = asker.author.owner();
    find(&lab, &owner, id, u32::MAX).await?;
    let writing = lab.answers.begin(id, &owner)?;
    let mut conversation = find(&lab, &owner, id, 0).await?;
    check_room(&conversation)?;
    reject_all(&mut conversation.entries);
    let asked = conversation.entries.len() as u32;
    add_message(&mut conversation, &message);
    let provider = lab.settings.assistant.clone().filter(|_| message.question.is_none());
    let Some(provider) = provider else {
        let answer = answer_by_rules(&asker, &message).await;
        conversation.entries.push(answer);
        save(&lab, &conversation, 0).await?;
        drop(writing);
        return Ok((StatusCode::ACCEPTED, Json(shown(&lab, since(conversation, asked)))));
    };
    save(&lab, &conversation, 0).await?;
    let answered = since(conversation.clone(), asked);
    let turn = begin(&lab, asker, writing, conversation);
    tokio::spawn(turn.answer(provider));
    Ok((StatusCode::ACCEPTED, Json(shown(&lab, answered))))
}

/// Confirms or rejects an act that the model has proposed. A confirmed act is carried out once with the permissions of the sender; then the
/// model continues its answer.
#[utoipa::path(post, path = "/conversations/{id}/calls/{call}", tag = "assistant",
    params(("id" = i64, Path), ("call" = String, Path, description = "Id of the call.")), request_body = ActDecision,
    responses((status = 202, body = Conversation),
        (status = 409, description = "An answer is being written.", body = ApiErrorBody),
        (status = 429, description = "Too many answers are being written.", body = ApiErrorBody)))]
pub async fn decide_call(
    asker: Asker,
    State(lab): State<Lab>,
    Path((id, call)): Path<(i64, String)>,
    Body(decision): Body<ActDecision>,
) -> Result<(StatusCode, Json<Conversation>), ApiError> {
    if decision.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS) {
        return Err(ApiError::invalid("body_invalid", "the reason is longer than 500 characters").field("reason"));
    }
    let owner = asker.author.owner();
    find(&lab, &owner, id, u32::MAX).await?;
    let writing = lab.answers.begin(id, &owner)?;
    let conversation = find(&lab, &owner, id, 0).await?;
    if proposal(&conversation.entries, &call).is_none() {
        let message = format!("no act {call} waits for a decision in this conversation");
        return Err(ApiError::not_found(message).hint("it may have been decided already"));
    }
    let total = conversation.total;
    let answered = since(conversation.clone(), total);
    let (turn, provider) = (begin(&lab, asker, writing, conversation), lab.settings.assistant.clone());
    tokio::spawn(async move { turn.decide(&call, decision, provider).await });
    Ok((StatusCode::ACCEPTED, Json(shown(&lab, answered))))
}

/// Stops the answer that is being written in a conversation of the sender. An act that has been confirmed is not interrupted.
#[utoipa::path(post, path = "/conversations/{id}/stop", tag = "assistant", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn stop_answer(author: Author, State(lab): State<Lab>, Path(id): Path<i64>) -> Result<StatusCode, ApiError> {
    find(&lab, &author.owner(), id, u32::MAX).await?;
    lab.answers.stop(id);
    Ok(StatusCode::NO_CONTENT)
}

fn begin(lab: &Lab, asker: Asker, writing: Writing, conversation: StoredConversation) -> Turn {
    let Asker { author, caller } = asker;
    Turn { lab: lab.clone(), caller, identity: author.identity, writing, conversation }
}

/// The conversation with the entries from a number on.
fn since(mut conversation: StoredConversation, from: u32) -> StoredConversation {
    conversation.total = conversation.entries.len() as u32;
    conversation.entries.drain(..(from as usize).min(conversation.entries.len()));
    conversation
}

async fn find(lab: &Lab, owner: &str, id: i64, from: u32) -> Result<StoredConversation, ApiError> {
    lab.store().conversation(owner, id, from).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: i64) -> ApiError {
    ApiError::not_found(format!("you have no conversation {id}")).hint("GET /api/v1/conversations lists yours")
}

async fn save(lab: &Lab, conversation: &StoredConversation, from: usize) -> Result<(), ApiError> {
    let StoredConversation { summary, datasets, entries, .. } = conversation;
    match lab.store().save_conversation(summary, datasets, from as u32, &entries[from..]).await? {
        true => Ok(()),
        false => Err(unknown(summary.id)),
    }
}

fn shown(lab: &Lab, stored: StoredConversation) -> Conversation {
    let StoredConversation { summary, total, entries, .. } = stored;
    let state = lab.answers.state(summary.id);
    let is_answering = state.is_some();
    let state = state.unwrap_or_default();
    Conversation { summary, total, entries, is_answering, partial: state.partial, doing: state.doing }
}

fn check(message: &NewMessage) -> Result<(), ApiError> {
    let NewMessage { text, question, context } = message;
    let invalid = |field: &str, message: &str| Err(ApiError::invalid("body_invalid", message).field(field));
    match text.chars().count() {
        0 if question.is_none() => invalid("text", "the message is empty"),
        chars if chars > MESSAGE_CHARS => invalid("text", "the message is longer than 8,000 characters"),
        _ if context.page.chars().count() > PAGE_CHARS => {
            invalid("context.page", "the path is longer than 300 characters")
        }
        _ if context.runs.len() > MOST_RUNS => invalid("context.runs", "more than 8 runs are attached"),
        _ => Ok(()),
    }
}

/// Checks that a conversation can be continued.
fn check_room(conversation: &StoredConversation) -> Result<(), ApiError> {
    let turns = conversation.entries.iter().filter(|entry| matches!(entry, Entry::Asked { .. })).count();
    let bytes: usize = conversation.entries.iter().map(size).sum();
    if turns < MOST_TURNS && bytes < CONVERSATION_BYTES {
        return Ok(());
    }
    let message = format!("the conversation has {turns} messages and {bytes} bytes");
    Err(ApiError::conflict("conversation_full", message).hint("begin a new conversation"))
}

fn size(entry: &Entry) -> usize {
    let of_call = |call: &ToolCall| call.answer.len() + call.image.as_ref().map_or(0, String::len);
    match entry {
        Entry::Asked { text, .. } | Entry::Answered { text } | Entry::Ended { message: text } => text.len(),
        Entry::Said { text, calls, .. } => text.len() + calls.iter().map(of_call).sum::<usize>(),
    }
}

/// Adds the message of the person; the first one is the title.
fn add_message(conversation: &mut StoredConversation, message: &NewMessage) {
    let label = message.question.map(Question::label).unwrap_or_default();
    let text = if message.text.trim().is_empty() { label.to_owned() } else { message.text.trim().to_owned() };
    if conversation.summary.title.is_empty() {
        conversation.summary.title = text.chars().take(TITLE_CHARS).collect();
    }
    conversation.summary.changed_ms = now_ms();
    conversation.entries.push(Entry::Asked { text, context: message.context.clone(), at_ms: now_ms() });
}

/// The answer without a model.
async fn answer_by_rules(asker: &Asker, message: &NewMessage) -> Entry {
    let Some(question) = message.question.or_else(|| Question::of(&message.text)) else {
        return Entry::Answered { text: rules::known_questions() };
    };
    match rules::answer(&asker.caller, question, &message.context).await {
        Ok(text) => Entry::Answered { text },
        Err(error) => Entry::Ended { message: format!("{error}.") },
    }
}
