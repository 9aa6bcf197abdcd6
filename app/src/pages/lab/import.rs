//! Imports the archive of a run, or a model in the format of Hugging Face.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use crate::components::number::bytes;
use crate::components::{Failure, HubImport, Progress, ProjectField, Toasts, isolated};
use crate::net::api::{ApiFailure, export};
use crate::projects::Projects;
use crate::route::{Router, run_path};
use crate::session::Session;

/// Size of the upload in bytes, and the fraction sent.
type Sent = Option<(f64, f64)>;

/// The section; only for those who can start runs.
#[component]
pub(super) fn ImportRun() -> impl IntoView {
    let session = expect_context::<Session>();
    view! { <Show when=move || session.can_steer()><ImportForm /></Show> }
}

#[component]
fn ImportForm() -> impl IntoView {
    let (router, toasts) = (expect_context::<Router>(), expect_context::<Toasts>());
    let projects = expect_context::<Projects>();
    let chosen = RwSignal::new(None::<String>);
    let project = Signal::derive(move || chosen.get().or_else(|| projects.of_new_run()));
    let input = NodeRef::<html::Input>::new();
    let sent = RwSignal::new(Sent::None);
    let failure = RwSignal::new(None::<ApiFailure>);
    let open = move |_| {
        if let Some(input) = input.get() {
            input.click();
        }
    };
    let take = move |event: ev::Targeted<ev::Event, web_sys::HtmlInputElement>| {
        let list = event.target().files();
        let files: Vec<File> =
            list.map(|list| (0..list.length()).filter_map(|at| list.get(at)).collect()).unwrap_or_default();
        // So that the same file can be selected again.
        event.target().set_value("");
        if files.is_empty() {
            return;
        }
        let size = files.iter().map(|file| file.size()).sum();
        failure.set(None);
        sent.set(Some((size, 0.0)));
        let project = project.get_untracked();
        spawn_local(async move {
            let answer = export::import(&files, project.as_deref(), move |share| {
                sent.try_set(Some((size, share)));
            });
            match answer.await {
                Ok(view) => {
                    toasts.say(format!("{} was imported", isolated(&view.summary.name)));
                    router.go(&run_path(&view.summary.id));
                }
                Err(refused) => {
                    failure.try_set(Some(refused));
                }
            }
            sent.try_set(None);
        });
    };
    view! {
        <section class="stack import-run" aria-labelledby="import-title">
            <h2 id="import-title">"Import"</h2>
            <p class="small dim">
                "Import a run archive (.tar) or a Hugging Face model with the architecture of GPT-2, Llama, Mistral or Qwen2. \
                 Choose a .tar file, or all files of the model's folder."
            </p>
            {move || sent.get().map(|(size, share)| view! {
                <Progress share=Some(share) label="Upload" is_live=true />
                <p class="small dim" role="status">
                    {match share < 1.0 {
                        true => format!("{:.0}\u{202f}% of {} sent", share * 100.0, bytes(size as u64)),
                        false => "Uploaded. Validating …".to_owned(),
                    }}
                </p>
            })}
            {move || failure.get().map(|failure| view! {
                <Failure what="Import failed. Nothing was stored." failure />
            })}
            <ProjectField
                project
                meaning="Project that the imported run belongs to"
                all=None
                choose=move |project| chosen.set(project)
            />
            <div class="row">
                <button
                    title="Select a run archive, or all files of a model"
                    disabled=move || sent.read().is_some()
                    on:click=open
                >
                    "Import …"
                </button>
                <input type="file" hidden multiple node_ref=input on:change:target=take />
            </div>
            <HubImport route="models" />
        </section>
    }
}
