//! The entries of the timeline: fetched in pages, and the newest again every few seconds.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::research_journal::{EntrySubject, JournalEntry, JournalPage, Place};

use crate::assistant::Assistant;
use crate::base::at;
use crate::components::interval::every;
use crate::components::number::{grouped, moment};
use crate::components::{Empty, Failure, Skeleton, clicks, isolated, shows};
use crate::net::api::ApiFailure;
use crate::net::api::journal::{self, JournalFilter};
use crate::pages::experiments::words::author_name;
use crate::route::{compare_path, run_path, sweep_path};

/// Time between two requests for the newest entries.
const REFRESH: Duration = Duration::from_secs(5);

/// The filter and the entries that it gives.
#[derive(Clone, Copy)]
pub(super) struct Timeline {
    project: Memo<Option<String>>,
    pub(super) filter: RwSignal<JournalFilter>,
    /// Newest first; `None` until they are fetched.
    pub(super) entries: RwSignal<Option<Vec<JournalEntry>>>,
    /// Where the next page begins; `None` after the last one.
    next: RwSignal<Option<Place>>,
    failure: RwSignal<Option<ApiFailure>>,
    is_loading: RwSignal<bool>,
    /// Number of the last request: earlier answers are ignored.
    last_request: StoredValue<u32>,
}

/// Which entries a request asks for.
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    /// The newest entries, in place of those that are listed.
    First,
    /// The newest entries, before those that are listed.
    Newest,
    /// The entries before a place.
    Before(Place),
}

impl Timeline {
    pub(super) fn start(project: Memo<Option<String>>) -> Self {
        let timeline = Self {
            project,
            filter: RwSignal::new(JournalFilter::default()),
            entries: RwSignal::new(None),
            next: RwSignal::new(None),
            failure: RwSignal::new(None),
            is_loading: RwSignal::new(false),
            last_request: StoredValue::new(0),
        };
        Effect::new(move |before: Option<Option<String>>| {
            timeline.filter.track();
            let project = project.get();
            if before.is_some_and(|before| before != project) {
                timeline.entries.set(None);
            }
            timeline.fetch(Wanted::First);
            project
        });
        every(REFRESH, move || {
            if timeline.is_loading.try_get_untracked() == Some(false) && !document().hidden() {
                timeline.fetch(Wanted::Newest);
            }
        });
        timeline
    }

    fn fetch(self, wanted: Wanted) {
        let Some(project) = self.project.get_untracked() else { return };
        let number = self.last_request.get_value() + 1;
        self.last_request.set_value(number);
        self.is_loading.set(wanted != Wanted::Newest);
        let filter = self.filter.get_untracked();
        spawn_local(async move {
            let before = if let Wanted::Before(place) = &wanted { Some(place) } else { None };
            let answer = journal::page(&project, &filter, before).await;
            if self.last_request.try_get_value() != Some(number) {
                return;
            }
            self.is_loading.set(false);
            match answer {
                Ok(page) => self.put(page, &wanted),
                // What is listed stays when a refresh fails.
                Err(_) if wanted == Wanted::Newest && self.entries.read_untracked().is_some() => {}
                Err(failure) => self.failure.set(Some(failure)),
            }
        });
    }

    fn put(self, page: JournalPage, wanted: &Wanted) {
        self.failure.set(None);
        let known = self.entries.get_untracked().unwrap_or_default();
        let (entries, next) = match wanted {
            Wanted::First => (page.entries, page.next),
            Wanted::Newest => renewed(&known, self.next.get_untracked(), page),
            Wanted::Before(_) => (known.iter().cloned().chain(page.entries).collect(), page.next),
        };
        self.next.set(next);
        if self.entries.with_untracked(|known| known.as_ref() != Some(&entries)) {
            self.entries.set(Some(entries));
        }
    }

    /// Changes the filter.
    pub(super) fn change(self, change: impl FnOnce(&mut JournalFilter)) {
        let Some(mut filter) = self.filter.try_get_untracked() else { return };
        change(&mut filter);
        if self.filter.with_untracked(|known| *known != filter) {
            self.filter.set(filter);
        }
    }
}

/// The newest page before the older entries that are listed, and where the next page begins.
fn renewed(known: &[JournalEntry], next: Option<Place>, page: JournalPage) -> (Vec<JournalEntry>, Option<Place>) {
    let Some(oldest) = page.next else { return (page.entries, None) };
    // Entries between the page and those that are listed are not known: the next page has them.
    if known.first().is_none_or(|newest| newest.place < oldest) {
        return (page.entries, Some(oldest));
    }
    let older: Vec<JournalEntry> = known.iter().filter(|entry| entry.place < oldest).cloned().collect();
    let next = if older.is_empty() { Some(oldest) } else { next };
    (page.entries.into_iter().chain(older).collect(), next)
}

