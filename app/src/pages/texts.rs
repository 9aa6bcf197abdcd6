//! The texts of the lab: what is known of each, how it is cut into tokens, and the ways to bring more.

mod bring;
mod catalogue;
mod dropped;
mod text_card;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::corpus::CorpusInfo;

use crate::api::{self, ApiFailure};
use crate::parts::{Empty, Failure, JobList, Skeleton, running_jobs};
use crate::session::Session;
use bring::BringText;
use catalogue::Catalogue;
use text_card::TextCard;

/// The list as last fetched, in context for the page's parts.
#[derive(Clone, Copy)]
struct Texts {
    found: RwSignal<Option<Result<Vec<CorpusInfo>, ApiFailure>>>,
}

impl Texts {
    fn fetch(self) {
        spawn_local(async move {
            let found = api::corpora().await;
            self.found.try_set(Some(found));
        });
    }

    fn list(self) -> Vec<CorpusInfo> {
        match &*self.found.read() {
            Some(Ok(texts)) => texts.clone(),
            _ => vec![],
        }
    }
}

/// The page.
#[component]
pub(crate) fn TextsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let texts = Texts { found: RwSignal::new(None) };
    provide_context(texts);
    let running = running_jobs();
    Effect::new(move || {
        // Read, since a memo that is only tracked never learns of anything.
        running.get();
        texts.fetch();
    });
    let ids = Memo::new(move |_| texts.list().into_iter().map(|text| text.id).collect::<Vec<_>>());
    // 0: loading, 1: failed, 2: none, 3: some.
    let stage = Memo::new(move |_| match &*texts.found.read() {
        None => 0,
        Some(Err(_)) => 1,
        Some(Ok(found)) if found.is_empty() => 2,
        Some(Ok(_)) => 3,
    });
    let failure = move || texts.found.read().as_ref().and_then(|found| found.as_ref().err().cloned());
    view! {
        <main class="page texts">
            <section class="stack" aria-labelledby="texts-title">
                <h1 id="texts-title">"Texts"</h1>
                {move || match stage.get() {
                    0 => view! { <Skeleton rows=3 class="tall" /> }.into_any(),
                    1 => failure().map(|failure| view! { <Failure what="The texts could not be listed" failure retry=move || texts.fetch() /> }).into_any(),
                    2 => view! {
                        <div class="sheet"><Empty title="No text yet" text="Tales, the lab's own stories, is written in the first seconds of a new lab. Or bring a text of your own." /></div>
                    }.into_any(),
                    _ => view! {
                        <div class="stack"><For each=move || ids.get() key=Clone::clone let(id)><TextCard id /></For></div>
                    }.into_any(),
                }}
            </section>
            <aside class="stack" aria-label="Bring a text">
                <Show when=move || session.can_steer()><BringText /></Show>
                <JobList />
                <Catalogue />
            </aside>
        </main>
    }
}
