//! Fair comparison of runs and groups of runs, for the API and the command line: which runs a group names, the families of seeds that
//! give the noise floor, and the scores on tasks. The comparison itself is [`research::compare`].

use std::collections::BTreeSet;

use research::compare::{
    FairComparison, Groups, MeasuredRun, ScoredRun, TaskComparison, compare_groups, compare_scores,
};
use store::{Store, StoreError};
use wire::series::Axis;
use wire::{RunId, RunState, RunSummary, RunView};

use super::measured::{differ_in_seed_only, family_of, measure, scored};

/// Maximum number of runs in a comparison.
pub const MAX_RUNS: usize = 200;

/// The runs of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub baseline: Vec<RunId>,
    /// Each group is compared with the baseline.
    pub changes: Vec<Vec<RunId>>,
}

/// Compares runs that exist. `visible` are the summaries of the runs whose values the noise floor may use.
///
/// # Errors
/// An error of the store.
pub async fn compare(
    store: &Store,
    wanted: &Wanted,
    visible: &[RunSummary],
    equal: Axis,
    at: Option<f64>,
) -> Result<FairComparison, StoreError> {
    let mut groups = Groups { baseline: read(store, &wanted.baseline).await?, ..Groups::default() };
    for group in &wanted.changes {
        groups.changes.push(read(store, group).await?);
    }
    let mut seen = BTreeSet::new();
    for run in wanted.baseline.iter().chain(wanted.changes.iter().flatten()) {
        let tag = visible.iter().find(|summary| summary.id == *run).and_then(family_of);
        let Some(tag) = tag.filter(|tag| seen.insert((*tag).to_owned())) else { continue };
        let family = family(store, run, tag, visible).await?;
        groups.families.push(read(store, &family).await?);
    }
    // The intervals of large groups take some milliseconds.
    let compared = tokio::task::spawn_blocking(move || compare_groups(&groups, equal, at)).await;
    let compared = compared.map_err(|source| StoreError::Aborted { path: store.dir().to_owned(), source })?;
    Ok(FairComparison { tasks: scores(store, wanted).await?, ..compared })
}

/// The scores on the tasks that all runs have; empty as soon as one of them has none.
async fn scores(store: &Store, wanted: &Wanted) -> Result<Vec<TaskComparison>, StoreError> {
    let mut groups: Vec<Vec<ScoredRun>> = vec![];
    for group in std::iter::once(&wanted.baseline).chain(&wanted.changes) {
        let mut runs = vec![];
        for run in group {
            match scored(store, run).await? {
                Some(run) if !run.results.is_empty() => runs.push(run),
                _ => return Ok(vec![]),
            }
        }
        groups.push(runs);
    }
    let (baseline, changes) = groups.split_at(1);
    Ok(compare_scores(&baseline.concat(), changes))
}

async fn read(store: &Store, runs: &[RunId]) -> Result<Vec<MeasuredRun>, StoreError> {
    let mut found = vec![];
    for run in runs {
        found.extend(measure(store, run).await?);
    }
    Ok(found)
}

/// The runs that differ from a run in the seed only, and the run itself.
async fn family(store: &Store, run: &RunId, tag: &str, visible: &[RunSummary]) -> Result<Vec<RunId>, StoreError> {
    let Some(first) = store.run(run).await? else { return Ok(vec![]) };
    let (mut found, mut seeds) = (vec![run.clone()], BTreeSet::from([first.plan.seed]));
    for other in visible.iter().filter(|other| other.id != *run && family_of(other) == Some(tag)).take(MAX_RUNS) {
        let view: Option<RunView> = store.run(&other.id).await?;
        let is_repeat = |view: &RunView| differ_in_seed_only(&first, view);
        if view.is_some_and(|view| is_repeat(&view) && seeds.insert(view.plan.seed)) {
            found.push(other.id.clone());
        }
    }
    Ok(found)
}

/// The runs with a tag that trained all their steps, in the order of their creation.
pub fn tagged(tag: &str, visible: &[RunSummary]) -> Vec<RunId> {
    let is_meant = |run: &&RunSummary| {
        run.deleted_ms.is_none() && run.state == RunState::Finished && run.tags.iter().any(|own| own == tag)
    };
    let mut found: Vec<&RunSummary> = visible.iter().filter(is_meant).collect();
    found.sort_by_key(|run| run.created_ms);
    found.into_iter().map(|run| run.id.clone()).collect()
}
