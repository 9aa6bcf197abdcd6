//! Copying to the clipboard.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Icon, Toasts};

/// How long the button says that it has copied.
const SAID: Duration = Duration::from_secs(2);

/// A button that copies a text.
#[component]
pub(crate) fn CopyButton(
    /// The text at the time of the press.
    text: impl Fn() -> String + 'static,
    /// Description of the copied text, as a tooltip.
    title: &'static str,
    /// The message afterwards: "The link was copied".
    done: &'static str,
) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let is_done = RwSignal::new(false);
    let copy = move |_| {
        let text = text();
        spawn_local(async move {
            match put(&text).await {
                true => {
                    toasts.say(done);
                    is_done.try_set(true);
                    set_timeout(
                        move || {
                            is_done.try_set(false);
                        },
                        SAID,
                    );
                }
                false => {
                    toasts.say("The browser does not allow access to the clipboard here. Select the text and copy it.")
                }
            }
        });
    };
    let word = move || if is_done.get() { "Copied" } else { "Copy" };
    view! { <button type="button" class="quiet" title=title on:click=copy><Icon name="file" />{word}</button> }
}

/// Copies a text and returns whether it succeeded: browsers refuse over plain HTTP from another machine.
async fn put(text: &str) -> bool {
    let navigator = window().navigator();
    let has_clipboard =
        js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|clipboard| clipboard.is_object());
    has_clipboard && JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
}
