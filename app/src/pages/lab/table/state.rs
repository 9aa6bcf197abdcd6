//! The query of the table and the page of runs that it gives. Fetched again when the query changes, when the list of runs changes, and
//! every few seconds while a run trains.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunState;
use wire::run::table::{Deleted, RunFacets, RunQuery, SavedFilter};

use crate::base::at;
use crate::components::interval;
use crate::net::api::runs::{RunPage, query_string};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::open_view::{OpenView, PageView};
use crate::projects::Projects;
use crate::route::Router;
use crate::session::Session;

/// Runs on a page.
pub(super) const PAGE: u32 = 100;
/// Time between a change of the list and the request: several changes make one request.
const SETTLE: Duration = Duration::from_millis(300);
/// Interval between requests while a run trains.
const REFRESH: Duration = Duration::from_secs(5);

/// What is shown in the place of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Loading,
    Failed,
    Empty,
    Rows,
}

/// The state that the parts of the table share.
#[derive(Clone, Copy)]
pub(in crate::pages::lab) struct TableState {
    live: Live,
    /// Without limit and cursor.
    pub(in crate::pages::lab) query: RwSignal<RunQuery>,
    /// Cursors of the pages after the first, up to the one that is shown.
    pub(super) cursors: RwSignal<Vec<String>>,
    pub(super) page: RwSignal<Option<RunPage>>,
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    pub(super) stage: Memo<Stage>,
    pub(super) facets: RwSignal<RunFacets>,
    pub(super) filters: RwSignal<Vec<SavedFilter>>,
    /// Number of the last request: older answers are ignored.
    last_request: StoredValue<u32>,
}

impl TableState {
    /// The table with the query of the address. It is fetched until the surrounding component goes.
    pub(in crate::pages::lab) fn start() -> Self {
        let router = expect_context::<Router>();
        let (page, failure) = (RwSignal::new(None::<RunPage>), RwSignal::new(None));
        let stage = Memo::new(move |_| match (&*page.read(), failure.read().is_some()) {
            (_, true) => Stage::Failed,
            (None, false) => Stage::Loading,
            (Some(page), false) if page.rows.is_empty() => Stage::Empty,
            _ => Stage::Rows,
        });
        let table = Self {
            live: expect_context(),
            query: RwSignal::new(query_of(router)),
            cursors: RwSignal::default(),
            page,
            failure,
            stage,
            facets: RwSignal::default(),
            filters: RwSignal::default(),
            last_request: StoredValue::new(0),
        };
        table.follow(router);
        // A new run belongs to the project that is shown.
        let chosen = expect_context::<Projects>().chosen;
        Effect::new(move || chosen.set(table.query.read().project.clone()));
        // Saved filters are those of the whole lab.
        if untrack(|| expect_context::<Session>().can_view_lab()) {
            table.fetch_filters();
        }
        table
    }

    fn follow(self, router: Router) {
        expect_context::<OpenView>().register(PageView {
            query: Signal::derive(move || query_string(&self.query.read())),
            show: Callback::new(move |()| self.change(|query| *query = query_of(router))),
            step: None,
            crosshair: None,
        });
        Effect::new(move |before: Option<RunQuery>| {
            let query = self.query.get();
            if before.as_ref().is_some_and(|before| *before != query) {
                self.cursors.set(vec![]);
                router.replace(&at(&format!("/?{}", query_string(&query))));
            }
            query
        });
        Effect::new(move |_| {
            let _ = (self.query.read(), self.cursors.read());
            self.fetch();
        });
        let live = self.live;
        let listed = Memo::new(move |_| {
            let lab = live.lab.read();
            let entry = |run: &wire::RunSummary| {
                (run.id.clone(), run.state, run.name.clone(), run.tags.clone(), run.project.clone())
            };
            lab.as_ref().map(|lab| (lab.counts, lab.runs.iter().map(entry).collect::<Vec<_>>()))
        });
        let is_due = StoredValue::new(false);
        Effect::new(move |before: Option<()>| {
            let _ = listed.read();
            if before.is_none() || is_due.get_value() {
                return;
            }
            is_due.set_value(true);
            set_timeout(
                move || {
                    is_due.try_set_value(false);
                    self.refresh();
                },
                SETTLE,
            );
        });
        interval::every(REFRESH, move || {
            let trains = |lab: &wire::transport::live::LabState| {
                lab.runs.iter().any(|run| matches!(run.state, RunState::Starting | RunState::Running))
            };
            if live.lab.with_untracked(|lab| lab.as_ref().is_some_and(trains)) {
                self.fetch();
            }
        });
        self.fetch_facets();
    }

