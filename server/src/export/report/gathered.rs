//! The contents of a report, read from the store. Each list is bounded; the report says which ones are not complete.

use research::calibration::{ProjectCalibration, calibration};
use store::{ConversationReader, JournalQuery, Store, StoreError};
use wire::RunSummary;
use wire::access::Visible;
use wire::experiment::record::{ExperimentSummary, ExperimentView};
use wire::research_journal::{EntryKind, JournalEntry};
use wire::research_loop::record::LoopView;
use wire::run::table::RunQuery;
use wire::sweep::record::{Sweep, Trial, TrialState};

use super::figures::LossChart;
use crate::live::clock::now_ms;

/// Maximum numbers of runs, experiments, sweeps, research loops, findings and entries of the timeline.
const RUNS: u32 = 500;
const EXPERIMENTS: usize = 200;
const SWEEPS: u32 = 100;
const LOOPS: u32 = 50;
const FINDINGS: usize = 200;
const ENTRIES: usize = 500;
/// Maximum number of charts.
pub(super) const CHARTS: usize = 12;
/// Best trials that are listed of each sweep.
const BEST: usize = 5;
/// Maximum number of experiments that are counted and scored.
const COUNTED_EXPERIMENTS: u32 = 10_000;

/// The kinds of entries in the timeline of a report. Findings have a table of their own, and runs another.
const TIMELINE_KINDS: [EntryKind; 8] = [
    EntryKind::Hypothesis,
    EntryKind::Verdict,
    EntryKind::Experiment,
    EntryKind::Comparison,
    EntryKind::Sweep,
    EntryKind::Command,
    EntryKind::Note,
    EntryKind::Conversation,
];

/// The contents of a report.
pub struct Gathered {
    pub(super) project: String,
    /// Time of the report, ms since 1970.
    pub(super) made_ms: i64,
    /// The newest runs, newest first, and the number of all.
    pub(super) runs: Vec<RunSummary>,
    pub(super) all_runs: u64,
    /// The newest experiments with their runs, oldest first, and all experiments, newest first.
    pub(super) experiments: Vec<ExperimentView>,
    pub(super) all_experiments: Vec<ExperimentSummary>,
    /// The newest research loops, oldest first.
    pub(super) loops: Vec<LoopView>,
    /// The newest sweeps, oldest first, with their best trials.
    pub(super) sweeps: Vec<(Sweep, Vec<Trial>)>,
    pub(super) has_more_sweeps: bool,
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
    /// Reads a project. The timeline has the conversations of `reader`; none without one.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`]; others of the store.
    pub async fn read(store: &Store, project: &str, reader: Option<ConversationReader>) -> Result<Self, StoreError> {
        store.project(project).await?;
        let query = RunQuery { project: Some(project.to_owned()), limit: Some(RUNS), ..RunQuery::default() };
        let page = store.run_page(&query, &only(project)).await?;
        let runs: Vec<RunSummary> = page.rows.into_iter().map(|row| row.summary).collect();
        let all_experiments = experiments_of(store, project).await?;
        let (sweeps, has_more_sweeps) = newest_sweeps(store, project).await?;
        let query = |kinds: &[EntryKind], limit| JournalQuery {
            project: project.to_owned(),
            limit,
            kinds: kinds.to_vec(),
            reader: reader.clone(),
            ..JournalQuery::default()
        };
        let (findings, has_more_findings) = entries(store, &query(&[EntryKind::Finding], FINDINGS)).await?;
        let (mut timeline, has_more_entries) = entries(store, &query(&TIMELINE_KINDS, ENTRIES)).await?;
        timeline.reverse();
        Ok(Self {
            project: project.to_owned(),
            made_ms: now_ms(),
            charts: charts(store, &runs).await?,
            runs,
            all_runs: page.total,
            experiments: newest_experiments(store, &all_experiments).await?,
            calibration: calibration(store.finding_counts(project).await?, &all_experiments),
            all_experiments,
            loops: newest_loops(store, project).await?,
            sweeps,
            has_more_sweeps,
            findings,
            has_more_findings,
            entries: timeline,
            has_more_entries,
        })
    }
}

/// A query of this project only.
fn only(project: &str) -> Visible {
    Visible::Only { projects: [project.to_owned()].into(), runs: Default::default() }
}

/// The summaries of the experiments of a project, newest first.
pub(super) async fn experiments_of(store: &Store, project: &str) -> Result<Vec<ExperimentSummary>, StoreError> {
    store.experiments(&only(project), COUNTED_EXPERIMENTS).await
}

/// The newest experiments with their runs, oldest first.
async fn newest_experiments(store: &Store, all: &[ExperimentSummary]) -> Result<Vec<ExperimentView>, StoreError> {
    let mut views = vec![];
    for summary in all.iter().take(EXPERIMENTS).rev() {
        views.extend(store.experiment(summary.id).await?);
    }
    Ok(views)
}

/// The newest research loops with their rounds, oldest first.
async fn newest_loops(store: &Store, project: &str) -> Result<Vec<LoopView>, StoreError> {
    let mut views = vec![];
    for summary in store.research_loops(&only(project), LOOPS).await?.into_iter().rev() {
        views.extend(store.research_loop(summary.id).await?);
    }
    Ok(views)
}

async fn entries(store: &Store, query: &JournalQuery) -> Result<(Vec<JournalEntry>, bool), StoreError> {
    let page = store.research_journal(query).await?;
    Ok((page.entries, page.next.is_some()))
}

/// The newest sweeps with their best trials, oldest first, and whether there are older ones.
async fn newest_sweeps(store: &Store, project: &str) -> Result<(Vec<(Sweep, Vec<Trial>)>, bool), StoreError> {
    let mut newest = store.sweeps(&only(project), None, SWEEPS + 1).await?;
    let has_more = newest.len() > SWEEPS as usize;
    newest.truncate(SWEEPS as usize);
    let mut found = vec![];
    for sweep in newest.into_iter().rev() {
        let trials = store.trials(sweep.id, None).await?;
        let best = best_of(&sweep, trials);
        found.push((sweep, best));
    }
    Ok((found, has_more))
}

/// The finished trials with the best values, the best first.
fn best_of(sweep: &Sweep, mut trials: Vec<Trial>) -> Vec<Trial> {
    let direction = sweep.spec.metric.direction;
    trials.retain(|trial| trial.state == TrialState::Finished && trial.last.is_some());
    let order = |trial: &Trial| trial.last.map_or(f64::INFINITY, |value| direction.as_lower_is_better(value));
    trials.sort_by(|one, other| order(one).total_cmp(&order(other)));
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
