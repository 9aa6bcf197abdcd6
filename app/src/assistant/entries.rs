//! The entries of a conversation: messages, answers, calls of tools with their answers and images.

use leptos::prelude::*;
use wire::assistant::{CallState, Entry, LeftOut, PageContext, ToolCall};
use wire::number::counted;

use super::decision::Proposal;
use super::state::Assistant;

/// All entries. One that changes is shown again, the others stay as they are.
#[component]
pub(super) fn Entries(assistant: Assistant) -> impl IntoView {
    let numbered = move || assistant.entries.get().into_iter().enumerate().collect::<Vec<_>>();
    view! {
        <For each=numbered key=stamp let((_, entry))>
            {shown(assistant, entry)}
        </For>
    }
}

/// What identifies an entry: the conversation may be replaced, and calls change their state.
fn stamp((number, entry): &(usize, Entry)) -> String {
    match entry {
        Entry::Asked { text, at_ms, .. } => format!("{number} asked {at_ms} {text}"),
        Entry::Answered { text } | Entry::Ended { message: text } => format!("{number} {text}"),
        Entry::Said { text, calls, .. } => {
            let states: Vec<String> = calls.iter().map(|call| format!("{} {:?}", call.id, call.state)).collect();
            format!("{number} said {} {text}", states.join(" "))
        }
    }
}

fn shown(assistant: Assistant, entry: Entry) -> AnyView {
    match entry {
        Entry::Asked { text, context, .. } => asked(text, &context),
        Entry::Answered { text } => view! {
            <div class="assistant-entry">
                <h3>"Rules, fits and journal"</h3>
                <p class="assistant-text" dir="auto">{text}</p>
            </div>
        }
        .into_any(),
        Entry::Said { text, calls, left_out } => said(assistant, text, calls, left_out),
        Entry::Ended { message } => view! { <p class="assistant-entry failure" role="status">{message}</p> }.into_any(),
    }
}

fn asked(text: String, context: &PageContext) -> AnyView {
    let runs: Vec<String> = context.runs.iter().map(ToString::to_string).collect();
    let step = context.step.map(|step| format!(", step {step}")).unwrap_or_default();
    let title = match runs.is_empty() {
        true => format!("Asked on {}{step}", context.page),
        false => format!("Asked on {} about {}{step}", context.page, runs.join(", ")),
    };
    view! { <p class="assistant-entry assistant-asked assistant-text" dir="auto" title=title>{text}</p> }.into_any()
}

fn said(assistant: Assistant, text: String, calls: Vec<ToolCall>, left_out: LeftOut) -> AnyView {
    let calls = calls.into_iter().map(|call| match call.state {
        CallState::Proposed => view! { <Proposal assistant call /> }.into_any(),
        _ => called(call),
    });
    view! {
        <div class="assistant-entry">
            <h3>"Model"</h3>
            {(!text.is_empty()).then(|| view! { <p class="assistant-text" dir="auto">{text}</p> })}
            {calls.collect_view()}
            {(left_out != LeftOut::default()).then(|| view! { <p class="small dim">{trimmed(left_out)}</p> })}
        </div>
    }
    .into_any()
}

/// What was not sent with the request.
fn trimmed(LeftOut { answers, messages }: LeftOut) -> String {
    let answers = counted(answers.into(), "oldest answer");
    match messages {
        0 => format!("The conversation is longer than the limit: {answers} of tools were not sent."),
        messages => format!(
            "The conversation is longer than the limit: {answers} of tools and {} were not sent.",
            counted(messages.into(), "oldest message")
        ),
    }
}

/// A call with its arguments and answer.
fn called(call: ToolCall) -> AnyView {
    let word = match call.state {
        CallState::Done => "done",
        CallState::Failed => "refused",
        CallState::Proposed => "waits",
        CallState::Rejected => "rejected by you",
    };
    let image = call.image.map(|image| {
        let alt = format!("Image that {} returned", call.tool);
        view! { <img class="assistant-image" src=format!("data:image/png;base64,{image}") alt=alt /> }
    });
    view! {
        <details class="assistant-call">
            <summary><code>{call.tool}</code>" "<span class="dim">{word}</span></summary>
            <pre tabindex="0">{call.arguments}</pre>
            <pre tabindex="0">{call.answer}</pre>
        </details>
        {image}
    }
    .into_any()
}