    /// Fetches the page and the facets again.
    pub(super) fn refresh(self) {
        self.fetch();
        self.fetch_facets();
    }

    /// Fetches the page that is shown.
    pub(super) fn fetch(self) {
        let Some(query) = self.query.try_get_untracked() else { return };
        let Some(number) = self.last_request.try_with_value(|number| number + 1) else { return };
        self.last_request.set_value(number);
        let cursor = self.cursors.with_untracked(|cursors| cursors.last().cloned());
        let query = RunQuery { limit: Some(PAGE), cursor, ..query };
        spawn_local(async move {
            let answer = api::runs::list(&query).await;
            if self.last_request.try_get_value() != Some(number) {
                return;
            }
            match answer {
                Ok(page) => {
                    self.live.know(page.rows.iter().map(|row| row.summary.clone()));
                    self.failure.set(None);
                    if self.page.with_untracked(|shown| shown.as_ref() != Some(&page)) {
                        self.page.set(Some(page));
                    }
                }
                Err(failure) => self.failure.set(Some(failure)),
            }
        });
    }

    fn fetch_facets(self) {
        spawn_local(async move {
            // Without them the menus are empty; the table says what failed.
            if let Ok(facets) = api::runs::facets().await
                && self.facets.try_with_untracked(|known| *known != facets) == Some(true)
            {
                self.facets.set(facets);
            }
        });
    }

    /// Fetches the saved filters.
    pub(super) fn fetch_filters(self) {
        spawn_local(async move {
            if let Ok(filters) = api::runs::filters().await {
                self.filters.try_set(filters);
            }
        });
    }

    /// Changes the query.
    pub(in crate::pages::lab) fn change(self, change: impl FnOnce(&mut RunQuery)) {
        let mut query = self.query.get_untracked();
        change(&mut query);
        if self.query.with_untracked(|known| *known != query) {
            self.query.set(query);
        }
    }

    /// Removes the search and all filters; order, groups and columns stay.
    pub(super) fn clear(self) {
        self.change(|query| {
            *query = RunQuery {
                archived: Some(false),
                sort: query.sort.take(),
                group: query.group,
                columns: query.columns.take(),
                ..RunQuery::default()
            };
        });
    }

    /// Ids of the chosen columns.
    pub(super) fn columns(self) -> Vec<String> {
        list(self.query.read().columns.as_deref())
    }
}

/// The parts of a list that commas separate.
pub(super) fn list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The list with an entry added, or removed if it has it; `None` for an empty list.
pub(super) fn toggled(text: Option<&str>, entry: &str) -> Option<String> {
    let mut entries = list(text);
    match entries.iter().position(|known| known == entry) {
        Some(place) => drop(entries.remove(place)),
        None => entries.push(entry.to_owned()),
    }
    (!entries.is_empty()).then(|| entries.join(","))
}

/// The query of the address; the active runs if it has none.
fn query_of(router: Router) -> RunQuery {
    untrack(|| {
        let text = |key: &str| router.query(key).filter(|value| !value.is_empty());
        let word = |key: &str| text(key).map(serde_json::Value::String);
        let group = word("group").and_then(|group| serde_json::from_value(group).ok());
        let deleted: Option<Deleted> = word("deleted").and_then(|deleted| serde_json::from_value(deleted).ok());
        let archived = match text("archived").as_deref() {
            Some("true") => Some(true),
            _ if deleted.is_some() => None,
            _ => Some(false),
        };
        RunQuery {
            q: text("q"),
            tag: text("tag"),
            state: text("state"),
            dataset: text("dataset"),
            preset: text("preset"),
            project: text("project"),
            archived,
            deleted,
            sort: text("sort"),
            group,
            columns: text("columns"),
            limit: None,
            cursor: None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_list_is_added_and_removed() {
        for (text, entry, expected) in [
            (None, "a", Some("a")),
            (Some("a"), "b", Some("a,b")),
            (Some("a,b,c"), "b", Some("a,c")),
            (Some("a"), "a", None),
        ] {
            assert_eq!(toggled(text, entry).as_deref(), expected, "{text:?} {entry}");
        }
    }
}
