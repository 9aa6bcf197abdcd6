//! The button that opens the dialog.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::link::LinkScope;

use super::part::{Build, load};
use super::scope::may_share;
use crate::components::{Icon, Toasts};
use crate::net::live::Live;
use crate::session::Session;

/// The button Share, for those who may create links to `scope`.
#[component]
pub(crate) fn ShareButton(
    /// The runs or the project that the links open.
    #[prop(into)]
    scope: Signal<LinkScope>,
    /// Path and query of the page that they open, from the root of the lab, at the time of the press.
    #[prop(into)]
    path: Callback<(), String>,
) -> impl IntoView {
    let (session, live) = (expect_context::<Session>(), expect_context::<Live>());
    let toasts = expect_context::<Toasts>();
    let may = Memo::new(move |_| may_share(session, live, &scope.read()));
    let is_open = RwSignal::new(false);
    let built = RwSignal::new_local(None::<Build>);
    let open = move |_| {
        spawn_local(async move {
            match load().await {
                Ok(build) => {
                    built.try_set(Some(build));
                    is_open.try_set(true);
                }
                Err(_) => {
                    toasts.say("The dialog could not be loaded. Reload the page: the server may have been updated.")
                }
            }
        });
    };
    let dialog = move || {
        let build = built.get().filter(|_| is_open.get())?;
        Some(build((scope.get_untracked(), untrack(|| path.run(())), is_open)))
    };
    view! {
        <Show when=move || may.get()>
            <button
                class="share-button"
                aria-haspopup="dialog"
                title=move || match &*scope.read() {
                    LinkScope::Project(_) => "Share the runs of the project by a link",
                    LinkScope::Runs(_) => "Share this view by a link, or embed a chart of it in another page",
                }
                on:click=open
            >
                <Icon name="share" />
                <span class="word">"Share"</span>
            </button>
        </Show>
        {dialog}
    }
}
