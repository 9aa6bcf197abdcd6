//! Importing a dataset: files or a folder are dropped or selected, listed before they are sent, and sent with progress.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Datasets;
use super::files::{self, Named};
use crate::components::number::{bytes, grouped};
use crate::components::{Failure, Progress, Toasts};
use crate::net::api::datasets::Uploaded;
use crate::net::api::{self, ApiFailure};

/// Selected files that are not sent yet.
#[derive(Clone)]
struct Selection {
    files: Vec<Named>,
    size_bytes: u64,
    /// Text fields, if a file is JSON Lines.
    fields: Vec<String>,
}

impl Selection {
    async fn of(files: Vec<Named>) -> Self {
        let json_lines = files.iter().find(|(name, _)| files::is_json_lines(name));
        let fields = match json_lines {
            Some((_, file)) => files::text_fields(file).await,
            None => vec![],
        };
        let size_bytes = files.iter().map(|(_, file)| file.size() as u64).sum();
        Self { files, size_bytes, fields }
    }

    /// A name for the dataset: that of the folder, or of the file without its extension.
    fn name(&self) -> String {
        let first = self.files.first().map_or("text", |(path, _)| path.as_str());
        let stem = match first.split_once('/') {
            Some((folder, _)) => folder,
            None => first.rsplit_once('.').map_or(first, |(stem, _)| stem),
        };
        stem.to_owned()
    }

    fn default_field(&self) -> Option<String> {
        let known = ["text", "content"].into_iter().find(|known| self.fields.iter().any(|field| field == known));
        known.map(str::to_owned).or_else(|| self.fields.first().cloned())
    }
}

/// The drop zone, and the form for the selected files.
#[component]
pub(super) fn UploadDataset() -> impl IntoView {
    let selection = RwSignal::new_local(None::<Selection>);
    let notice = RwSignal::new(None::<&'static str>);
    let is_over = RwSignal::new(false);
    let take = move |files: Vec<Named>| {
        spawn_local(async move {
            notice.set(
                files
                    .is_empty()
                    .then_some("No text files were found. From folders, .txt, .md and .jsonl files are imported."),
            );
            selection.set(if files.is_empty() { None } else { Some(Selection::of(files).await) });
        });
    };
    let on_drop = move |event: ev::DragEvent| {
        event.prevent_default();
        is_over.set(false);
        let entries = event.data_transfer().map(|transfer| files::entries(&transfer)).unwrap_or_default();
        spawn_local(async move { take(files::walk(entries).await) });
    };
    let on_over = move |event: ev::DragEvent| {
        event.prevent_default();
        is_over.set(true);
    };
    view! {
        <section class="stack" aria-labelledby="upload-title">
            <h2 id="upload-title">"Import a dataset"</h2>
            {move || match selection.get() {
                Some(ready) => view! { <UploadForm ready selection /> }.into_any(),
                None => view! {
                    <div
                        class="drop"
                        class:over-it=is_over
                        on:drop=on_drop
                        on:dragover=on_over
                        on:dragleave=move |_| is_over.set(false)
                    >
                        <p>"Drop files or a folder here"</p>
                        <p class="small dim">".txt and .md: one document per file. .jsonl: one document per line."</p>
                        <div class="row">
                            <Chooser label="Select files" is_folder=false take=move |files| take(files) />
                            <Chooser label="Select a folder" is_folder=true take=move |files| take(files) />
                        </div>
                        <p class="small field-error" role="status">{notice}</p>
                    </div>
                }.into_any(),
            }}
        </section>
    }
}

/// A button that opens the file dialog of the browser.
#[component]
fn Chooser(label: &'static str, is_folder: bool, take: impl Fn(Vec<Named>) + 'static) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let open = move |_| {
        if let Some(input) = input.get() {
            input.click();
        }
    };
    let chosen = move |event: ev::Targeted<ev::Event, web_sys::HtmlInputElement>| {
        take(files::chosen(event.target().files()));
        // So that the same file can be selected again.
        event.target().set_value("");
    };
    view! {
        <button on:click=open>{label}</button>
        <input
            type="file"
            hidden
            multiple=!is_folder
            prop:webkitdirectory=is_folder
            node_ref=input
            on:change:target=chosen
        />
    }
}

