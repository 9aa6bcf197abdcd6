//! The button that presents the open page.

use leptos::prelude::*;

use super::{Presenting, is_presentable};
use crate::components::{Icon, clicks, says};
use crate::route::Router;

/// The button Present, on the pages that can be presented and for those who may.
#[component]
pub(crate) fn PresentButton() -> impl IntoView {
    let (presenting, router) = (expect_context::<Presenting>(), expect_context::<Router>());
    let is_shown = Memo::new(move |_| presenting.may_present() && is_presentable(&router.route.read()));
    let title = move || match presenting.is_presenting() {
        true => "Stop presenting (Shift+P)",
        false => "Let others follow what you look at: page, view, step and pointer (Shift+P)",
    };
    view! {
        <Show when=move || is_shown.get()>
            <button
                class="present-button"
                title=title
                aria-pressed=says(move || presenting.is_presenting().to_string())
                on:click=clicks(move |_| presenting.toggle())
            >
                <Icon name="present" />
                <span class="word">"Present"</span>
            </button>
        </Show>
    }
}
