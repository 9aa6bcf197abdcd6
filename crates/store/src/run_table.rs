//! The table of runs: filtered, sorted and in pages. The database gives the fields and values that a query needs of each run, which takes
//! a few milliseconds for a thousand runs; filters and order are computed here. Series files are never opened.

mod cursor;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use wire::access::Visible;
use wire::run::table::columns::{Column, compare};
use wire::run::table::search::RunSearch;
use wire::run::table::{Deleted, GroupBy, MAX_COLUMNS, RunFacets, RunGroup, RunQuery, RunRow, SavedFilter};
use wire::transport::live::RunCounts;
use wire::{ParseError, PlanError, RunId, RunSummary};

use crate::database::run_table::Candidate;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;
use cursor::Cursor;

/// Runs of a lab that a live message contains besides those that are queued or loaded.
const NEWEST: u32 = 200;

/// One page of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    pub rows: Vec<RunRow>,
    /// Number of runs that match the query, on all pages.
    pub total: u64,
    /// Cursor of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// A query as it is applied.
struct Filter<'a> {
    query: &'a RunQuery,
    /// With the tags of the query.
    search: RunSearch,
    states: Vec<&'a str>,
    /// Columns of the conditions, then the column of the order.
    columns: Vec<Column>,
    is_descending: bool,
}

impl<'a> Filter<'a> {
    fn new(query: &'a RunQuery) -> Result<Self, StoreError> {
        let mut search =
            RunSearch::parse(query.q.as_deref().unwrap_or_default()).map_err(|source| invalid("q", source))?;
        let (is_descending, sort) = match query.sort.as_deref().unwrap_or("-created") {
            sort if sort.starts_with('-') => (true, &sort[1..]),
            sort => (false, sort),
        };
        let mut columns: Vec<Column> = search.conditions.iter().map(|condition| condition.column.clone()).collect();
        columns.push(Column::parse(sort).map_err(|source| invalid("sort", source))?);
        search.tags.extend(list(query.tag.as_deref()).map(str::to_owned));
        Ok(Self { query, states: list(query.state.as_deref()).collect(), columns, is_descending, search })
    }

    fn takes(&self, run: &Candidate) -> bool {
        let query = self.query;
        let is_listed = match query.deleted.unwrap_or_default() {
            Deleted::False => !run.is_deleted,
            Deleted::True => true,
            Deleted::Only => run.is_deleted,
        };
        is_listed
            && query.archived.is_none_or(|archived| run.is_archived == archived)
            && query.preset.as_ref().is_none_or(|preset| *preset == run.preset)
            && query.project.as_ref().is_none_or(|project| *project == run.project)
            && query.dataset.as_ref().is_none_or(|dataset| *dataset == run.corpus)
            && (self.states.is_empty() || self.states.contains(&run.state.as_str()))
            && self.search.tags.iter().all(|tag| run.tags.contains(tag))
            && self.search.parent.as_ref().is_none_or(|parent| run.parent.as_ref() == Some(parent))
            && self.has_words(run)
            && self.search.conditions.iter().zip(&run.values).all(|(one, value)| one.is_met(value.as_ref()))
    }

    fn has_words(&self, run: &Candidate) -> bool {
        if self.search.words.is_empty() {
            return true;
        }
        let Candidate { id, name, preset, corpus, device, state, tags, notes, .. } = run;
        let notes = notes.as_deref().unwrap_or_default();
        let text = format!("{name}\n{id}\n{preset}\n{corpus}\n{device}\n{state}\n{}\n{notes}", tags.join("\n"));
        let text = text.to_lowercase();
        self.search.words.iter().all(|word| text.contains(word))
    }

    fn key(&self, run: &Candidate) -> Cursor {
        Cursor {
            group: self.query.group.map(|by| group_of(run, by)),
            value: run.values.last().cloned().flatten(),
            created_ms: run.created_ms,
            id: run.id.clone(),
        }
    }