/// The selected files, the name of the dataset, and the progress of the upload.
#[component]
fn UploadForm(ready: Selection, selection: RwSignal<Option<Selection>, LocalStorage>) -> impl IntoView {
    let (datasets, toasts) = (expect_context::<Datasets>(), expect_context::<Toasts>());
    let name = RwSignal::new(ready.name());
    let field = RwSignal::new(ready.default_field());
    let sent = RwSignal::new(None::<f64>);
    let failure = RwSignal::new(None::<ApiFailure>);
    let (count, size, fields) = (ready.files.len(), ready.size_bytes, ready.fields.clone());
    let what = if count == 1 {
        format!("{}, {}", ready.files[0].0, bytes(size))
    } else {
        format!("{} files, {}", grouped(count as u64), bytes(size))
    };
    let files = StoredValue::new_local(ready.files);
    let send = move |event: ev::SubmitEvent| {
        event.prevent_default();
        failure.set(None);
        sent.set(Some(0.0));
        spawn_local(async move {
            let (name, field, files) = (name.get_untracked(), field.get_untracked(), files.get_value());
            let answer = api::datasets::upload(name.trim(), field.as_deref(), &files, move |share| {
                sent.try_set(Some(share));
            });
            match answer.await {
                Ok(Uploaded::Dataset(info)) => toasts.say(format!(
                    "{} was imported: {} document{}",
                    info.name,
                    grouped(info.documents),
                    if info.documents == 1 { "" } else { "s" }
                )),
                Ok(Uploaded::Job(job)) => toasts.say(format!("{} continues on the server", job.title)),
                Err(refused) => {
                    failure.try_set(Some(refused));
                    sent.try_set(None);
                    return;
                }
            }
            datasets.fetch();
            selection.try_set(None);
        });
    };
    let is_sending = move || sent.read().is_some();
    view! {
        <form class="sheet padded stack" on:submit=send>
            <p class="wrap">{what}</p>
            <label class="field" title="Display name of the dataset; its id is made from it">
                <span class="label">"Name"</span>
                <input
                    required
                    maxlength="80"
                    autocomplete="off"
                    prop:value=name
                    on:input:target=move |event| name.set(event.target().value())
                    disabled=is_sending
                />
            </label>
            {(!fields.is_empty()).then(|| view! {
                <label class="field">
                    <span class="label">"Text field"</span>
                    <select disabled=is_sending on:change:target=move |event| field.set(Some(event.target().value()))>
                        {fields.into_iter().map(|option| {
                            let this = option.clone();
                            let is_chosen = move || field.get().as_ref() == Some(&this);
                            view! { <option value=option.clone() selected=is_chosen>{option.clone()}</option> }
                        }).collect_view()}
                    </select>
                    <span class="small dim">"Text fields of the first line. Each line becomes one document."</span>
                </label>
            })}
            {move || sent.get().map(|share| view! {
                <Progress share=Some(share) label="Upload" is_live=true />
                <p class="small dim" role="status">
                    {match share < 1.0 {
                        true => format!("{:.0}\u{202f}% of {} sent", share * 100.0, bytes(size)),
                        false => "Uploaded. The server reads the files …".to_owned(),
                    }}
                </p>
            })}
            {move || failure.get().map(|failure| view! {
                <Failure what="The import failed; nothing was stored" failure />
            })}
            <div class="row end">
                <button type="button" disabled=is_sending on:click=move |_| selection.set(None)>"Cancel"</button>
                <button class="primary" type="submit" disabled={move || is_sending() || name.read().trim().is_empty()}>
                    "Import"
                </button>
            </div>
        </form>
    }
}
