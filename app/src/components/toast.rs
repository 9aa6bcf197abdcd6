//! Short messages at the bottom of the page: what was done or failed, with an undo button if that is possible.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;

use super::{Icon, visible};
use crate::net::api::ApiFailure;

/// Messages shown at a time; a newer one takes the place of the oldest.
const MOST: usize = 3;

/// One message.
#[derive(Clone)]
struct Toast {
    number: u32,
    is_failure: bool,
    text: String,
    /// Label and icon of its button, and what it does. Shared and not owned by a signal: the component that acted may be
    /// gone when the button is pressed.
    button: Option<(&'static str, Option<&'static str>, Arc<dyn Fn() + Send + Sync>)>,
}

/// The shown messages, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Toasts {
    shown: RwSignal<Vec<Toast>>,
    last: StoredValue<u32>,
}

impl Toasts {
    /// Without messages.
    pub(crate) fn new() -> Self {
        Self { shown: RwSignal::new(vec![]), last: StoredValue::new(0) }
    }

    /// Shows what was done.
    pub(crate) fn say(self, text: impl Into<String>) {
        self.show(Toast { number: 0, is_failure: false, text: text.into(), button: None }, 6);
    }

    /// Shows what failed, why, and what to do.
    pub(crate) fn fail(self, what: &str, failure: &ApiFailure) {
        self.show(
            Toast {
                number: 0,
                is_failure: true,
                text: format!("{what}. {}", visible(&failure.sentence())),
                button: None,
            },
            14,
        );
    }

    /// Shows what was done and offers to undo it.
    pub(crate) fn undoable(self, text: impl Into<String>, undo: impl Fn() + Send + Sync + 'static) {
        let button = Some(("Undo", Some("undo"), Arc::new(undo) as Arc<dyn Fn() + Send + Sync>));
        self.show(Toast { number: 0, is_failure: false, text: text.into(), button }, 12);
    }

    /// Shows what was made and offers to bring it into view.
    pub(crate) fn made(self, text: impl Into<String>, show: impl Fn() + Send + Sync + 'static) {
        let button = Some(("Show", None, Arc::new(show) as Arc<dyn Fn() + Send + Sync>));
        self.show(Toast { number: 0, is_failure: false, text: text.into(), button }, 14);
    }

    fn show(self, toast: Toast, secs: u64) {
        let number = self.last.get_value() + 1;
        self.last.set_value(number);
        self.shown.update(|shown| {
            shown.push(Toast { number, ..toast });
            let extra = shown.len().saturating_sub(MOST);
            shown.drain(..extra);
        });
        set_timeout(move || self.drop(number), Duration::from_secs(secs));
    }

    fn drop(self, number: u32) {
        self.shown.update(|shown| shown.retain(|toast| toast.number != number));
    }
}

/// The list of messages; screen readers announce them.
#[component]
pub(crate) fn ToastList() -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.shown.get() key=|toast| toast.number let(toast)>
                <div class="toast" class:failed=toast.is_failure>
                    {toast.is_failure.then(|| view! { <Icon name="warning" /> })}
                    <span>{toast.text.clone()}</span>
                    {toast.button.map(|(label, icon, run)| {
                        let act = move |_| {
                            toasts.drop(toast.number);
                            run();
                        };
                        view! { <button on:click=act>{icon.map(|name| view! { <Icon name /> })}{label}</button> }
                    })}
                    <button class="quiet icon-only" aria-label="Dismiss" on:click=move |_| toasts.drop(toast.number)>
                        <Icon name="close" />
                    </button>
                </div>
            </For>
        </div>
    }
}
