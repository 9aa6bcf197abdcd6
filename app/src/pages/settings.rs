//! In the making.
use leptos::prelude::*;

#[component]
pub(crate) fn SettingsPage() -> impl IntoView {
    view! { <main class="page"><h1>"SettingsPage"</h1></main> }
}
