//! The one way to the clipboard.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Icon, Toasts};

/// A button that copies a text and says so.
#[component]
pub(crate) fn CopyButton(
    /// The text at the moment of the press.
    text: impl Fn() -> String + 'static,
    /// What is copied, on hover.
    title: &'static str,
    /// What is said afterwards: "The link is on the clipboard".
    done: &'static str,
) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let copy = move |_| {
        let text = text();
        spawn_local(async move {
            match put(&text).await {
                true => toasts.say(done),
                false => toasts.say("The browser keeps the clipboard shut here: select the text and copy it by hand"),
            }
        });
    };
    view! { <button type="button" class="quiet" title=title on:click=copy><Icon name="file" />"Copy"</button> }
}

/// Whether the text is on the clipboard. Over plain HTTP from another machine browsers give a page none.
async fn put(text: &str) -> bool {
    let navigator = window().navigator();
    let has_clipboard =
        js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|clipboard| clipboard.is_object());
    has_clipboard && JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
}
