//! Copying to the clipboard.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Icon, Toasts};

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
    let copy = move |_| {
        let text = text();
        spawn_local(async move {
            match put(&text).await {
                true => toasts.say(done),
                false => {
                    toasts.say("The browser does not allow access to the clipboard here. Select the text and copy it.")
                }
            }
        });
    };
    view! { <button type="button" class="quiet" title=title on:click=copy><Icon name="file" />"Copy"</button> }
}

/// Copies a text and returns whether it succeeded: browsers refuse over plain HTTP from another machine.
async fn put(text: &str) -> bool {
    let navigator = window().navigator();
    let has_clipboard =
        js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|clipboard| clipboard.is_object());
    has_clipboard && JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
}
