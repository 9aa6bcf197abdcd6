//! What an import of the uploaded files gives: documents, files with their kinds and encodings, and what is skipped. Each option that is
//! changed asks the server for a new preview; the files are not sent again.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::data::import::{FileReport, ImportArgs, ImportOptions, ImportReport, Issue, StagedUpload};

use super::import_options::Options;
use super::{Datasets, card_id};
use crate::components::number::{bytes, counted, grouped};
use crate::components::{ALL_PROJECTS, Failure, ONLY_PROJECT, ProjectField, Toasts, isolated, visible};
use crate::net::api::ApiFailure;
use crate::net::api::uploads::{self, Imported};
use crate::projects::Projects;
use crate::session::Session;

/// Issues shown; the whole list can be downloaded.
const SHOWN: usize = 8;

/// The preview with its form; `close` returns to the drop zone.
#[component]
pub(super) fn Preview(
    upload: StagedUpload,
    left_out: Vec<String>,
    close: impl Fn() + Copy + Send + 'static,
) -> impl IntoView {
    let (datasets, toasts) = (expect_context::<Datasets>(), expect_context::<Toasts>());
    let (projects, session) = (expect_context::<Projects>(), expect_context::<Session>());
    let chosen = RwSignal::new(None::<Option<String>>);
    let project = Signal::derive(move || chosen.get().unwrap_or_else(|| projects.of_new_dataset(session)));
    let all = session.can_steer_lab().then_some(ALL_PROJECTS);
    let id = StoredValue::new(upload.id.clone());
    let name = RwSignal::new(upload.name.clone());
    let options = RwSignal::new(ImportOptions { field: default_field(&upload.report), ..ImportOptions::default() });
    let report = RwSignal::new(upload.report);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_reading = RwSignal::new(false);
    let is_importing = RwSignal::new(false);
    Effect::new(move |was: Option<ImportOptions>| {
        let now = options.get();
        let is_known = was.as_ref().map_or(now == ImportOptions::default(), |was| *was == now);
        if !is_known {
            is_reading.set(true);
            let asked = now.clone();
            spawn_local(async move {
                let answer = uploads::preview(&id.get_value(), &asked).await;
                // An answer for options that were changed meanwhile is out of date.
                if options.try_get_untracked().as_ref() != Some(&asked) {
                    return;
                }
                is_reading.set(false);
                match answer {
                    Ok(upload) => {
                        failure.set(None);
                        report.set(upload.report);
                    }
                    Err(refused) => failure.set(Some(refused)),
                }
            });
        }
        now
    });
    let import = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        failure.set(None);
        is_importing.set(true);
        let args = ImportArgs {
            name: Some(name.get_untracked()),
            options: options.get_untracked(),
            project: project.get_untracked(),
        };
        spawn_local(async move {
            match uploads::import(&id.get_value(), &args).await {
                Ok(imported) => {
                    match &imported {
                        Imported::Dataset(info) => {
                            let card = card_id(&info.id);
                            toasts.made(outcome(&imported), move || show(&card));
                        }
                        Imported::Job(_) => toasts.say(outcome(&imported)),
                    }
                    datasets.fetch();
                    close();
                }
                Err(refused) => {
                    failure.try_set(Some(refused));
                    is_importing.try_set(false);
                }
            }
        });
    };
    let cancel = move |_| {
        spawn_local(async move {
            // One that has expired is gone already.
            let _ = uploads::discard(&id.get_value()).await;
        });
        close();
    };
    let is_refused = move || options.read().strict && report.read().skipped + report.read().repaired > 0;
    let lacks_separator = move || options.read().separator.as_deref() == Some("");
    let is_idle = move || !is_reading.get() && !is_importing.get();
    let can_import = move || {
        is_idle()
            && !is_refused()
            && !lacks_separator()
            && report.read().documents > 0
            && !name.read().trim().is_empty()
    };
    view! {
        <form class="sheet padded stack upload-preview" on:submit=import>
            <label class="field" title="Display name of the dataset; its id is made from it">
                <span class="label">"Name"</span>
                <input
                    required
                    maxlength="80"
                    autocomplete="off"
                    prop:value=name
                    on:input:target=move |event| name.set(event.target().value())
                />
            </label>
            <ProjectField project meaning=ONLY_PROJECT all choose=move |project| chosen.set(Some(project)) />
            <Options options report />
            <p role="status" aria-live="polite">
                {move || match is_reading.get() {
                    true => "Reading …".to_owned(),
                    false => summary(&report.read()),
                }}
            </p>
            {move || view! { <FirstDocuments first=report.read().first.clone() /> }}
            {move || view! { <FileList files=report.read().files.clone() count=report.read().file_count /> }}
            {(!left_out.is_empty()).then(|| view! {
                <p class="small dim wrap">{format!(
                    "{} files of the folder were not sent, because their extensions are not supported: {}",
                    grouped(left_out.len() as u64),
                    some(&left_out)
                )}</p>
            })}
            {move || view! { <IssueList report=report.get() href=uploads::skipped_of_upload(&id.get_value()) /> }}
            {move || failure.get().map(|failure| view! {
                <Failure what="The import failed; nothing was stored" failure />
            })}
            {move || nothing(&report.read()).map(|reason| view! {
                <p class="small field-error" role="alert">{reason}</p>
            })}
            {move || is_refused().then(|| view! {
                <p class="small field-error">"Strict import refuses skipped records. Repair the file, or clear Strict."</p>
            })}
            {move || lacks_separator().then(|| view! {
                <p class="small field-error" role="alert">"Enter a separator. Until then the preview uses the marker <|endoftext|>."</p>
            })}
            <div class="row end">
                <button type="button" disabled=is_importing on:click=cancel>"Cancel"</button>
                <button class="primary" type="submit" disabled={move || !can_import()}>
                    {move || if is_importing.get() { "Importing …" } else { "Import" }}
                </button>
            </div>
        </form>
    }
}

