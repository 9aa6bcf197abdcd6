//! What is shown in place of content while it loads, when there is none, and when it failed.

use leptos::prelude::*;

use super::Icon;
use super::sentence::sentence;
use crate::net::api::ApiFailure;

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
                <p>{sentence(&failure.body.message)}</p>
                {failure.body.hint.map(|hint| view! { <p class="hint">{sentence(&hint)}</p> })}
                {retry.map(|retry| view! { <button on:click=move |_| retry.run(())>"Try again"</button> })}
            </div>
        </div>
    }
}
