//! The forms of an entry: other arguments, and the reason of a rejection.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Map, Value};
use wire::proposal::{DECISION_CHARS, PreviewRequest, Proposal, ProposalDecision, ProposalPreview};

use super::Queue;
use super::diff::Rows;
use super::plan::{cost, edits, obstacle, pretty};
use crate::components::{Failure, clicks, says, shows, visible};
use crate::net::api::{ApiFailure, proposals};

/// Arguments that stay those of the agent.
const FIXED: [&str; 6] = ["run", "loop", "reason", "idempotency_key", "expected_effect", "dry_run"];

/// An argument that is edited, as text.
#[derive(Clone)]
struct Field {
    name: String,
    /// Whether the text is the value itself, and not JSON.
    is_text: bool,
    typed: RwSignal<String>,
}

impl Field {
    fn of(name: &str, value: &Value) -> Self {
        let text = value.as_str().map_or_else(|| pretty(value), str::to_owned);
        Self { name: name.to_owned(), is_text: value.is_string(), typed: RwSignal::new(text) }
    }

    /// The typed value; the name of the field if it is no JSON.
    fn value(&self) -> Result<Value, String> {
        let typed = self.typed.get();
        match self.is_text {
            true => Ok(Value::String(typed)),
            false => serde_json::from_str(&typed).map_err(|_| self.name.clone()),
        }
    }
}

/// All arguments with the typed ones; the name of a field that is no JSON.
fn edited(proposed: &Map<String, Value>, fields: &[Field]) -> Result<Map<String, Value>, String> {
    let mut all = proposed.clone();
    for field in fields {
        all.insert(field.name.clone(), field.value()?);
    }
    Ok(all)
}

#[component]
pub(super) fn EditForm(proposal: Proposal) -> impl IntoView {
    let (queue, id) = (expect_context::<Queue>(), proposal.id);
    let is_editable = |(name, _): &(&String, &Value)| !FIXED.contains(&name.as_str());
    let fields: Vec<Field> =
        proposal.arguments.iter().filter(is_editable).map(|(name, value)| Field::of(name, value)).collect();
    let proposed = StoredValue::new(proposal.arguments);
    let typed = StoredValue::new(fields.clone());
    let arguments =
        Memo::new(move |_| proposed.with_value(|proposed| typed.with_value(|fields| edited(proposed, fields))));
    let preview = RwSignal::new(None::<Result<ProposalPreview, ApiFailure>>);
    // A plan belongs to the arguments for which it was computed.
    Effect::new(move || {
        arguments.track();
        preview.set(None);
    });
    let changes = Memo::new(move |_| match &*arguments.read() {
        Ok(arguments) => proposed.with_value(|proposed| edits(proposed, arguments)),
        Err(_) => vec![],
    });
    let compute = move |_| {
        let Ok(arguments) = arguments.get_untracked() else { return };
        spawn_local(async move {
            let answer = proposals::preview(id, &PreviewRequest { arguments: Some(arguments) }).await;
            preview.try_set(Some(answer));
        });
    };
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if let Ok(arguments) = arguments.get_untracked() {
            queue.decide(id, ProposalDecision::Edit { arguments });
        }
    };
    let is_off = move || changes.read().is_empty() || queue.sent.get() == Some(id);
    view! {
        <form class="stack approval-form" aria-label="Edit the arguments" on:submit=submit>
            {fields.into_iter().map(|field| view! { <FieldInput field /> }).collect_view()}
            <p class="field-error" role="status">{says(move || match &*arguments.read() {
                Ok(_) => String::new(),
                Err(name) => format!("The value of {} is not JSON: check quotes, commas and brackets", visible(name)),
            })}</p>
            {shows(move || view! { <Rows rows=changes.get() label="Changes to the proposal" /> })}
            {shows(move || preview.get().map(|answer| match answer {
                Ok(preview) => view! { <p class="small" role="status">{plan_sentence(&preview)}</p> }.into_any(),
                Err(failure) => view! { <Failure what="The plan was not computed" failure /> }.into_any(),
            }))}
            <div class="row">
                <button class="primary" type="submit" title="Carry the action out with these arguments" disabled=is_off>
                    "Approve with changes"
                </button>
                <button
                    type="button"
                    title="Check these arguments and compute their cost; nothing is carried out"
                    disabled=is_off
                    on:click=clicks(compute)
                >
                    "Preview"
                </button>
                <Cancel />
            </div>
        </form>
    }
}

/// What the plan of edited arguments says.
fn plan_sentence(preview: &ProposalPreview) -> String {
    let cost = cost(preview).map(|cost| format!(" Cost: {cost}.")).unwrap_or_default();
    match obstacle(preview) {
        Some(obstacle) => format!("The action would be refused now: {obstacle}.{cost}"),
        None => format!("The arguments are valid.{cost}"),
    }
}

/// The input of an argument: one line for a single value, more for a list or an object.
#[component]
fn FieldInput(field: Field) -> impl IntoView {
    let typed = field.typed;
    let is_long = typed.with_untracked(|text| text.contains('\n') || text.chars().count() > 60);
    let name = visible(&field.name).into_owned();
    let input = match is_long {
        false => view! {
            <input
                type="text"
                prop:value=typed
                on:input:target=move |event| typed.set(event.target().value())
            />
        }
        .into_any(),
        true => view! {
            <textarea
                class="mono"
                rows="8"
                prop:value=typed
                on:input:target=move |event| typed.set(event.target().value())
            ></textarea>
        }
        .into_any(),
    };
    view! { <label class="field" title="The new value of this argument"><span class="label">{name}</span>{input}</label> }
}

#[component]
fn Cancel() -> impl IntoView {
    let form = expect_context::<Queue>().form;
    view! {
        <button type="button" class="quiet" title="Close this form (Esc)" on:click=clicks(move |_| form.set(None))>
            "Cancel"
        </button>
    }
}

#[component]
pub(super) fn RejectForm(id: i64) -> impl IntoView {
    let queue = expect_context::<Queue>();
    let reason = RwSignal::new(String::new());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        queue.decide(id, ProposalDecision::Reject { reason: reason.get_untracked() });
    };
    let is_off = move || reason.read().trim().is_empty() || queue.sent.get() == Some(id);
    view! {
        <form class="stack approval-form" aria-label="Reject the proposal" on:submit=submit>
            <label class="field" title="The agent reads it, so that it can propose something else">
                <span class="label">"Reason"</span>
                <textarea
                    rows="2"
                    maxlength=DECISION_CHARS.to_string()
                    prop:value=reason
                    on:input:target=move |event| reason.set(event.target().value())
                ></textarea>
            </label>
            <div class="row">
                <button class="danger" type="submit" title="The action is not carried out" disabled=is_off>"Reject proposal"</button>
                <Cancel />
            </div>
        </form>
    }
}
