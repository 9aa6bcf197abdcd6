//! Imports a model or a dataset of the Hugging Face hub by its name.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Map, Value, json};

use super::{Failure, Toasts};
use crate::net::api::{self, ApiFailure};

/// Key in the request, label, placeholder and meaning of each field.
type Fields = &'static [(&'static str, &'static str, &'static str, &'static str)];

const MODEL: Fields = &[
    ("repo", "Name", "owner/name", "Repository on the hub, as in the address of its page: owner/name"),
    ("revision", "Revision", "main", "Branch, tag or commit. Default: main"),
    (
        "token",
        "Access token",
        "only if private or gated",
        "Access token of your account on the hub. Needed only for a private or gated repository",
    ),
];
const DATASET: Fields = &[
    MODEL[0],
    MODEL[1],
    ("path", "File or folder", "all files", "File or folder of the repository. Default: all its files"),
    ("field", "Text field", "text or content", "Field of a record that has the text. Default: text, or else content"),
    MODEL[2],
];

/// A section that is opened to import; `route` is `models` or `datasets`.
#[component]
pub(crate) fn HubImport(route: &'static str) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let fields = if route == "models" { MODEL } else { DATASET };
    let typed = RwSignal::new(Map::new());
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_sent = RwSignal::new(false);
    let has_name = move || typed.read().get("repo").and_then(Value::as_str).is_some_and(|repo| !repo.trim().is_empty());
    let import = move |_| {
        let mut args = typed.get_untracked();
        if let Some(field) = args.remove("field") {
            args.insert("options".to_owned(), json!({ "field": field }));
        }
        failure.set(None);
        is_sent.set(true);
        spawn_local(async move {
            match api::hub::import(route, &Value::Object(args)).await {
                Ok(job) => toasts.say(format!("{} has started", job.title)),
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_sent.try_set(false);
        });
    };
    view! {
        <details>
            <summary>"Import from the Hugging Face hub"</summary>
            <div class="stack">
                {fields.iter().map(|(key, label, placeholder, meaning)| view! {
                    <label class="field" title=*meaning>
                        <span class="label">{*label}</span>
                        <input
                            type=if *key == "token" { "password" } else { "text" }
                            autocomplete="off"
                            spellcheck="false"
                            placeholder=*placeholder
                            on:input:target=move |event| {
                                let text = event.target().value();
                                typed.update(|typed| match text.trim() {
                                    "" => drop(typed.remove(*key)),
                                    text => drop(typed.insert((*key).to_owned(), text.into())),
                                });
                            }
                        />
                    </label>
                }).collect_view()}
                {move || failure.get().map(|failure| view! { <Failure what="The import did not start" failure /> })}
                <div class="row">
                    <button
                        title=move || if has_name() {
                            "Download it to the server, and import it"
                        } else {
                            "Enter owner/name first."
                        }
                        disabled=move || is_sent.get() || !has_name()
                        on:click=import
                    >
                        "Download and import"
                    </button>
                </div>
            </div>
        </details>
    }
}
