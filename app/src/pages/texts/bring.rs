//! Bringing a text: files or a folder dropped or chosen, looked at before anything is sent, then sent with progress.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Texts;
use super::dropped::{self, Named};
use crate::api::{self, ApiFailure, Intake};
use crate::parts::number::{bytes, grouped};
use crate::parts::{Failure, Progress, Toasts};

/// Files looked at and not yet sent.
#[derive(Clone)]
struct Parcel {
    files: Vec<Named>,
    size_bytes: u64,
    /// Fields with text, where there is JSON Lines among the files.
    fields: Vec<String>,
}

impl Parcel {
    async fn of(files: Vec<Named>) -> Self {
        let json_lines = files.iter().find(|(name, _)| dropped::is_json_lines(name));
        let fields = match json_lines {
            Some((_, file)) => dropped::text_fields(file).await,
            None => vec![],
        };
        let size_bytes = files.iter().map(|(_, file)| file.size() as u64).sum();
        Self { files, size_bytes, fields }
    }

    /// A name for the text: the folder's, or the file's without its ending.
    fn name(&self) -> String {
        let first = self.files.first().map_or("text", |(path, _)| path.as_str());
        let stem = match first.split_once('/') {
            Some((folder, _)) => folder,
            None => first.rsplit_once('.').map_or(first, |(stem, _)| stem),
        };
        stem.to_owned()
    }

    /// The field that is taken unless another is chosen.
    fn usual_field(&self) -> Option<String> {
        let usual = ["text", "content"].into_iter().find(|usual| self.fields.iter().any(|field| field == usual));
        usual.map(str::to_owned).or_else(|| self.fields.first().cloned())
    }
}

/// The place to drop files on, and what follows.
#[component]
pub(super) fn BringText() -> impl IntoView {
    let parcel = RwSignal::new_local(None::<Parcel>);
    let notice = RwSignal::new(None::<&'static str>);
    let is_over = RwSignal::new(false);
    let take = move |files: Vec<Named>| {
        spawn_local(async move {
            notice.set(
                files
                    .is_empty()
                    .then_some("No text was found there. From folders, .txt, .md and .jsonl files are taken."),
            );
            parcel.set(if files.is_empty() { None } else { Some(Parcel::of(files).await) });
        });
    };
    let on_drop = move |event: ev::DragEvent| {
        event.prevent_default();
        is_over.set(false);
        let entries = event.data_transfer().map(|transfer| dropped::entries(&transfer)).unwrap_or_default();
        spawn_local(async move { take(dropped::walk(entries).await) });
    };
    let on_over = move |event: ev::DragEvent| {
        event.prevent_default();
        is_over.set(true);
    };
    view! {
        <section class="stack" aria-labelledby="bring-title">
            <h2 id="bring-title">"Bring a text"</h2>
            {move || match parcel.get() {
                Some(ready) => view! { <Sending ready parcel /> }.into_any(),
                None => view! {
                    <div class="drop" class:over-it=is_over on:drop=on_drop on:dragover=on_over on:dragleave=move |_| is_over.set(false)>
                        <p>"Drop files or a folder here"</p>
                        <p class="small dim">".txt and .md: a document per file. .jsonl: a document per line."</p>
                        <div class="row">
                            <Chooser label="Choose files" is_folder=false take=move |files| take(files) />
                            <Chooser label="Choose a folder" is_folder=true take=move |files| take(files) />
                        </div>
                        <p class="small field-error" role="status">{notice}</p>
                    </div>
                }.into_any(),
            }}
        </section>
    }
}

/// A button that opens the browser's own chooser.
#[component]
fn Chooser(label: &'static str, is_folder: bool, take: impl Fn(Vec<Named>) + 'static) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let open = move |_| {
        if let Some(input) = input.get() {
            input.click();
        }
    };
    let chosen = move |event: ev::Targeted<ev::Event, web_sys::HtmlInputElement>| {
        take(dropped::chosen(event.target().files()));
        // So that the same file can be chosen again.
        event.target().set_value("");
    };
    view! {
        <button on:click=open>{label}</button>
        <input type="file" hidden multiple=!is_folder prop:webkitdirectory=is_folder node_ref=input on:change:target=chosen />
    }
}

/// What was found, under which name it goes, and its way to the lab.
#[component]
fn Sending(ready: Parcel, parcel: RwSignal<Option<Parcel>, LocalStorage>) -> impl IntoView {
    let (texts, toasts) = (expect_context::<Texts>(), expect_context::<Toasts>());
    let name = RwSignal::new(ready.name());
    let field = RwSignal::new(ready.usual_field());
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
            let answer = api::upload(name.trim(), field.as_deref(), &files, move |share| {
                sent.try_set(Some(share));
            });
            match answer.await {
                Ok(Intake::Text(info)) => toasts.say(format!(
                    "{} is here: {} document{}",
                    info.name,
                    grouped(info.documents),
                    if info.documents == 1 { "" } else { "s" }
                )),
                Ok(Intake::Job(job)) => toasts.say(format!("{} goes on in the background", job.title)),
                Err(refused) => {
                    failure.try_set(Some(refused));
                    sent.try_set(None);
                    return;
                }
            }
            texts.fetch();
            parcel.try_set(None);
        });
    };
    let is_sending = move || sent.read().is_some();
    view! {
        <form class="sheet padded stack" on:submit=send>
            <p class="wrap">{what}</p>
            <label class="field">
                <span class="label">"Name"</span>
                <input required maxlength="80" autocomplete="off" prop:value=name on:input:target=move |event| name.set(event.target().value()) disabled=is_sending />
            </label>
            {(!fields.is_empty()).then(|| view! {
                <label class="field">
                    <span class="label">"Field that holds the text"</span>
                    <select disabled=is_sending on:change:target=move |event| field.set(Some(event.target().value()))>
                        {fields.into_iter().map(|option| {
                            let is_chosen = { let option = option.clone(); move || field.get().as_ref() == Some(&option) };
                            view! { <option value=option.clone() selected=is_chosen>{option.clone()}</option> }
                        }).collect_view()}
                    </select>
                    <span class="small dim">"Fields with text in the first line. Each line becomes a document."</span>
                </label>
            })}
            {move || sent.get().map(|share| view! {
                <Progress share=Some(share) label="Sent" is_live=true />
                <p class="small dim" role="status">{if share < 1.0 { format!("{:.0}\u{202f}% of {} sent", share * 100.0, bytes(size)) } else { "Sent; the lab reads it …".to_owned() }}</p>
            })}
            {move || failure.get().map(|failure| view! { <Failure what="Not taken; nothing was kept" failure /> })}
            <div class="row end">
                <button type="button" disabled=is_sending on:click=move |_| parcel.set(None)>"Cancel"</button>
                <button class="primary" type="submit" disabled={move || is_sending() || name.read().trim().is_empty()}>"Bring it in"</button>
            </div>
        </form>
    }
}
