//! An answer of the model: rounds of a request, its reply and the calls of tools in it, until a reply calls none or proposes an act.
//! Each round is stored when it is complete. It runs in its own task, so it continues when the page is closed.

use std::time::Duration;

use store::{Identity, StoredConversation};
use tokio::time::sleep;
use wire::assistant::{ActDecision, CallState, Entry, LeftOut, ToolCall};

use super::history;
use super::tools::{self, ActCall, Outcome, failed};
use crate::api::mcp::caller::Caller;
use crate::api::mcp::service::INSTRUCTIONS;
use crate::api::mcp::untrusted::fenced;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::answers::Writing;
use crate::lab::model_provider::ModelProvider;
use crate::lab::model_provider::client::{Part, ask};
use crate::lab::model_provider::error::ProviderError;
use crate::lab::model_provider::request::{Call, Reply, Request};
use crate::live::clock::now_ms;

/// Rounds of tools for one message.
const ROUNDS: usize = 12;
/// Repetitions of a request that failed for a time.
const RETRIES: u32 = 3;
/// Longest time that a provider may ask to wait, seconds.
const LONGEST_WAIT_SECS: u64 = 60;
/// Longest id of a call, characters.
const ID_CHARS: usize = 64;

/// How the model behaves in the panel, after the instructions for all agents.
const IN_THE_PANEL: &str = "You answer a person in a panel beside the page of the lab. Answer in a few sentences, with numbers, units and the \
    ids of runs, and say which tool they come from. A call of a tool that changes something is not carried out: the person sees it with \
    its dry run and confirms or rejects it, so propose at most one at a time and say why.";

/// An answer that is being written.
pub struct Turn {
    pub lab: Lab,
    pub caller: Caller,
    pub identity: Identity,
    pub writing: Writing,
    /// With all its entries.
    pub conversation: StoredConversation,
}

impl Turn {
    /// Answers the last message of the person.
    pub async fn answer(mut self, provider: ModelProvider) {
        let stopped = self.writing.stopped();
        let ended = tokio::select! {
            ended = self.rounds(&provider) => ended,
            () = stopped => Err("You stopped the answer.".to_owned()),
        };
        if let Err(message) = ended {
            let state = self.lab.answers.state(self.conversation.summary.id).unwrap_or_default();
            if !state.partial.is_empty() {
                self.conversation.entries.push(said(state.partial, vec![], LeftOut::default()));
            }
            self.conversation.entries.push(Entry::Ended { message });
        }
        if let Err(error) = self.save().await {
            tracing::error!("a conversation was not stored: {error}");
        }
    }

    /// Carries a proposed act out or rejects it, and continues the answer when no other one is proposed.
    pub async fn decide(mut self, call_id: &str, decision: ActDecision, provider: Option<ModelProvider>) {
        self.writing.set_doing("carries out the act");
        // The caller has checked that it is there.
        let Some(place) = proposal(&self.conversation.entries, call_id) else { return };
        let outcome = match decision.confirm {
            true => self.act(place).await,
            false => rejection(decision.reason.as_deref()),
        };
        let Some(call) = call_at(&mut self.conversation.entries, place) else { return };
        call.state = match (decision.confirm, outcome.is_error) {
            (false, _) => CallState::Rejected,
            (true, true) => CallState::Failed,
            (true, false) => CallState::Done,
        };
        (call.answer, call.image) = (outcome.text, outcome.image);
        // Stored at once: the act has taken effect.
        if let Err(error) = self.save().await {
            tracing::error!("a conversation was not stored: {error}");
        }
        let is_decided = !has_proposal(&self.conversation.entries);
        if let Some(provider) = provider.filter(|_| is_decided) {
            self.answer(provider).await;
        }
    }

    async fn act(&self, place: (usize, usize)) -> Outcome {
        let Some(Entry::Said { calls, .. }) = self.conversation.entries.get(place.0) else { return rejection(None) };
        let Some(call) = calls.get(place.1) else { return rejection(None) };
        let act = self.act_call(place, false);
        tools::call(&self.caller, &call.tool, &call.arguments, Some(act)).await
    }

