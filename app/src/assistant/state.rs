//! The open conversation. It outlives the panel, so closing the panel loses nothing.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::assistant::{
    ActDecision, AssistantInfo, CallState, Conversation, ConversationSummary, Entry, MOST_RUNS, NewConversation,
    NewMessage, PageContext, Question, ToolCall,
};

use crate::net::api::{self, ApiFailure};
use crate::open_view::OpenView;
use crate::route::{Route, Router};

/// Id of the element of the panel.
pub(super) const PANEL_ID: &str = "assistant-panel";
/// Time between two reads of a conversation that is being answered.
const EVERY: Duration = Duration::from_millis(400);

/// Time until the next read after one that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(3);

/// The state of the assistant, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Assistant {
    pub(crate) is_open: RwSignal<bool>,
    pub(super) info: RwSignal<Option<Result<AssistantInfo, ApiFailure>>>,
    /// The open conversation without its entries; `None` before the first message.
    pub(super) conversation: RwSignal<Option<Conversation>>,
    pub(super) entries: RwSignal<Vec<Entry>>,
    /// The conversations, while their list is shown.
    pub(super) list: RwSignal<Option<Result<Vec<ConversationSummary>, ApiFailure>>>,
    pub(super) is_listing: RwSignal<bool>,
    /// The last request that failed.
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    pub(super) is_sending: RwSignal<bool>,
    router: Router,
    view: OpenView,
}

impl Assistant {
    pub(crate) fn new(router: Router, view: OpenView) -> Self {
        Self {
            is_open: RwSignal::new(false),
            info: RwSignal::new(None),
            conversation: RwSignal::new(None),
            entries: RwSignal::new(vec![]),
            list: RwSignal::new(None),
            is_listing: RwSignal::new(false),
            failure: RwSignal::new(None),
            is_sending: RwSignal::new(false),
            router,
            view,
        }
    }

    /// What the page shows: its path, its run or the compared runs, and its step.
    pub(super) fn context(self) -> PageContext {
        let runs: Vec<RunId> = match self.router.route.get() {
            Route::Run(run) | Route::Xray(run) => vec![run],
            Route::Compare => {
                let named = self.router.query("runs").unwrap_or_default();
                named.split(',').filter_map(|run| run.parse().ok()).take(MOST_RUNS).collect()
            }
            _ => vec![],
        };
        PageContext { page: self.router.address().0, runs, step: self.view.step() }
    }

    /// Whether an answer is being written.
    pub(super) fn is_answering(self) -> bool {
        self.conversation.read().as_ref().is_some_and(|conversation| conversation.is_answering)
    }

    /// Reads who answers.
    pub(super) fn fetch_info(self) {
        spawn_local(async move {
            let found = api::assistant::info().await;
            self.info.try_set(Some(found));
        });
    }

    /// Begins a new conversation with the next message.
    pub(super) fn begin(self) {
        self.conversation.set(None);
        self.entries.set(vec![]);
        self.failure.set(None);
        self.is_listing.set(false);
    }

    /// Shows the list of conversations.
    pub(super) fn show_list(self) {
        self.is_listing.set(true);
        spawn_local(async move {
            let found = api::assistant::list().await;
            self.list.try_set(Some(found));
        });
    }

    /// Opens the panel with a conversation.
    pub(crate) fn show(self, id: i64) {
        self.is_open.set(true);
        self.open(id);
    }

    /// Opens a conversation of the list.
    pub(super) fn open(self, id: i64) {
        self.begin();
        spawn_local(async move {
            let found = api::assistant::conversation(id, 0).await;
            self.take(found, 0);
        });
    }

    /// Deletes a conversation.
    pub(super) fn delete(self, id: i64) {
        spawn_local(async move {
            match api::assistant::delete(id).await {
                Ok(()) => {
                    if self.id() == Some(id) {
                        self.conversation.set(None);
                        self.entries.set(vec![]);
                    }
                    self.show_list();
                }
                Err(failure) => self.failure.set(Some(failure)),
            }
        });
    }

