//! The catalogue: datasets that the server can download, with size and licence.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::data::corpus::{CatalogueEntry, JobState};

use super::Datasets;
use crate::components::number::bytes;
use crate::components::{Failure, Icon, Skeleton, Toasts};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::session::Session;

#[component]
pub(super) fn Catalogue() -> impl IntoView {
    let entries = RwSignal::new(None::<Result<Vec<CatalogueEntry>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = api::datasets::catalogue().await;
            entries.try_set(Some(found));
        });
    };
    fetch();
    view! {
        <section class="stack" aria-labelledby="catalogue-title">
            <h2 id="catalogue-title">"Catalog"</h2>
            {move || match entries.get() {
                None => view! { <Skeleton rows=2 class="tall" /> }.into_any(),
                Some(Err(failure)) => view! {
                    <Failure what="The catalog could not be loaded" failure retry=fetch />
                }.into_any(),
                Some(Ok(entries)) => view! {
                    <ul class="sheet list">
                        {entries.into_iter().map(|entry| view! { <Entry entry /> }).collect_view()}
                    </ul>
                }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Entry(entry: CatalogueEntry) -> impl IntoView {
    let (datasets, toasts, live, session) = (
        expect_context::<Datasets>(),
        expect_context::<Toasts>(),
        expect_context::<Live>(),
        expect_context::<Session>(),
    );
    let CatalogueEntry { id, name, about, url, download_bytes, licence, .. } = entry;
    let id = StoredValue::new(id);
    let is_requested = RwSignal::new(false);
    let is_imported = Memo::new(move |_| datasets.list().iter().any(|dataset| dataset.id == *id.read_value()));
    let is_running = Memo::new(move |_| {
        live.lab
            .read()
            .iter()
            .flat_map(|lab| &lab.jobs)
            .any(|job| job.corpus.as_ref() == Some(&*id.read_value()) && job.state == JobState::Running)
    });
    let fetch = move |_| {
        is_requested.set(true);
        spawn_local(async move {
            match api::datasets::download(&id.get_value()).await {
                Ok(job) => toasts.say(format!("{} has started", job.title)),
                Err(failure) => toasts.fail("The download did not start", &failure),
            }
            is_requested.try_set(false);
        });
    };
    view! {
        <li>
            <div class="row nowrap">
                <strong>{name}</strong>
                <span class="grow"></span>
                {move || if is_imported.get() {
                    view! { <span class="small dim row"><Icon name="finished" />"imported"</span> }.into_any()
                } else if session.can_steer() {
                    view! {
                        <button
                            title="Download the dataset to the server and import it"
                            disabled={move || is_requested.get() || is_running.get()}
                            on:click=fetch
                        >
                            <Icon name="download" />
                            {move || match is_running.get() {
                                true => "Downloading …".to_owned(),
                                false => format!("Download {}", bytes(download_bytes)),
                            }}
                        </button>
                    }.into_any()
                } else {
                    ().into_any()
                }}
            </div>
            <p class="small">{about}</p>
            <p class="small dim wrap" title="License and source">{format!("{licence} · {url}")}</p>
        </li>
    }
}
