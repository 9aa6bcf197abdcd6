//! In the making.
use leptos::prelude::*;

#[component]
pub(crate) fn RunPage(run: wire::RunId) -> impl IntoView {
    view! { <main class="page"><h1>{run.to_string()}</h1></main> }
}
