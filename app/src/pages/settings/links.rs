//! Share links and embeds: the list of those that this person may revoke.

use leptos::prelude::*;
use wire::access::link::LinkView;

use crate::session::Session;
use crate::share::{LinkList, Links};

/// The section of the page, for those who may create links.
#[component]
pub(super) fn ShareLinks() -> impl IntoView {
    let session = expect_context::<Session>();
    let can_steer = Memo::new(move |_| session.can_steer());
    view! { <Show when=move || can_steer.get()><ListedLinks /></Show> }
}

#[component]
fn ListedLinks() -> impl IntoView {
    let session = expect_context::<Session>();
    let links = Links::open();
    let whose = move || {
        if session.is_admin() {
            "All links and embeds of this lab."
        } else {
            "The links and embeds that you may revoke."
        }
    };
    view! {
        <section class="sheet padded stack" id="links" aria-labelledby="links-title">
            <h2 id="links-title">"Links"</h2>
            <p>{whose}" The button Share on the page of a run creates one."</p>
            <LinkList links has=|_: LinkView| true empty="No links yet." />
        </section>
    }
}