/// The field with the most text, where none of the fields has a usual name.
fn default_field(report: &ImportReport) -> Option<String> {
    let is_usual = report.fields.iter().any(|field| matches!(field.name.as_str(), "text" | "content"));
    report.fields.first().filter(|_| !is_usual).map(|field| field.name.clone())
}

/// Brings the card of a dataset into view.
fn show(card: &str) {
    if let Some(card) = document().get_element_by_id(card) {
        card.scroll_into_view();
    }
}

fn outcome(imported: &Imported) -> String {
    match imported {
        Imported::Dataset(info) => {
            let skipped = info.import.as_ref().map_or(0, |import| import.skipped);
            let skipped = if skipped == 0 { String::new() } else { format!(", {} skipped", grouped(skipped)) };
            format!("{} was imported: {}{skipped}", isolated(&info.name), counted(info.documents, "document"))
        }
        Imported::Job(job) => format!("{} continues on the server", job.title),
    }
}

fn summary(report: &ImportReport) -> String {
    let found = format!("{}, {}", counted(report.documents, "document"), bytes(report.text_bytes));
    match report.is_complete {
        true => format!("{found} of text"),
        false => format!("{found} of text at the beginning of the files; the rest is read when you import them"),
    }
}

/// Why there is nothing to import.
fn nothing(report: &ImportReport) -> Option<&'static str> {
    (report.documents == 0).then(|| match report.issues.is_empty() {
        false => "Nothing to import: everything was skipped, for the reasons above.",
        true => "Nothing to import: the files contain no text.",
    })
}

/// The first names, and how many more there are.
fn some(names: &[String]) -> String {
    let first = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{first} …") } else { first }
}

#[component]
fn FirstDocuments(first: Vec<String>) -> impl IntoView {
    (!first.is_empty()).then(|| view! {
        <h3>"First documents"</h3>
        <ol class="first-documents" tabindex="0">
            {first.into_iter().map(|text| view! { <li class="sample">{visible(&text).into_owned()}</li> }).collect_view()}
        </ol>
    })
}

#[component]
fn FileList(files: Vec<FileReport>, count: u64) -> impl IntoView {
    let more = count.saturating_sub(files.len() as u64);
    view! {
        <details open={files.len() <= 5}>
            <summary>{counted(count, "file")}</summary>
            <ul class="list">
                {files.iter().map(|file| view! {
                    <li>
                        <p class="wrap">{visible(&file.name).into_owned()}</p>
                        <p class="small dim">{about(file)}</p>
                    </li>
                }).collect_view()}
                {(more > 0).then(|| view! { <li class="small dim">{format!("and {} more", grouped(more))}</li> })}
            </ul>
        </details>
    }
}

/// Kind, compression, encoding and size, then what comes of it.
fn about(file: &FileReport) -> String {
    let mut parts = vec![file.kind.name().to_owned()];
    parts.extend(file.compression.clone());
    parts.extend(file.encoding.clone());
    parts.push(bytes(file.bytes));
    parts.push(counted(file.documents, "document"));
    if file.skipped > 0 {
        parts.push(format!("{} skipped", grouped(file.skipped)));
    }
    parts.join(" · ")
}

/// What was skipped or repaired, and the whole list as a download.
#[component]
pub(super) fn IssueList(report: ImportReport, href: String) -> impl IntoView {
    let ImportReport { skipped, repaired, ref issues, .. } = report;
    let mut counts = vec![];
    if skipped > 0 {
        counts.push(format!(
            "{} skipped",
            counted(skipped, "file or record").replace("file or records", "files or records")
        ));
    }
    if repaired > 0 {
        counts.push(format!("{} repaired", grouped(repaired)));
    }
    // Where nothing is left to import, the reasons are what is looked for.
    let is_open = report.documents == 0;
    (!counts.is_empty()).then(|| view! {
        <details class="issues" open=is_open>
            <summary>{counts.join(", ")}</summary>
            <ul class="list small">
                {issues.iter().take(SHOWN).map(|issue| view! { <li class="wrap">{described(issue)}</li> }).collect_view()}
            </ul>
            <a class="small" href=href download="">"Download the whole list"</a>
        </details>
    })
}

fn described(issue: &Issue) -> String {
    let line = issue.line.map(|line| format!(", line {}", grouped(line))).unwrap_or_default();
    visible(&format!("{}{line}: {}", issue.file, issue.message)).into_owned()
}
