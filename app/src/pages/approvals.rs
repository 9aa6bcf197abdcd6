//! The Approvals page: the calls of agents that wait for a decision, each with what it would change, and those that were decided about.
//!
//! - here: the queue and its keys; [`entry`]: one proposal; [`forms`]: editing and rejecting; [`plan`]: what a call would change, as rows;
//! - [`decided`]: the list of decisions; [`diff`]: parts that several of them show.

mod decided;
mod diff;
mod entry;
mod forms;
mod plan;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wire::proposal::{Proposal, ProposalDecision, ProposalState};

use crate::base::at;
use crate::components::keyboard::{has_dialog, is_typing};
use crate::components::{Empty, Failure, Skeleton, Toasts, shows};
use crate::net::api::{ApiFailure, proposals};
use crate::net::live::Live;
use decided::DecidedList;
use entry::Entry;

/// The open form of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Edit,
    Reject,
}

impl Form {
    /// The button that opens it.
    fn word(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Reject => "reject",
        }
    }
}

/// The proposals of the page, in the context of its components.
#[derive(Clone, Copy)]
struct Queue {
    pending: RwSignal<Option<Result<Vec<Proposal>, ApiFailure>>>,
    decided: RwSignal<Vec<Proposal>>,
    /// The entry whose form is open.
    form: RwSignal<Option<(i64, Form)>>,
    /// The proposal whose decision is being sent.
    sent: RwSignal<Option<i64>>,
    toasts: Toasts,
    /// Number of the last request: older answers are ignored.
    last_request: StoredValue<u32>,
}

impl Queue {
    /// Fetches the proposals, and again whenever one has changed.
    fn start() -> Self {
        let live = expect_context::<Live>();
        let queue = Self {
            pending: RwSignal::new(None),
            decided: RwSignal::new(vec![]),
            form: RwSignal::new(None),
            sent: RwSignal::new(None),
            toasts: expect_context::<Toasts>(),
            last_request: StoredValue::new(0),
        };
        let changes =
            Memo::new(move |_| live.lab.read().as_ref().map(|lab| (lab.proposal_changes, lab.pending_proposals)));
        Effect::new(move || {
            changes.get();
            queue.fetch();
        });
        queue
    }

    fn fetch(self) {
        let number = self.last_request.get_value() + 1;
        self.last_request.set_value(number);
        spawn_local(async move {
            let (pending, decided) = (proposals::list(true, None).await, proposals::list(false, None).await);
            if self.last_request.try_get_value() != Some(number) {
                return;
            }
            if let Ok(decided) = decided {
                self.decided.set(decided);
            }
            // The oldest one has waited longest.
            self.pending.set(Some(pending.map(|found| found.into_iter().rev().collect())));
        });
    }

    /// A proposal that waits.
    fn find(self, id: i64) -> Option<Proposal> {
        let pending = self.pending.read();
        pending.as_ref()?.as_ref().ok()?.iter().find(|proposal| proposal.id == id).cloned()
    }

    fn ids(self) -> Vec<i64> {
        let pending = self.pending.read();
        let found = pending.as_ref().and_then(|found| found.as_ref().ok());
        found.map(|found| found.iter().map(|proposal| proposal.id).collect()).unwrap_or_default()
    }

    /// Sends a decision, and says what came of it.
    fn decide(self, id: i64, decision: ProposalDecision) {
        self.sent.set(Some(id));
        spawn_local(async move {
            let answer = proposals::decide(id, &decision).await;
            if self.sent.try_set(None).is_some() {
                // The page was closed meanwhile; the list of decisions has the outcome.
                return;
            }
            match answer {
                Ok(proposal) => {
                    self.form.set(None);
                    self.toasts.say(outcome_sentence(&proposal));
                }
                Err(failure) => self.toasts.fail(&format!("Proposal {id} was not decided"), &failure),
            }
            self.fetch();
        });
    }
}