    /// How an act is called. Its idempotency key is that of its place, so two presses act once.
    fn act_call(&self, (entry, call): (usize, usize), is_dry: bool) -> ActCall {
        let conversation = self.conversation.summary.id;
        let model = self.lab.settings.assistant.as_ref().map(|provider| provider.model.clone());
        ActCall { key: format!("assistant-{conversation}-{entry}-{call}"), is_dry, model, conversation }
    }

    /// Rounds until the model calls no tool or proposes an act. The error is a sentence for the person.
    async fn rounds(&mut self, provider: &ModelProvider) -> Result<(), String> {
        for _ in 0..ROUNDS {
            self.check_protection().await?;
            let limit = provider.context_tokens as usize;
            let (messages, left_out) = history::messages(&self.conversation.entries, limit);
            let system = format!("{INSTRUCTIONS} {IN_THE_PANEL}");
            let reply = self.reply(provider, &Request { system, tools: tools::specs(), messages }).await?;
            self.conversation.summary.usage.add(provider.usage(reply.input_tokens, reply.output_tokens));
            self.conversation.summary.model = Some(provider.model.clone());
            self.conversation.summary.tool_calls += reply.calls.len() as u64;
            let is_last = reply.calls.is_empty();
            let text = with_ending(&reply);
            let calls = self.call_all(reply.calls).await;
            self.conversation.entries.push(said(text, calls, left_out));
            self.writing.clear();
            self.save().await.map_err(|error| error.to_string())?;
            if is_last || has_proposal(&self.conversation.entries) {
                return Ok(());
            }
        }
        Err(format!("The answer ended after {ROUNDS} rounds of tools. Ask to continue."))
    }

    /// A conversation that has text of a dataset which was protected since is not sent any more.
    async fn check_protection(&self) -> Result<(), String> {
        let protected = self.lab.store().protected_datasets().await.map_err(|error| error.to_string())?;
        match self.conversation.datasets.intersection(&protected).next() {
            None => Ok(()),
            Some(dataset) => Err(format!(
                "This conversation has text of the dataset {dataset}, which is protected now, so it is not sent. Begin a new conversation."
            )),
        }
    }

    /// Calls all tools of a reply, in order.
    async fn call_all(&mut self, calls: Vec<Call>) -> Vec<ToolCall> {
        let entry = self.conversation.entries.len();
        let mut all = vec![];
        for (at, call) in calls.into_iter().enumerate() {
            let id = plain_id(&call.id, entry, at);
            self.writing.set_doing(format!("calls {}", call.tool));
            let is_act = tools::is_act(&call.tool);
            let act = is_act.then(|| self.act_call((entry, at), true));
            let outcome = match self.lab.agents.call(&self.identity) {
                Ok(_place) => tools::call(&self.caller, &call.tool, &call.arguments, act).await,
                Err(error) => failed(&error),
            };
            let state = match (outcome.is_error, is_act) {
                (true, _) => CallState::Failed,
                (false, true) => CallState::Proposed,
                (false, false) => CallState::Done,
            };
            let (tool, arguments) = (call.tool, call.arguments);
            all.push(ToolCall { id, tool, arguments, state, answer: outcome.text, image: outcome.image });
        }
        all
    }

    /// The reply of the model. A request that failed for a time is repeated, unless text has arrived.
    async fn reply(&self, provider: &ModelProvider, request: &Request) -> Result<Reply, String> {
        let mut tries = 0;
        loop {
            self.writing.clear();
            self.writing.set_doing(format!("waits for {}", provider.model));
            let (error, has_text) = match self.reply_once(provider, request).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            let wait = error.retry_after_secs().unwrap_or(1 << tries);
            if !error.is_temporary() || has_text || tries >= RETRIES || wait > LONGEST_WAIT_SECS {
                return Err(sentence(&error));
            }
            tries += 1;
            self.writing.set_doing(format!("waits {wait} s before it asks again: {error}"));
            sleep(Duration::from_secs(wait)).await;
        }
    }

