//! What the page of an experiment and that of a research loop have in common: why it could not be opened, the form of an action that needs a
//! reason, and a line of the journal.

use leptos::prelude::*;
use wire::Author;
use wire::experiment::record::REASON_CHARS;

use super::words::author_name;
use crate::base::at;
use crate::components::number::moment;
use crate::components::{Empty, Failure, isolated};
use crate::net::api::ApiFailure;

/// Why it could not be opened, and the way to the list.
#[component]
pub(super) fn NotOpened(
    /// Its noun: `experiment`.
    noun: &'static str,
    id: u64,
    failure: ApiFailure,
    /// Path of the list.
    list: &'static str,
    #[prop(into)] retry: Callback<()>,
) -> impl IntoView {
    let title = format!("All {noun}s");
    let to_list = move || view! { <a class="button" href=at(list) title=title>{format!("Open the {noun}s")}</a> };
    if failure.status == 404 {
        let title = format!("{} not found", capitalized(noun));
        let text = format!("There is no {noun} {id}, or it is in a project that you may not see.");
        return view! {
            <h1 class="unseen">{title.clone()}</h1>
            <Empty title text>{to_list()}</Empty>
        }
        .into_any();
    }
    view! {
        <h1 class="unseen">{format!("{} {id}", capitalized(noun))}</h1>
        <Failure what=format!("The {noun} could not be opened") failure retry />
        {to_list()}
    }
    .into_any()
}

fn capitalized(noun: &str) -> String {
    let mut letters = noun.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A reason, and the button that sends it.
#[component]
pub(super) fn ReasonForm(word: &'static str, is_sending: RwSignal<bool>, send: Callback<String>) -> impl IntoView {
    let reason = RwSignal::new(String::new());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let reason = reason.get_untracked().trim().to_owned();
        if !reason.is_empty() {
            send.run(reason);
        }
    };
    view! {
        <form class="row" on:submit=submit>
            <label title="Stored in the journal">
                "Reason "
                <input
                    type="text"
                    maxlength=REASON_CHARS.to_string()
                    prop:value=reason
                    on:input:target=move |event| reason.set(event.target().value())
                />
            </label>
            <button
                class="danger"
                type="submit"
                title="This cannot be undone"
                disabled=move || is_sending.get() || reason.read().trim().is_empty()
            >
                {word}
            </button>
        </form>
    }
}

/// An event of the journal, with its time and its author.
pub(super) fn journal_line(at_ms: i64, author: &Author, text: &str) -> AnyView {
    let about = format!("{} · {}", moment(at_ms as f64), author_name(author));
    view! { <li><p>{isolated(text)}</p><p class="small dim">{about}</p></li> }.into_any()
}
