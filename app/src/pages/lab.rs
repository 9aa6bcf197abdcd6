//! In the making.
use leptos::prelude::*;

#[component]
pub(crate) fn LabPage() -> impl IntoView {
    view! { <main class="page"><h1>"LabPage"</h1></main> }
}
