//! Importing a dataset: files or a folder are dropped or selected, sent with progress, previewed with options, and imported.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::data::import::StagedUpload;

use super::files::{self, Found};
use super::preview::Preview;
use crate::components::number::{bytes, grouped};
use crate::components::{Failure, Progress};
use crate::net::api::{ApiFailure, uploads};

/// Where an import is.
#[derive(Clone)]
enum Stage {
    /// Nothing is selected.
    Empty,
    /// Files of this size are sent.
    Sending { size_bytes: u64 },
    /// The server has them.
    Staged { upload: Box<StagedUpload>, left_out: Vec<String> },
}

/// The drop zone, and after it the preview of what was dropped.
#[component]
pub(super) fn UploadDataset() -> impl IntoView {
    let stage = RwSignal::new(Stage::Empty);
    let notice = RwSignal::new(None::<String>);
    let failure = RwSignal::new(None::<ApiFailure>);
    let sent = RwSignal::new(0.0);
    let take = move |found: Found| {
        failure.set(None);
        if found.files.is_empty() {
            return notice.set(Some(nothing_found(&found)));
        }
        notice.set(None);
        sent.set(0.0);
        stage.set(Stage::Sending { size_bytes: found.files.iter().map(|(_, file)| file.size() as u64).sum() });
        spawn_local(async move {
            let progress = move |share| {
                sent.try_set(share);
            };
            match uploads::stage(&found.files, progress).await {
                Ok(upload) => {
                    stage.try_set(Stage::Staged { upload: Box::new(upload), left_out: found.left_out });
                }
                Err(refused) => {
                    failure.try_set(Some(refused));
                    stage.try_set(Stage::Empty);
                }
            }
        });
    };
    view! {
        <section class="stack" aria-labelledby="upload-title">
            <h2 id="upload-title">"Import a dataset"</h2>
            {move || match stage.get() {
                Stage::Empty => view! { <DropZone take notice /> }.into_any(),
                Stage::Sending { size_bytes } => view! { <Sending sent size_bytes /> }.into_any(),
                Stage::Staged { upload, left_out } => view! {
                    <Preview upload={*upload} left_out close=move || stage.set(Stage::Empty) />
                }.into_any(),
            }}
            {move || failure.get().map(|failure| view! {
                <Failure what="The upload failed; nothing was stored" failure />
            })}
        </section>
    }
}

fn nothing_found(found: &Found) -> String {
    match found.left_out.len() {
        0 => "No files were found.".to_owned(),
        count => format!(
            "None of the {} files of the folder has a supported extension: .txt, .md, .json, .jsonl, .csv, .tsv, \
             .parquet, or one of these with .gz or .zst. Files that you select one by one are sent regardless of their names.",
            grouped(count as u64)
        ),
    }
}

#[component]
fn DropZone(take: impl Fn(Found) + Copy + 'static, notice: RwSignal<Option<String>>) -> impl IntoView {
    let is_over = RwSignal::new(false);
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
        <div
            class="drop"
            class:over-it=is_over
            on:drop=on_drop
            on:dragover=on_over
            on:dragleave=move |_| is_over.set(false)
        >
            <p>"Drop files or a folder here"</p>
            <p class="small dim">
                "Text and Markdown: <|endoftext|> separates documents. JSON, JSON Lines, CSV, TSV, Parquet: one document \
                 per record. Files may be compressed with gzip or zstd. You see a \
                 preview before anything is stored."
            </p>
            <div class="row">
                <Chooser label="Select files" is_folder=false take />
                <Chooser label="Select a folder" is_folder=true take />
            </div>
            <p class="small field-error" role="status">{notice}</p>
        </div>
    }
}

/// A button that opens the file dialog of the browser.
#[component]
fn Chooser(label: &'static str, is_folder: bool, take: impl Fn(Found) + 'static) -> impl IntoView {
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

#[component]
fn Sending(sent: RwSignal<f64>, size_bytes: u64) -> impl IntoView {
    let text = move || match sent.get() {
        share if share < 1.0 => format!("{:.0}\u{202f}% of {} sent", share * 100.0, bytes(size_bytes)),
        _ => "Uploaded. The server reads the files …".to_owned(),
    };
    view! {
        <div class="sheet padded stack">
            {move || view! { <Progress share=Some(sent.get()) label="Upload" is_live=true /> }}
            <p class="small dim" role="status">{text}</p>
        </div>
    }
}
