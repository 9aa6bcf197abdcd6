//! The Audit page: who changed what, when and from where, newest first, with [`filters`] and as a file; [`entries`] lists it. For admins of the
//! lab.

mod entries;
mod filters;
mod span;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::audit::{AuditEntry, AuditQuery};

use crate::components::{Empty, Failure, Icon, Skeleton};
use crate::net::api::{ApiFailure, people};
use crate::session::Session;
use entries::EntryTable;
use filters::Filters;

/// Entries that are fetched at once.
const PAGE: u32 = 100;

/// The query and the entries that it gives.
#[derive(Clone, Copy)]
struct AuditLog {
    /// Without limit and `before`.
    query: RwSignal<AuditQuery>,
    entries: RwSignal<Option<Vec<AuditEntry>>>,
    /// `before` of the next page; `None` on the last one.
    next: RwSignal<Option<i64>>,
    failure: RwSignal<Option<ApiFailure>>,
    is_loading: RwSignal<bool>,
    /// Number of the last request: older answers are ignored.
    last_request: StoredValue<u32>,
}

impl AuditLog {
    fn start() -> Self {
        let log = Self {
            query: RwSignal::new(AuditQuery::default()),
            entries: RwSignal::new(None),
            next: RwSignal::new(None),
            failure: RwSignal::new(None),
            is_loading: RwSignal::new(false),
            last_request: StoredValue::new(0),
        };
        Effect::new(move || {
            log.query.track();
            log.fetch(None);
        });
        log
    }

    /// Fetches the newest entries, or those before a number, which are added to the list.
    fn fetch(self, before: Option<i64>) {
        let number = self.last_request.get_value() + 1;
        self.last_request.set_value(number);
        let query = AuditQuery { before, limit: Some(PAGE), ..self.query.get_untracked() };
        self.is_loading.set(true);
        spawn_local(async move {
            let answer = people::audit(&query).await;
            if self.last_request.try_get_value() != Some(number) {
                return;
            }
            self.is_loading.set(false);
            match answer {
                Ok(page) => {
                    self.failure.set(None);
                    self.next.set(page.next);
                    self.entries.update(|entries| match entries {
                        Some(entries) if before.is_some() => entries.extend(page.entries),
                        _ => *entries = Some(page.entries),
                    });
                }
                Err(failure) => self.failure.set(Some(failure)),
            }
        });
    }

    /// Changes the query.
    fn change(self, change: impl FnOnce(&mut AuditQuery)) {
        let mut query = self.query.get_untracked();
        change(&mut query);
        if self.query.with_untracked(|known| *known != query) {
            self.query.set(query);
        }
    }
}

#[component]
pub(crate) fn AuditPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let is_admin = Memo::new(move |_| session.is_admin());
    move || {
        match is_admin.get() {
        true => view! { <Log /> }.into_any(),
        false => view! {
            <main class="page">
                <h1 class="unseen">"Audit log"</h1>
                <Empty title="Only admins of the lab see the audit log" text="Your role does not permit access to it. An admin can export it for you." />
            </main>
        }
        .into_any(),
    }
    }
}

#[component]
fn Log() -> impl IntoView {
    let log = AuditLog::start();
    provide_context(log);
    // 0: loading, 1: nothing could be fetched, 2: no entry, 3: some.
    let stage = Memo::new(move |_| match (&*log.entries.read(), log.failure.read().is_some()) {
        (None, true) => 1,
        (None, false) => 0,
        (Some(entries), _) if entries.is_empty() => 2,
        _ => 3,
    });
    let failure = move || {
        log.failure.get().map(|failure| {
            view! { <Failure what="The audit log could not be read" failure retry=move |()| log.fetch(None) /> }
        })
    };
    view! {
        <main class="page audit stack">
            <div class="row">
                <h1 class="grow">"Audit log"</h1>
                <a
                    class="button"
                    href=move || people::audit_file(&log.query.read())
                    download=""
                    title="The entries that match the filters as a CSV file, at most 100 000"
                >
                    <Icon name="download" />
                    "Export (CSV)"
                </a>
            </div>
            <p class="dim">
                "Every request that changed something or was refused: who sent it, when, and from where. Requests that only read are listed only if they were refused."
            </p>
            <Filters />
            {failure}
            {move || match stage.get() {
                0 => view! { <Skeleton rows=6 /> }.into_any(),
                1 => ().into_any(),
                2 => view! {
                    <div class="sheet">
                        <Empty title="No entry matches" text="Change or clear the filters. The log begins with the first start of this version." />
                    </div>
                }.into_any(),
                _ => view! { <EntryTable /> }.into_any(),
            }}
        </main>
    }
}
