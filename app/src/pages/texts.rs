//! In the making.
use leptos::prelude::*;

#[component]
pub(crate) fn TextsPage() -> impl IntoView {
    view! { <main class="page"><h1>"TextsPage"</h1></main> }
}
