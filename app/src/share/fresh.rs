//! The address of a link that was just created. It is shown once: the server keeps only its hash.

use leptos::prelude::*;
use wire::access::link::CreatedLink;

use super::expiry::phrase;
use crate::base::at;
use crate::components::{CopyButton, clicks};

/// The whole address of a path of this lab.
pub(super) fn address(path: &str) -> String {
    format!("{}{}", window().location().origin().unwrap_or_default(), at(path))
}

/// The address, with a button that copies it.
#[component]
pub(super) fn FreshLink(created: CreatedLink, shown: RwSignal<Option<CreatedLink>>) -> impl IntoView {
    let CreatedLink { link, text } = created;
    let address = address(&format!("/share/{text}"));
    let copied = address.clone();
    let passphrase = link.has_passphrase.then_some(" It asks for the passphrase.");
    view! {
        <div class="fresh stack" role="status">
            <p><strong>"Copy the link now."</strong>" It is not shown again."{passphrase}</p>
            <pre class="command">{address}</pre>
            <div class="row">
                <span class="small dim grow">{format!("Role {} · {}", link.role.name(), phrase(link.expires_ms))}</span>
                <CopyButton text=move || copied.clone() title="Copy the link to the clipboard" done="The link was copied" />
                <button type="button" title="Hide it" on:click=clicks(move |_| shown.set(None))>"Done"</button>
            </div>
        </div>
    }
}
