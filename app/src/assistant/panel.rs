//! The panel: who answers, the conversation, the questions that need no model, and the text box.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wire::assistant::{Conversation, MESSAGE_CHARS, ProviderInfo, Question};
use wire::number::grouped;

use super::entries::Entries;
use super::list::ConversationList;
use super::sent::Sent;
use super::state::{Assistant, PANEL_ID};
use crate::components::{Failure, Icon, Skeleton, clicks, says, shows};

#[component]
pub(super) fn AssistantPanel(assistant: Assistant) -> impl IntoView {
    assistant.fetch_info();
    // Escape closes the panel only while it has the focus: it closes forms of the page, too.
    let escape = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && !event.default_prevented() {
            event.prevent_default();
            event.stop_propagation();
            assistant.is_open.set(false);
        }
    };
    let content = move || match (assistant.is_listing.get(), &*assistant.info.read()) {
        (true, _) => view! { <ConversationList assistant /> }.into_any(),
        (_, None) => view! { <Skeleton rows=3 /> }.into_any(),
        (_, Some(Err(failure))) => view! {
            <Failure
                what="The assistant could not be opened"
                failure=failure.clone()
                retry=move || assistant.fetch_info()
            />
        }
        .into_any(),
        (_, Some(Ok(info))) => view! { <Talk assistant provider=info.provider.clone() /> }.into_any(),
    };
    view! {
        <aside id=PANEL_ID class="assistant-panel" aria-label="Assistant" on:keydown=escape>
            <header class="row nowrap">
                <h2 class="grow">"Assistant"</h2>
                <button class="quiet" title="Begin a new conversation" on:click=clicks(move |_| assistant.begin())>"New"</button>
                <button
                    class="quiet"
                    title="Your conversations: open or delete one"
                    aria-pressed=says(move || assistant.is_listing.get().to_string())
                    on:click=clicks(move |_| match assistant.is_listing.get_untracked() {
                        true => assistant.is_listing.set(false),
                        false => assistant.show_list(),
                    })
                >
                    "Conversations"
                </button>
                <button
                    class="quiet icon-only"
                    aria-label="Close"
                    title="Close the assistant (Esc)"
                    on:click=clicks(move |_| assistant.is_open.set(false))
                >
                    <Icon name="close" />
                </button>
            </header>
            {shows(content)}
        </aside>
    }
}

/// The conversation with its form.
#[component]
fn Talk(assistant: Assistant, provider: Option<ProviderInfo>) -> impl IntoView {
    let who = match &provider {
        Some(provider) => format!(
            "{} at {} answers what you write; the questions below need no model.",
            provider.model, provider.host
        ),
        None => "No model is configured: rules, fits and journal answer, and nothing is sent to a provider.".to_owned(),
    };
    let is_new = Memo::new(move |_| assistant.entries.read().is_empty());
    let failure =
        move || assistant.failure.get().map(|failure| view! { <Failure what="The request failed" failure /> });
    view! {
        <p class="small dim wrap">{who}</p>
        <div class="assistant-talk" role="log" aria-live="polite" aria-label="Conversation" tabindex="0">
            {shows(move || is_new.get().then(|| view! { <Sent assistant /> }))}
            <Entries assistant />
            <Writing assistant />
            {shows(failure)}
        </div>
        {shows(move || assistant.conversation.get().map(|conversation| view! { <UsageLine conversation /> }))}
        <Questions assistant />
        <Form assistant />
    }
}

/// What the model has written so far, and what the server is doing.
#[component]
fn Writing(assistant: Assistant) -> impl IntoView {
    let of = move |part: fn(&Conversation) -> &String| {
        says(move || assistant.conversation.read().as_ref().map(|found| part(found).clone()).unwrap_or_default())
    };
    let (partial, doing) = (of(|found| &found.partial), of(|found| &found.doing));
    move || {
        assistant.is_answering().then(|| {
            view! {
                <p class="assistant-text" dir="auto">{partial}</p>
                <p class="small dim" role="status">{doing}" …"</p>
            }
        })
    }
}

/// Tokens and cost of the conversation.
#[component]
fn UsageLine(conversation: Conversation) -> impl IntoView {
    let usage = conversation.summary.usage;
    let cost = usage.dollars.map(|dollars| format!(", ${dollars:.4}")).unwrap_or_default();
    let text =
        format!("{} input and {} output tokens{cost}", grouped(usage.input_tokens), grouped(usage.output_tokens));
    let title = "Tokens of all requests of this conversation, as the provider counts them; the cost is by the prices in the server's settings";
    (usage.input_tokens + usage.output_tokens > 0).then(|| view! { <p class="small dim" title=title>{text}</p> })
}

/// The questions that rules, fits and journal answer, for what the page shows.
#[component]
fn Questions(assistant: Assistant) -> impl IntoView {
    let runs = Memo::new(move |_| assistant.context().runs.len());
    let is_busy = move || assistant.is_sending.get() || assistant.is_answering();
    let button = move |question: Question| {
        let title = match question.runs() {
            0 => "About the whole lab, from rules, fits and journal",
            1 => "About the run of this page, from rules, fits and journal",
            _ => "About the first two runs of this comparison, from their plans and journals",
        };
        view! {
            <button
                class="chip"
                title=title
                disabled=is_busy
                on:click=clicks(move |_| assistant.ask(String::new(), Some(question), Callback::new(|()| ())))
            >
                {question.label()}
            </button>
        }
    };
    let shown = move || {
        let runs = runs.get();
        Question::ALL.into_iter().filter(|question| question.runs() <= runs).map(button).collect_view()
    };
    view! { <div class="row assistant-questions" role="group" aria-label="Questions">{shows(shown)}</div> }
}

/// The text box. Enter sends, Shift and Enter begin a line.
#[component]
fn Form(assistant: Assistant) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let field = NodeRef::<html::Textarea>::new();
    Effect::new(move || {
        if let Some(field) = field.get() {
            let _ = field.focus();
        }
    });
    let is_empty = Memo::new(move |_| text.read().trim().is_empty());
    let send = move || {
        let written = text.get_untracked();
        if !written.trim().is_empty() && !untrack(|| assistant.is_answering()) {
            assistant.ask(written, None, Callback::new(move |()| text.set(String::new())));
        }
    };
    let press = move |event: ev::KeyboardEvent| {
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            send();
        }
    };
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        send();
    };
    let button = move || match assistant.is_answering() {
        true => view! {
            <button type="button" title="Stop the answer" on:click=clicks(move |_| assistant.stop())>"Stop"</button>
        }
        .into_any(),
        false => view! {
            <button
                class="primary"
                title="Send the message (Enter)"
                disabled=move || is_empty.get() || assistant.is_sending.get()
            >
                "Send"
            </button>
        }
        .into_any(),
    };
    view! {
        <form class="assistant-form" on:submit=submit>
            <textarea
                node_ref=field
                rows="2"
                maxlength=MESSAGE_CHARS.to_string()
                aria-label="Message"
                placeholder="Ask about the lab or this page"
                prop:value=text
                on:input:target=move |event| text.set(event.target().value())
                on:keydown=press
            ></textarea>
            {shows(button)}
        </form>
    }
}
