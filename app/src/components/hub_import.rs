//! Imports a model or a dataset of the Hugging Face hub by its name.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Map, Value, json};

use super::{Failure, ProjectField, Toasts};
use crate::net::api::{self, ApiFailure};
use crate::projects::Projects;
use crate::session::Session;

/// Key in the request, label, placeholder and meaning of each field.
type Fields = &'static [(&'static str, &'static str, &'static str, &'static str)];

const MODEL: Fields = &[
    ("repo", "Name", "owner/name", "Repository on the hub, as in the address of its page: owner/name"),
    ("revision", "Revision", "main", "Branch, tag or commit. Default: main"),
    (
        "token",
        "Access token",
        "only if private or gated",
        "Access token of the hub. Needed only for a private or gated repository",
    ),
];
const DATASET: Fields = &[
    MODEL[0],
    MODEL[1],
    ("path", "File or folder", "all files", "File or folder of the repository. Default: all its files"),
    ("field", "Text field", "text or content", "Field of a record that has the text. Default: text, or else content"),
    MODEL[2],
];

/// What the project of a dataset does.
pub(crate) const ONLY_PROJECT: &str = "Only runs of this project can use the dataset";
/// The choice of no project.
pub(crate) const ALL_PROJECTS: &str = "all projects";

/// A section that is opened to import; `route` is `models` or `datasets`.
#[component]
pub(crate) fn HubImport(route: &'static str) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let (projects, session) = (expect_context::<Projects>(), expect_context::<Session>());
    let is_model = route == "models";
    let fields = if is_model { MODEL } else { DATASET };
    let default = move || if is_model { projects.of_new_run() } else { projects.of_new_dataset(session) };
    let chosen = RwSignal::new(None::<Option<String>>);
    let project = Signal::derive(move || chosen.get().unwrap_or_else(default));
    let (meaning, all) = match is_model {
        true => ("Project that the imported run belongs to", None),
        false => (ONLY_PROJECT, session.can_steer_lab().then_some(ALL_PROJECTS)),
    };
    let typed = RwSignal::new(Map::new());
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_sent = RwSignal::new(false);
    let has_name = move || typed.read().get("repo").and_then(Value::as_str).is_some_and(|repo| !repo.trim().is_empty());
    let import = move |_| {
        let mut args = typed.get_untracked();
        if let Some(field) = args.remove("field") {
            args.insert("options".to_owned(), json!({ "field": field }));
        }
        if let Some(project) = project.get_untracked() {
            args.insert("project".to_owned(), project.into());
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
                <ProjectField project meaning all choose=move |project| chosen.set(Some(project)) />
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