    /// The reply to one request, or the error and whether text has arrived before it.
    async fn reply_once(&self, provider: &ModelProvider, request: &Request) -> Result<Reply, (ProviderError, bool)> {
        let (mut parts, mut has_text) = (ask(provider, request), false);
        while let Some(part) = parts.recv().await {
            match part {
                Part::Text(text) => {
                    has_text = true;
                    self.writing.add(&text);
                }
                Part::Done(reply) => return Ok(reply),
                Part::Failed(error) => return Err((error, has_text)),
            }
        }
        Err((ProviderError::Incomplete { host: provider.host().to_owned() }, has_text))
    }

    /// Stores what is new or changed: the entries since the last message of the person.
    async fn save(&mut self) -> Result<(), ApiError> {
        self.conversation.datasets.extend(self.caller.take_datasets());
        self.conversation.summary.changed_ms = now_ms();
        let StoredConversation { summary, datasets, entries, .. } = &self.conversation;
        let from = entries.iter().rposition(|entry| matches!(entry, Entry::Asked { .. })).unwrap_or(0);
        // A conversation that was deleted meanwhile is not stored.
        self.lab.store().save_conversation(summary, datasets, from as u32, &entries[from..]).await?;
        Ok(())
    }
}

fn said(text: String, calls: Vec<ToolCall>, left_out: LeftOut) -> Entry {
    Entry::Said { text, calls, left_out }
}

/// The text of a reply; one that was cut off says so.
fn with_ending(reply: &Reply) -> String {
    match reply.ended.as_deref() {
        Some("max_tokens" | "length") => format!("{} … (cut off at the limit of tokens)", reply.text),
        _ => reply.text.clone(),
    }
}

/// The error as a sentence.
fn sentence(error: &ProviderError) -> String {
    let hint = match error {
        ProviderError::Refused { status: 401 | 403, .. } => " Check the key of the server's settings.",
        ProviderError::Refused { status: 429, .. } => " Try again later.",
        ProviderError::Unreachable { .. } => " Check the address of the server's settings, and that the provider runs.",
        _ => "",
    };
    format!("{error}.{hint}")
}

/// What the model reads about an act that the person has rejected.
fn rejection(reason: Option<&str>) -> Outcome {
    let reason = fenced(serde_json::json!(reason.unwrap_or("no reason was given")));
    let text =
        serde_json::json!({ "rejected": "the person has rejected this act; it was not carried out", "reason": reason });
    Outcome { text: text.to_string(), is_error: true, image: None }
}

/// Rejects all proposed acts, because the person writes something else.
pub fn reject_all(entries: &mut [Entry]) {
    for entry in entries {
        let Entry::Said { calls, .. } = entry else { continue };
        for call in calls.iter_mut().filter(|call| call.state == CallState::Proposed) {
            call.state = CallState::Rejected;
            call.answer = rejection(Some("the person wrote another message instead")).text;
        }
    }
}

/// Entry and place of a proposed act.
pub fn proposal(entries: &[Entry], id: &str) -> Option<(usize, usize)> {
    entries.iter().enumerate().rev().find_map(|(entry, found)| {
        let Entry::Said { calls, .. } = found else { return None };
        let call = calls.iter().position(|call| call.id == id && call.state == CallState::Proposed)?;
        Some((entry, call))
    })
}

fn has_proposal(entries: &[Entry]) -> bool {
    let is_proposed = |calls: &[ToolCall]| calls.iter().any(|call| call.state == CallState::Proposed);
    entries.iter().any(|entry| matches!(entry, Entry::Said { calls, .. } if is_proposed(calls)))
}

fn call_at(entries: &mut [Entry], (entry, call): (usize, usize)) -> Option<&mut ToolCall> {
    match entries.get_mut(entry)? {
        Entry::Said { calls, .. } => calls.get_mut(call),
        _ => None,
    }
}

/// An id that is valid in an address and at every provider.
fn plain_id(id: &str, entry: usize, at: usize) -> String {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let plain: String = id.chars().filter(is_plain).take(ID_CHARS).collect();
    if plain.is_empty() { format!("call-{entry}-{at}") } else { plain }
}
