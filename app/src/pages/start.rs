//! In the making.
use leptos::prelude::*;

#[component]
pub(crate) fn StartPage() -> impl IntoView {
    view! { <main class="page"><h1>"StartPage"</h1></main> }
}
