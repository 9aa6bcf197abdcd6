//! The Data page: the datasets of the lab with their splits and tokenizations, uploads, and the catalogue.

mod catalogue;
mod dataset_card;
mod files;
mod import_options;
mod preview;
mod upload;

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::CorpusId;
use wire::data::corpus::CorpusInfo;

use crate::components::{Empty, Failure, HubImport, JobList, Skeleton, running_jobs};
use crate::net::api::{self, ApiFailure};
use crate::session::Session;
use catalogue::Catalogue;
use dataset_card::DatasetCard;
use upload::UploadDataset;

/// The list of datasets, in the context of the page.
#[derive(Clone, Copy)]
struct Datasets {
    found: RwSignal<Option<Result<Vec<CorpusInfo>, ApiFailure>>>,
    /// Ids of those whose text is never sent to a provider of a model; `None` until they are known.
    protected: RwSignal<Option<BTreeSet<String>>>,
}

impl Datasets {
    fn fetch(self) {
        spawn_local(async move {
            let found = api::datasets::list().await;
            self.found.try_set(Some(found));
            if let Ok(info) = api::assistant::info().await {
                self.protected.try_set(Some(info.protected.into_iter().collect()));
            }
        });
    }

    fn list(self) -> Vec<CorpusInfo> {
        match &*self.found.read() {
            Some(Ok(datasets)) => datasets.clone(),
            _ => vec![],
        }
    }
}

/// The id of the element of a dataset's card.
fn card_id(dataset: &CorpusId) -> String {
    format!("dataset-{dataset}")
}

#[component]
pub(crate) fn DataPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let datasets = Datasets { found: RwSignal::new(None), protected: RwSignal::new(None) };
    provide_context(datasets);
    let running = running_jobs();
    Effect::new(move || {
        // Read the memo, because `track` does not run a memo that was never read.
        running.get();
        datasets.fetch();
    });
    let ids = Memo::new(move |_| datasets.list().into_iter().map(|dataset| dataset.id).collect::<Vec<_>>());
    // 0: loading, 1: failed, 2: none, 3: some.
    let stage = Memo::new(move |_| match &*datasets.found.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(found)) if found.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    let failure = move || datasets.found.read().as_ref().and_then(|found| found.as_ref().err().cloned());
    view! {
        <main class="page data">
            <section class="stack" aria-labelledby="data-title">
                <h1 id="data-title">"Data"</h1>
                <Show when=move || session.can_steer()><UploadDataset /></Show>
                {move || match stage.get() {
                    0 => view! { <Skeleton rows=3 class="tall" /> }.into_any(),
                    1 => failure().map(|failure| view! {
                        <Failure what="The datasets could not be listed" failure retry=move || datasets.fetch() />
                    }).into_any(),
                    2 => view! {
                        <div class="sheet">
                            <Empty
                                title="No datasets yet"
                                text="The server generates the dataset Tales in the first seconds after its first \
                                      start. You can also import your own text files."
                            />
                        </div>
                    }.into_any(),
                    _ => view! {
                        <div class="stack">
                            <For each=move || ids.get() key=Clone::clone let(id)><DatasetCard id /></For>
                        </div>
                    }.into_any(),
                }}
            </section>
            <aside class="stack" aria-label="Jobs and catalog">
                <JobList />
                <Catalogue />
                <Show when=move || session.can_steer()><HubImport route="datasets" /></Show>
            </aside>
        </main>
    }
}
