//! The conversations of this person.

use leptos::prelude::*;
use wire::assistant::ConversationSummary;

use super::state::Assistant;
use crate::components::{Confirm, Failure, Icon, Question, Skeleton, clicks, number, shows};

#[component]
pub(super) fn ConversationList(assistant: Assistant) -> impl IntoView {
    let content = move || match &*assistant.list.read() {
        None => view! { <Skeleton rows=3 /> }.into_any(),
        Some(Err(failure)) => view! {
            <Failure
                what="The conversations could not be listed"
                failure=failure.clone()
                retry=move || assistant.show_list()
            />
        }
        .into_any(),
        Some(Ok(found)) if found.is_empty() => view! { <p class="dim">"No conversations yet."</p> }.into_any(),
        Some(Ok(found)) => view! {
            <ul class="assistant-list">{found.iter().map(|summary| row(assistant, summary.clone())).collect_view()}</ul>
        }
        .into_any(),
    };
    view! {
        <p class="small dim">"Only you can read them. Each ends with its project."</p>
        <div class="assistant-talk">{shows(content)}</div>
    }
}

fn row(assistant: Assistant, summary: ConversationSummary) -> AnyView {
    let confirm = expect_context::<Confirm>();
    let ConversationSummary { id, project, title, changed_ms, .. } = summary;
    let title = if title.is_empty() { "New conversation".to_owned() } else { title };
    let name = title.clone();
    let ask = move |_| {
        confirm.ask(Question {
            title: format!("Delete the conversation “{name}”?"),
            loses: "Deletes its messages and the answers of tools in it. Acts that were carried out stay.".to_owned(),
            verb: "Delete",
            act: confirm.keep(move || assistant.delete(id)),
        });
    };
    view! {
        <li class="row nowrap">
            <button class="quiet grow" title="Continue this conversation" on:click=clicks(move |_| assistant.open(id))>
                <span class="wrap" dir="auto">{title}</span>
                <span class="small dim">{format!("{project}, {}", number::ago(changed_ms as f64))}</span>
            </button>
            <button class="quiet icon-only" aria-label="Delete" title="Delete the conversation, after confirmation" on:click=clicks(ask)>
                <Icon name="close" />
            </button>
        </li>
    }
    .into_any()
}