/// `Proposal 3 was carried out`
fn outcome_sentence(proposal: &Proposal) -> String {
    let id = proposal.id;
    match (&proposal.outcome, proposal.state) {
        (Some(outcome), _) if outcome.is_done => format!("Proposal {id} was carried out"),
        (Some(outcome), _) => format!("Proposal {id} was approved, but refused: {}", plan::message(&outcome.answer)),
        (None, ProposalState::Rejected) => format!("Proposal {id} was rejected; the agent receives the reason"),
        (None, state) => format!("Proposal {id} is {}", state.word()),
    }
}

#[component]
pub(crate) fn ApprovalsPage() -> impl IntoView {
    let queue = Queue::start();
    provide_context(queue);
    listen_to_keys(queue);
    let ids = Memo::new(move |_| queue.ids());
    // Not for each answer, so that an open form stays.
    let is_listed = Memo::new(move |_| !ids.read().is_empty());
    let content = move || {
        if is_listed.get() {
            return view! {
                <ul class="approval-list stack" aria-label="Proposals that wait for a decision">
                    <For each=move || ids.get() key=|id| *id let(id)><Entry id /></For>
                </ul>
            }
            .into_any();
        }
        match queue.pending.get() {
            None => view! { <Skeleton rows=3 class="tall" /> }.into_any(),
            Some(Err(failure)) => view! {
                <Failure what="The proposals could not be listed" failure retry=move |()| queue.fetch() />
            }
            .into_any(),
            Some(Ok(_)) => view! { <NoProposals /> }.into_any(),
        }
    };
    view! {
        <main class="page approvals stack roomy">
            <h1>"Approvals"</h1>
            <p class="dim">
                "An agent whose token has the mode propose changes nothing by itself: each of its actions waits here until a person decides. \
                 An approved action is carried out once, with the rights that the agent and the person both have."
            </p>
            {shows(content)}
            <DecidedList />
        </main>
    }
}

#[component]
fn NoProposals() -> impl IntoView {
    view! {
        <Empty
            title="No proposals wait for a decision"
            text="A token with the mode propose makes an agent propose its actions; the Settings page creates such tokens."
        >
            <a class="button" href=at("/settings") title="Tokens, and the agents that have them">"Open Settings"</a>
        </Empty>
    }
}

/// The keys of the page; the shell lists them. They lead to an entry and to its buttons: Enter presses the button that has the focus.
fn listen_to_keys(queue: Queue) {
    let listener = window_event_listener(ev::keydown, move |event| {
        if event.key() == "Escape"
            && !has_dialog()
            && let Some((id, form)) = queue.form.get_untracked()
        {
            queue.form.set(None);
            focus(&format!("#{} [data-act={}]", entry::anchor(id), form.word()));
            return event.prevent_default();
        }
        if event.default_prevented() || event.repeat() || is_typing(&event) || has_dialog() {
            return;
        }
        let button = match event.key().as_str() {
            "j" => return focus_entry(queue, 1),
            "k" => return focus_entry(queue, -1),
            "a" => "approve",
            "e" => "edit",
            "r" => "reject",
            _ => return,
        };
        let entry = current_entry().unwrap_or_else(|| ".approval-entry ".to_owned());
        focus(&format!("{entry}[data-act={button}]"));
        event.prevent_default();
    });
    on_cleanup(move || listener.remove());
}

/// The selector of the entry that has the focus.
fn current_entry() -> Option<String> {
    let entry = document().active_element()?.closest(".approval-entry").ok().flatten()?;
    Some(format!("#{} ", entry.id()))
}

/// Moves the focus to the next entry or the previous one.
fn focus_entry(queue: Queue, by: isize) {
    let ids = queue.ids();
    let current = current_entry();
    let at = ids.iter().position(|id| current.as_ref() == Some(&format!("#{} ", entry::anchor(*id))));
    let next = at.map_or(0, |at| at.saturating_add_signed(by).min(ids.len().saturating_sub(1)));
    if let Some(id) = ids.get(next) {
        focus(&format!("#{}", entry::anchor(*id)));
    }
}

fn focus(selector: &str) {
    let found = document().query_selector(selector).ok().flatten();
    if let Some(element) = found.and_then(|found| found.dyn_into::<web_sys::HtmlElement>().ok()) {
        // An element that cannot take the focus keeps it where it is.
        let _ = element.focus();
    }
}
