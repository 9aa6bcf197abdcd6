//! The dialog: a link to the present view, or an embed of one of its charts.

use leptos::html;
use leptos::prelude::*;
use wire::access::link::LinkScope;

use super::embed_form::EmbedForm;
use super::form::LinkForm;
use super::links::{LinkList, Links};
use super::scope::scope_name;
use crate::components::{Icon, ToastList, clicks, says, shows};
use crate::net::live::Live;

/// The modal dialog, with a form and a list for each of its two tabs.
#[component]
pub(super) fn ShareDialog(scope: LinkScope, path: String, is_open: RwSignal<bool>) -> impl IntoView {
    let live = expect_context::<Live>();
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        if let Some(dialog) = dialog.get().filter(|dialog| !dialog.open()) {
            // Fails only for a dialog that is already open or not in the document.
            let _ = dialog.show_modal();
        }
    });
    let close = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let has_charts = matches!(scope, LinkScope::Runs(_));
    let is_embed = RwSignal::new(false);
    let links = Links::open();
    let shared = StoredValue::new((scope, path));
    let title = says(move || format!("Share {}", shared.with_value(|(scope, _)| scope_name(live, scope))));
    let tab = move |of: bool, word: &'static str, meaning: &'static str| {
        view! {
            <button
                type="button"
                class="tab"
                title=meaning
                aria-pressed=says(move || (is_embed.get() == of).to_string())
                on:click=clicks(move |_| is_embed.set(of))
            >
                {word}
            </button>
        }
    };
    let content = move || {
        let (scope, path) = shared.get_value();
        match is_embed.get() {
            true => view! { <EmbedForm scope path links /> }.into_any(),
            false => view! { <LinkForm scope path links /> }.into_any(),
        }
    };
    let listed = move || {
        let is_embed = is_embed.get();
        let empty = if is_embed { "No embeds yet." } else { "No links yet." };
        let title = if is_embed { "Embeds" } else { "Links" };
        let scope = shared.with_value(|(scope, _)| scope.clone());
        let has =
            Callback::new(move |link: wire::access::link::LinkView| link.is_embed == is_embed && link.scope == scope);
        view! {
            <section class="stack" aria-label=title>
                <h3>{title}</h3>
                <LinkList links has empty />
            </section>
        }
    };
    view! {
        <dialog node_ref=dialog class="share-dialog" aria-labelledby="share-title" on:close=move |_| is_open.set(false)>
            <div class="row nowrap">
                <h2 id="share-title" class="grow">{title}</h2>
                <button class="quiet icon-only" aria-label="Close" title="Close (Esc)" on:click=clicks(close)>
                    <Icon name="close" />
                </button>
            </div>
            {has_charts.then(|| view! {
                <div class="tabs" role="group" aria-label="What to create">
                    {tab(false, "Link", "A link that opens this view and nothing else of the lab")}
                    {tab(true, "Embed", "A live chart or an inspection in another page, a README or a slide")}
                </div>
            })}
            {shows(content)}
            {shows(listed)}
            // The other list of messages is behind the dialog.
            <ToastList />
        </dialog>
    }
}
