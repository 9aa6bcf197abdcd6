//! What stands in the place of content: while it loads, when there is none, when it failed.

use leptos::prelude::*;

use super::Icon;
use crate::api::ApiFailure;

/// Grey bars of the real layout's sizes, so that nothing jumps when the content comes.
#[component]
pub(crate) fn Skeleton(
    /// How many rows.
    #[prop(default = 4)]
    rows: usize,
    /// Style of a row: the class of the real one.
    #[prop(default = "")]
    class: &'static str,
) -> impl IntoView {
    view! {
        <div class="skeletons" aria-busy="true" aria-label="Loading">
            {(0..rows).map(|_| view! { <div class=format!("skeleton {class}")></div> }).collect_view()}
        </div>
    }
}

/// Nothing here yet, and what to do about it.
#[component]
pub(crate) fn Empty(
    /// What there is none of.
    #[prop(into)]
    title: String,
    /// The next step, as a sentence.
    #[prop(into)]
    text: String,
    /// A button or two.
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
    /// What was tried: "The texts could not be listed".
    #[prop(into)]
    what: String,
    /// Why.
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
                <p>{failure.body.message}</p>
                {failure.body.hint.map(|hint| view! { <p class="hint">{hint}</p> })}
                {retry.map(|retry| view! { <button on:click=move |_| retry.run(())>"Try again"</button> })}
            </div>
        </div>
    }
}