    /// Groups by name with the runs of no group last, then the sorted column, then newer runs first.
    fn order(&self, one: &Cursor, other: &Cursor) -> Ordering {
        let by_group = |cursor: &Cursor| (cursor.group.as_deref() == Some(""), cursor.group.clone());
        by_group(one)
            .cmp(&by_group(other))
            .then_with(|| compare(one.value.as_ref(), other.value.as_ref(), self.is_descending))
            .then_with(|| other.created_ms.cmp(&one.created_ms))
            .then_with(|| one.id.cmp(&other.id))
    }
}

/// The columns that a query shows.
fn shown(query: &RunQuery) -> Result<Vec<Column>, StoreError> {
    let shown: Result<Vec<Column>, _> = list(query.columns.as_deref()).map(Column::parse).collect();
    let shown = shown.map_err(|source| invalid("columns", source))?;
    if shown.len() > MAX_COLUMNS {
        let source = PlanError::new("columns", format!("{} columns are too many", shown.len()))
            .hint(format!("choose at most {MAX_COLUMNS}"));
        return Err(StoreError::InvalidQuery { source });
    }
    Ok(shown)
}

fn invalid(field: &str, source: ParseError) -> StoreError {
    StoreError::InvalidQuery { source: PlanError::new(field, source.to_string()) }
}

/// The parts of a list that commas separate.
fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn group_of(run: &Candidate, by: GroupBy) -> String {
    match by {
        GroupBy::Preset => run.preset.clone(),
        GroupBy::Dataset => run.corpus.clone(),
        GroupBy::Tag => run.tags.join(", "),
        GroupBy::Parent => run.parent.clone().unwrap_or_default(),
        GroupBy::Project => run.project.clone(),
    }
}

/// The names with their counts, in order.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<RunGroup> {
    let mut counts = BTreeMap::<&str, u64>::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_iter().map(|(key, count)| RunGroup { key: key.to_owned(), count }).collect()
}

impl Store {
    /// A page of the runs that match a query and may be seen.
    ///
    /// # Errors
    /// [`StoreError::InvalidQuery`] for a search, a cursor or columns that cannot be read; an error of the database.
    pub async fn run_page(&self, query: &RunQuery, visible: &Visible) -> Result<RunPage, StoreError> {
        let filter = Filter::new(query)?;
        let shown = shown(query)?;
        let begins_after = query.cursor.as_deref().map(Cursor::read).transpose()?;
        // All parts are of one state of the database.
        let mut connection = self.database().snapshot().await?;
        let with_notes = !filter.search.words.is_empty();
        let all = database::run_table::candidates(&mut connection, visible, None, &filter.columns, with_notes).await?;
        let mut keys: Vec<Cursor> = all.iter().filter(|run| filter.takes(run)).map(|run| filter.key(run)).collect();
        keys.sort_by(|one, other| filter.order(one, other));
        let groups: HashMap<String, u64> =
            keys.iter().filter_map(|key| key.group.as_deref()).fold(HashMap::new(), |mut counts, key| {
                *counts.entry(key.to_owned()).or_default() += 1;
                counts
            });
        let first = begins_after
            .map_or(0, |cursor| keys.partition_point(|key| filter.order(key, &cursor) != Ordering::Greater));
        let limit = query.limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
        let page = &keys[first..keys.len().min(first.saturating_add(limit))];
        let next = page.last().filter(|_| first + page.len() < keys.len()).map(Cursor::write).transpose()?;
        let ids: Vec<RunId> = page.iter().map(|key| key.id.clone()).collect();
        let mut summaries = by_id(database::runs::of(&mut connection, &ids).await?, |run| run.id.clone());
        let mut values = match shown.is_empty() {
            true => HashMap::new(),
            false => {
                let found =
                    database::run_table::candidates(&mut connection, visible, Some(&ids), &shown, false).await?;
                by_id(found, |run| run.id.clone())
            }
        };
        let row = |key: &Cursor| {
            let values = values.remove(&key.id).map(|run| run.values).unwrap_or_default();
            let named = shown.iter().zip(values).filter_map(|(column, value)| Some((column.id(), value?)));
            let group = |key: &String| RunGroup { key: key.clone(), count: groups.get(key).copied().unwrap_or(0) };
            Some(RunRow {
                summary: summaries.remove(&key.id)?,
                values: named.collect(),
                group: key.group.as_ref().map(group),
            })
        };
        Ok(RunPage { rows: page.iter().filter_map(row).collect(), total: keys.len() as u64, next })
    }

