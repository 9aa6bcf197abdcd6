//! What is shown in place of content while it loads, when there is none, and when it failed.

use leptos::prelude::*;
use wire::RunId;
use wire::access::TokenKind;

use super::{Icon, visible};
use crate::base::at;
use crate::net::api::ApiFailure;
use crate::session::Session;

/// Grey bars of the size of the content, so that nothing moves when it arrives.
#[component]
pub(crate) fn Skeleton(
    /// Number of rows.
    #[prop(default = 4)]
    rows: usize,
    /// CSS class of a row.
    #[prop(default = "")]
    class: &'static str,
) -> impl IntoView {
    view! {
        <div class="skeletons" role="status" aria-busy="true" aria-label="Loading">
            {(0..rows).map(|_| view! { <div class=format!("skeleton {class}")></div> }).collect_view()}
        </div>
    }
}

/// An empty state, and what to do.
#[component]
pub(crate) fn Empty(
    /// Description of the missing content.
    #[prop(into)]
    title: String,
    /// The next step, as a sentence.
    #[prop(into)]
    text: String,
    /// Buttons.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>{title}</h2>
            <p>{text}</p>
            {children.map(|children| view! { <div class="row">{children()}</div> })}
        </div>
    }
}

/// What failed, why, and what to do; with a button that tries again.
#[component]
pub(crate) fn Failure(
    /// What failed: "The datasets could not be listed".
    #[prop(into)]
    what: String,
    failure: ApiFailure,
    /// Tries again.
    #[prop(optional, into)]
    retry: Option<Callback<()>>,
) -> impl IntoView {
    view! {
        <div class="failure" role="alert">
            <Icon name="warning" />
            <div>
                <strong>{what}</strong>
                <p>{with_code(&failure.message())}</p>
                {failure.hint().map(|hint| view! { <p class="hint">{with_code(&hint)}</p> })}
                {retry.map(|retry| view! {
                    <button title="Send the request again" on:click=move |_| retry.run(())>"Try again"</button>
                })}
            </div>
        </div>
    }
}

/// A text whose parts between backticks are commands or identifiers.
fn with_code(text: &str) -> AnyView {
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => visible(part).into_owned().into_any(),
        _ => view! { <code>{visible(part).into_owned()}</code> }.into_any(),
    };
    text.split('`').enumerate().map(part).collect_view().into_any()
}

/// The content of a page whose run could not be opened: that there is none, or why, with a button that tries again.
#[component]
pub(crate) fn RunFailure(
    run: RunId,
    failure: ApiFailure,
    /// Tries again.
    #[prop(into)]
    retry: Callback<()>,
) -> impl IntoView {
    let to_lab = || view! { <a class="button" href=at("/") title="All runs and devices">"Open the Lab"</a> };
    if failure.status == 404 {
        let is_shared = expect_context::<Session>().me().is_some_and(|me| me.is_shared || me.kind == TokenKind::Guest);
        let or_ended = if is_shared { ", or it is no longer shared with you" } else { "" };
        let text = format!("There is no run \u{201c}{run}\u{201d}. It may have been deleted{or_ended}.");
        return view! {
            <h1 class="unseen">"Run not found"</h1>
            <Empty title="Run not found" text>{to_lab()}</Empty>
        }
        .into_any();
    }
    view! {
        <h1 class="unseen">{run.to_string()}</h1>
        <Failure what=format!("The run {run} could not be opened") failure retry />
        {to_lab()}
    }
    .into_any()
}
