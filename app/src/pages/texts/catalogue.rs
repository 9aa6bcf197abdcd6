//! Texts that can be fetched by the server: what they are, how large, under which licence.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::corpus::{CatalogueEntry, JobState};

use super::Texts;
use crate::api::{self, ApiFailure};
use crate::live::Live;
use crate::parts::number::bytes;
use crate::parts::{Failure, Icon, Skeleton, Toasts};
use crate::session::Session;

/// The catalogue.
#[component]
pub(super) fn Catalogue() -> impl IntoView {
    let entries = RwSignal::new(None::<Result<Vec<CatalogueEntry>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = api::catalogue().await;
            entries.try_set(Some(found));
        });
    };
    fetch();
    view! {
        <section class="stack" aria-labelledby="catalogue-title">
            <h2 id="catalogue-title">"Catalogue"</h2>
            {move || match entries.get() {
                None => view! { <Skeleton rows=2 class="tall" /> }.into_any(),
                Some(Err(failure)) => view! { <Failure what="The catalogue could not be read" failure retry=fetch /> }.into_any(),
                Some(Ok(entries)) => view! { <ul class="sheet list">{entries.into_iter().map(|entry| view! { <Entry entry /> }).collect_view()}</ul> }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Entry(entry: CatalogueEntry) -> impl IntoView {
    let (texts, toasts, live, session) =
        (expect_context::<Texts>(), expect_context::<Toasts>(), expect_context::<Live>(), expect_context::<Session>());
    let CatalogueEntry { id, name, about, url, download_bytes, licence, .. } = entry;
    let id = StoredValue::new(id);
    let is_asked = RwSignal::new(false);
    let is_here = Memo::new(move |_| texts.list().iter().any(|text| text.id == *id.read_value()));
    let is_coming = Memo::new(move |_| {
        live.lab
            .read()
            .iter()
            .flat_map(|lab| &lab.jobs)
            .any(|job| job.corpus == *id.read_value() && job.state == JobState::Running)
    });
    let fetch = move |_| {
        is_asked.set(true);
        spawn_local(async move {
            match api::fetch_entry(&id.get_value()).await {
                Ok(job) => toasts.say(format!("{} has begun", job.title)),
                Err(failure) => toasts.fail("Not fetched", &failure),
            }
            is_asked.try_set(false);
        });
    };
    view! {
        <li>
            <div class="row">
                <strong>{name}</strong>
                <span class="grow"></span>
                {move || if is_here.get() {
                    view! { <span class="small dim row"><Icon name="finished" />"here"</span> }.into_any()
                } else if session.can_steer() {
                    view! {
                        <button disabled={move || is_asked.get() || is_coming.get()} on:click=fetch>
                            <Icon name="download" />
                            {move || if is_coming.get() { "Coming …".to_owned() } else { format!("Fetch {}", bytes(download_bytes)) }}
                        </button>
                    }.into_any()
                } else {
                    ().into_any()
                }}
            </div>
            <p class="small">{about}</p>
            <p class="small dim wrap">{format!("{licence} · {url}")}</p>
        </li>
    }
}