    /// What the runs that may be seen and are not deleted can be filtered by.
    pub async fn run_facets(&self, visible: &Visible) -> Result<RunFacets, StoreError> {
        let mut connection = self.database().snapshot().await?;
        let mut runs = database::run_table::candidates(&mut connection, visible, None, &[], false).await?;
        runs.retain(|run| !run.is_deleted);
        Ok(RunFacets {
            states: counted(runs.iter().map(|run| run.state.as_str())),
            tags: counted(runs.iter().flat_map(|run| &run.tags).map(String::as_str)),
            datasets: counted(runs.iter().map(|run| run.corpus.as_str())),
            presets: counted(runs.iter().map(|run| run.preset.as_str())),
            metrics: database::run_table::metric_names(&mut connection, visible).await?,
        })
    }

    /// Of the runs that may be seen, those that are queued or loaded by a worker and the newest 200 others, newest first, and their
    /// numbers.
    pub async fn current_runs(&self, visible: &Visible) -> Result<(Vec<RunSummary>, RunCounts), StoreError> {
        let mut connection = self.database().snapshot().await?;
        let runs = database::runs::current(&mut connection, NEWEST, visible).await?;
        Ok((runs, database::run_table::counts(&mut connection, visible).await?))
    }

    /// Replaces the tags of a run, which are valid and in order.
    pub async fn set_tags(&self, run: &RunId, tags: &[String]) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::run_table::set_tags(&mut transaction, run, tags).await?;
        self.changed(transaction, run, found).await
    }

    /// Changes the tags of a run; `change` returns the new ones, valid and in order.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`]; the error of `change`, and then nothing changes.
    pub async fn change_tags<E: From<StoreError> + Send>(
        &self,
        run: &RunId,
        change: impl FnOnce(Vec<String>) -> Result<Vec<String>, E> + Send,
    ) -> Result<RunSummary, E> {
        let mut transaction = self.database().write().await?;
        let before = self.summary_in(&mut transaction, run).await?.tags;
        let tags = change(before)?;
        let found = database::run_table::set_tags(&mut transaction, run, &tags).await?;
        Ok(self.changed(transaction, run, found).await?)
    }

    /// The saved filters by name.
    pub async fn filters(&self) -> Result<Vec<SavedFilter>, StoreError> {
        database::run_table::filters(&mut *self.database().read().await?).await
    }

    /// Saves a filter without its limit and cursor, replacing an existing filter with this name.
    ///
    /// # Errors
    /// The errors of [`Self::run_page`].
    pub async fn save_filter(&self, name: &str, query: &RunQuery) -> Result<SavedFilter, StoreError> {
        let query = RunQuery { limit: None, cursor: None, ..query.clone() };
        Filter::new(&query)?;
        shown(&query)?;
        let mut transaction = self.database().write().await?;
        let id = database::run_table::save_filter(&mut transaction, name, &query).await?;
        commit(transaction).await?;
        Ok(SavedFilter { id, name: name.to_owned(), query })
    }

    /// Deletes a saved filter. Returns whether it existed.
    pub async fn remove_filter(&self, id: u64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::run_table::remove_filter(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(found)
    }
}

fn by_id<T>(found: Vec<T>, id: impl Fn(&T) -> RunId) -> HashMap<RunId, T> {
    found.into_iter().map(|one| (id(&one), one)).collect()
}
