//! The contents of a report, read from the store. Each list is bounded; the report says how many items it leaves out.

use std::cmp::Ordering;

use research::calibration::ProjectCalibration;
use store::{JournalQuery, Store, StoreError};
use wire::RunSummary;
use wire::access::Visible;
use wire::experiment::record::{ExperimentSummary, ExperimentView};
use wire::research_journal::{EntryKind, JournalEntry};
use wire::run::table::RunQuery;
use wire::sweep::record::{Sweep, Trial, TrialState};

use super::calibration_of;
use super::figures::LossChart;
use crate::live::clock::now_ms;

/// Maximum numbers of runs, experiments, sweeps, findings and entries of the timeline.
const RUNS: u32 = 500;
const EXPERIMENTS: usize = 200;
const SWEEPS: u32 = 100;
const FINDINGS: usize = 200;
const ENTRIES: usize = 500;
/// Maximum number of charts.
const CHARTS: usize = 12;
/// Best trials that are listed of each sweep.
const BEST: usize = 5;
/// Experiments that are read, for the list and for the scores of their authors.
const READ: u32 = 10_000;

/// The kinds of entries in the timeline of a report. Findings have a table of their own, and runs another.
const TOLD: [EntryKind; 7] = [
    EntryKind::Hypothesis,
    EntryKind::Verdict,
    EntryKind::Experiment,
    EntryKind::Comparison,
    EntryKind::Sweep,
    EntryKind::Command,
    EntryKind::Note,
];

/// The contents of a report.
pub struct Gathered {
    pub(super) project: String,
    /// Time of the report, ms since 1970.
    pub(super) made_ms: i64,
    /// The newest runs, newest first, and the number of all.
    pub(super) runs: Vec<RunSummary>,
    pub(super) all_runs: u64,
    /// The newest experiments, oldest first, and the number of all.
    pub(super) experiments: Vec<ExperimentView>,
    pub(super) all_experiments: usize,
    /// The newest sweeps, oldest first, with their best trials.
    pub(super) sweeps: Vec<(Sweep, Vec<Trial>)>,
    /// The newest findings, newest first.
    pub(super) findings: Vec<JournalEntry>,
    pub(super) has_more_findings: bool,
    /// The newest entries of the timeline, oldest first.
    pub(super) entries: Vec<JournalEntry>,
    pub(super) has_more_entries: bool,
    pub(super) charts: Vec<LossChart>,
    pub(super) calibration: ProjectCalibration,
}

impl Gathered {
    /// Reads a project.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`]; others of the store.
    pub async fn read(store: &Store, project: &str) -> Result<Self, StoreError> {
        store.project(project).await?;
        let query = RunQuery { project: Some(project.to_owned()), limit: Some(RUNS), ..RunQuery::default() };
        let page = store.run_page(&query, &only(project)).await?;
        let runs: Vec<RunSummary> = page.rows.into_iter().map(|row| row.summary).collect();
        let (experiments, all_experiments) = newest_experiments(store, project).await?;
        let (findings, has_more_findings) = entries(store, project, &[EntryKind::Finding], FINDINGS).await?;
        let (mut told, has_more_entries) = entries(store, project, &TOLD, ENTRIES).await?;
        told.reverse();
        Ok(Self {
            project: project.to_owned(),
            made_ms: now_ms(),
            charts: charts(store, &runs).await?,
            runs,
            all_runs: page.total,
            experiments,
            all_experiments,
            sweeps: sweeps(store, project).await?,
            findings,
            has_more_findings,
            entries: told,
            has_more_entries,
            calibration: calibration_of(store, project).await?,
        })
    }
}

/// A query of this project only.
fn only(project: &str) -> Visible {
    Visible::Only { projects: [project.to_owned()].into(), runs: Default::default() }
}

/// The experiments of a project, newest first.
pub(super) async fn experiments_of(store: &Store, project: &str) -> Result<Vec<ExperimentSummary>, StoreError> {
    store.experiments(&only(project), READ).await
}

async fn newest_experiments(store: &Store, project: &str) -> Result<(Vec<ExperimentView>, usize), StoreError> {
    let all = experiments_of(store, project).await?;
    let mut views = vec![];
    for summary in all.iter().take(EXPERIMENTS).rev() {
        views.extend(store.experiment(summary.id).await?);
    }
    Ok((views, all.len()))
}

async fn entries(
    store: &Store,
    project: &str,
    kinds: &[EntryKind],
    limit: usize,
) -> Result<(Vec<JournalEntry>, bool), StoreError> {
    let query = JournalQuery { project: project.to_owned(), limit, kinds: kinds.to_vec(), ..JournalQuery::default() };
    let page = store.research_journal(&query).await?;
    Ok((page.entries, page.next.is_some()))
}

async fn sweeps(store: &Store, project: &str) -> Result<Vec<(Sweep, Vec<Trial>)>, StoreError> {
    let mut found = vec![];
    for sweep in store.sweeps(&only(project), None, SWEEPS).await?.into_iter().rev() {
        let trials = store.trials(sweep.id, None).await?;
        let best = best_of(&sweep, trials);
        found.push((sweep, best));
    }
    Ok(found)
}

/// The finished trials with the best values, the best first.
fn best_of(sweep: &Sweep, mut trials: Vec<Trial>) -> Vec<Trial> {
    let direction = sweep.spec.metric.direction;
    trials.retain(|trial| trial.state == TrialState::Finished && trial.last.is_some());
    let value = |trial: &Trial| trial.last.map(|value| direction.as_lower_is_better(value));
    trials.sort_by(|one, other| value(one).partial_cmp(&value(other)).unwrap_or(Ordering::Equal));
    trials.truncate(BEST);
    trials
}

/// The charts of the newest runs with values: first those that no sweep and no experiment has started.
async fn charts(store: &Store, runs: &[RunSummary]) -> Result<Vec<LossChart>, StoreError> {
    let is_part =
        |run: &RunSummary| run.tags.iter().any(|tag| tag.starts_with("sweep:") || tag.starts_with("experiment:"));
    let (parts, own): (Vec<_>, Vec<_>) = runs.iter().filter(|run| run.step > 0).partition(|run| is_part(run));
    let mut charts = vec![];
    for run in own.into_iter().chain(parts) {
        if charts.len() == CHARTS {
            break;
        }
        charts.extend(LossChart::read(store, &run.id).await?);
    }
    Ok(charts)
}
