//! The button and the key that open the panel, and its place beside the page.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::part::{Build, load};
use super::state::{Assistant, PANEL_ID};
use crate::components::keyboard::{has_dialog, is_typing};
use crate::components::{Icon, Toasts, clicks, says};
use crate::session::Session;

/// The button in the header, for all except guests.
#[component]
pub(crate) fn AssistantButton() -> impl IntoView {
    let (assistant, session) = (expect_context::<Assistant>(), expect_context::<Session>());
    let has = Memo::new(move |_| !session.is_guest() && session.is_member());
    let button = move || {
        view! {
            <button
                class="quiet icon-only"
                aria-label="Assistant"
                aria-expanded=says(move || assistant.is_open.get().to_string())
                aria-controls=PANEL_ID
                title="Ask about runs, in a panel beside the page (Shift+A)"
                on:click=clicks(move |_| assistant.is_open.update(|is_open| *is_open = !*is_open))
            >
                <Icon name="assistant" />
            </button>
        }
    };
    move || has.get().then(button)
}

/// The panel, once it is opened; also listens for its key.
#[component]
pub(crate) fn AssistantDock() -> impl IntoView {
    let (assistant, session) = (expect_context::<Assistant>(), expect_context::<Session>());
    let toasts = expect_context::<Toasts>();
    let built = RwSignal::new_local(None::<Build>);
    let listener = window_event_listener(ev::keydown, move |event| {
        let is_other = is_typing(&event) || event.default_prevented() || has_dialog() || event.key() != "A";
        if !is_other && untrack(|| !session.is_guest() && session.is_member()) {
            event.prevent_default();
            assistant.is_open.update(|is_open| *is_open = !*is_open);
        }
    });
    on_cleanup(move || listener.remove());
    Effect::new(move || {
        if !assistant.is_open.get() || built.get_untracked().is_some() {
            return;
        }
        spawn_local(async move {
            match load().await {
                Ok(build) => {
                    built.try_set(Some(build));
                }
                Err(_) => {
                    assistant.is_open.set(false);
                    toasts.say("The assistant could not be loaded. Reload the page: the server may have been updated.");
                }
            }
        });
    });
    move || built.get().filter(|_| assistant.is_open.get()).map(|build| build(assistant))
}