/// The list.
#[component]
pub(super) fn Entries() -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    // 0: loading, 1: nothing could be fetched, 2: no entry, 3: some.
    let stage = Memo::new(move |_| match (&*timeline.entries.read(), timeline.failure.read().is_some()) {
        (None, true) => 1,
        (None, false) => 0,
        (Some(entries), _) if entries.is_empty() && timeline.next.read().is_none() => 2,
        _ => 3,
    });
    // A memo: each failed request sets the failure, and an alert that is built again is read aloud again.
    let failure = Memo::new(move |_| timeline.failure.get());
    let alert = move || {
        failure.get().map(|failure| {
            let retry = move |()| timeline.fetch(Wanted::First);
            view! { <Failure what="The research journal could not be fetched" failure retry /> }
        })
    };
    view! {
        {shows(alert)}
        {shows(move || match stage.get() {
            0 => view! { <Skeleton rows=6 /> }.into_any(),
            1 => ().into_any(),
            2 => view! { <Nothing /> }.into_any(),
            _ => view! { <List /> }.into_any(),
        })}
    }
}

#[component]
fn Nothing() -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    let is_filtered = move || *timeline.filter.read() != JournalFilter::default();
    shows(move || {
        if is_filtered() {
            return view! { <Empty title="No entry matches" text="Change or clear the filters." /> }.into_any();
        }
        let text =
            "Start a run, state a hypothesis as an experiment, or start a sweep: what happens then is listed here.";
        view! { <Empty title="Nothing was recorded yet" text /> }.into_any()
    })
}

#[component]
fn List() -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    let entries = move || timeline.entries.get().unwrap_or_default();
    let more = move || {
        if let Some(next) = timeline.next.get_untracked() {
            timeline.fetch(Wanted::Before(next));
        }
    };
    view! {
        <ol class="sheet list" aria-label="Research journal">
            <For each=entries key=|entry| (entry.place.to_string(), entry.subject.name().to_owned(), entry.text.clone()) let(entry)>
                <Line entry />
            </For>
        </ol>
        {shows(move || timeline.next.read().is_some().then(|| view! {
            <div class="row pager">
                <button
                    title="Fetch older entries"
                    disabled=move || timeline.is_loading.get()
                    on:click=clicks(move |_| more())
                >
                    "Older entries"
                </button>
            </div>
        }))}
    }
}

#[component]
fn Line(entry: JournalEntry) -> impl IntoView {
    let about = [
        entry.step.map(|step| format!("step {}", grouped(step))),
        Some(author_name(&entry.author)),
        Some(moment(entry.at_ms() as f64)),
    ];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    view! {
        <li class="journal-entry" data-kind=entry.kind.word()>
            <div class="row">
                <span class="tag">{entry.kind.word()}</span>
                {subject_link(&entry.subject)}
                <span class="grow"></span>
                <span class="small dim">{about}</span>
            </div>
            <p>{isolated(&entry.text)}</p>
        </li>
    }
}

/// The name of the subject, which opens its page, or its conversation in the panel.
fn subject_link(subject: &EntrySubject) -> AnyView {
    let name = isolated(subject.name());
    let (href, title) = match subject {
        EntrySubject::Run { id, .. } => (run_path(id), "Open the page of the run"),
        EntrySubject::Experiment { id, .. } => (at(&format!("/experiments/{id}")), "Open the page of the experiment"),
        EntrySubject::Sweep { id, .. } => (sweep_path(*id), "Open the page of the sweep"),
        EntrySubject::Comparison { runs, .. } => (compare_path(runs), "Compare the runs again"),
        EntrySubject::Conversation { id, .. } => {
            let (assistant, id) = (expect_context::<Assistant>(), *id);
            return view! {
                <button
                    class="run-name journal-conversation"
                    title="Open the conversation in the panel of the assistant; only you can read it"
                    on:click=clicks(move |_| assistant.show(id))
                >
                    {name}
                </button>
            }
            .into_any();
        }
    };
    view! { <a class="run-name" href=href title=title>{name}</a> }.into_any()
}

#[cfg(test)]
mod tests {
    use wire::Author;
    use wire::research_journal::EntryKind;

    use super::*;

    fn place(at_ms: i64) -> Place {
        format!("{at_ms}.0.1.amber-fox").parse().unwrap()
    }

    fn entry(at_ms: i64) -> JournalEntry {
        JournalEntry {
            place: place(at_ms),
            kind: EntryKind::Note,
            author: Author::System,
            subject: EntrySubject::Run { id: "amber-fox".parse().unwrap(), name: "amber-fox".into() },
            step: None,
            text: format!("at {at_ms}"),
        }
    }

    #[test]
    fn a_refresh_adds_the_newest_entries_and_keeps_older_pages() {
        let times = |entries: &[JournalEntry]| entries.iter().map(JournalEntry::at_ms).collect::<Vec<_>>();
        let known = [entry(5), entry(4), entry(3), entry(2)];
        let page = |times: [i64; 2], next: Option<i64>| JournalPage {
            entries: times.map(entry).to_vec(),
            next: next.map(place),
        };
        let (all, next) = renewed(&known, Some(place(2)), page([6, 5], Some(5)));
        assert_eq!((times(&all), next), (vec![6, 5, 4, 3, 2], Some(place(2))));
        let (all, next) = renewed(&known, None, page([9, 8], Some(8)));
        assert_eq!((times(&all), next), (vec![9, 8], Some(place(8))), "6 and 7 may exist");
        let (all, next) = renewed(&known[..1], Some(place(5)), page([6, 5], Some(5)));
        assert_eq!((times(&all), next), (vec![6, 5], Some(place(5))));
        let (all, next) = renewed(&known, None, page([6, 5], None));
        assert_eq!((times(&all), next), (vec![6, 5], None));
    }
}