    /// Sends a text or a question; `sent` is called when the server has it.
    pub(super) fn ask(self, text: String, question: Option<Question>, sent: Callback<()>) {
        if self.is_sending.get_untracked() {
            return;
        }
        self.is_sending.set(true);
        let context = untrack(|| self.context());
        spawn_local(async move {
            let answered = self.send(NewMessage { text, question, context }).await;
            self.is_sending.set(false);
            let is_sent = answered.is_ok();
            if is_sent {
                self.reject_proposals();
            }
            let from = self.entries.read_untracked().len();
            self.take(answered, from);
            if is_sent {
                sent.run(());
            }
        });
    }

    async fn send(self, message: NewMessage) -> Result<Conversation, ApiFailure> {
        let id = match self.id() {
            Some(id) => id,
            None => {
                let project = untrack(|| self.router.query("project")).filter(|name| !name.is_empty());
                let begun = api::assistant::begin(&NewConversation { project }).await?;
                let id = begun.summary.id;
                self.conversation.set(Some(begun));
                id
            }
        };
        api::assistant::ask(id, &message).await
    }

    /// A message rejects the acts that waited for a decision, as the server does.
    fn reject_proposals(self) {
        let is_proposed = |call: &ToolCall| call.state == CallState::Proposed;
        let waits = |entry: &Entry| matches!(entry, Entry::Said { calls, .. } if calls.iter().any(is_proposed));
        if !self.entries.read_untracked().iter().any(waits) {
            return;
        }
        self.entries.update(|entries| {
            for entry in entries {
                let Entry::Said { calls, .. } = entry else { continue };
                calls.iter_mut().filter(|call| is_proposed(call)).for_each(|call| call.state = CallState::Rejected);
            }
        });
    }

    /// Confirms or rejects a proposed act.
    pub(super) fn decide(self, call: String, decision: ActDecision) {
        let Some(id) = self.id() else { return };
        self.is_sending.set(true);
        spawn_local(async move {
            let answered = api::assistant::decide(id, &call, &decision).await;
            self.is_sending.set(false);
            let from = self.entries.read_untracked().len();
            self.take(answered, from);
        });
    }

    /// Stops the answer.
    pub(super) fn stop(self) {
        let Some(id) = self.id() else { return };
        spawn_local(async move {
            if let Err(failure) = api::assistant::stop(id).await {
                self.failure.set(Some(failure));
            }
        });
    }

    fn id(self) -> Option<i64> {
        self.conversation.read_untracked().as_ref().map(|conversation| conversation.summary.id)
    }

    /// Shows a conversation as the server returned it, with entries from number `from` on, and reads it again while it is being answered.
    fn take(self, answered: Result<Conversation, ApiFailure>, from: usize) {
        let mut answered = match answered {
            Ok(answered) => answered,
            Err(failure) => {
                self.failure.set(Some(failure));
                return;
            }
        };
        self.failure.set(None);
        let new = std::mem::take(&mut answered.entries);
        if self.entries.read_untracked().get(from..) != Some(&new[..]) {
            self.entries.update(|entries| {
                entries.truncate(from);
                entries.extend(new);
            });
        }
        let (id, is_answering) = (answered.summary.id, answered.is_answering);
        self.conversation.set(Some(answered));
        if is_answering {
            set_timeout(move || self.follow(id), EVERY);
        }
    }

    /// Reads what is new in a conversation, unless another one was opened.
    fn follow(self, id: i64) {
        if self.id() != Some(id) {
            return;
        }
        // Entries before the last message do not change.
        let is_asked = |entry: &Entry| matches!(entry, Entry::Asked { .. });
        let from = self.entries.read_untracked().iter().rposition(is_asked).unwrap_or(0);
        spawn_local(async move {
            let found = api::assistant::conversation(id, from).await;
            if self.id() != Some(id) {
                return;
            }
            if found.is_err() {
                set_timeout(move || self.follow(id), AFTER_FAILURE);
            }
            self.take(found, from);
        });
    }
}
