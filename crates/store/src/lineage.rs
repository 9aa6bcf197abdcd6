//! Where a run comes from: its own path, and through the runs it was forked from back to the first step.

use wire::checkpoint::CheckpointRef;
use wire::history::{History, Past, Span};
use wire::{Event, EventRecord, RunId};

use crate::database::{self, Connection};
use crate::error::StoreError;
use crate::store::Store;

/// Forks of forks that are followed; a chain is seldom longer than five.
const GENERATIONS: usize = 64;

impl Store {
    /// The tree of a run's changes, read from its journal.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn history(&self, run: &RunId) -> Result<History, StoreError> {
        self.history_in(&mut *self.database().read().await?, run).await
    }

    /// What a worker is given when it takes a run on.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn past(&self, run: &RunId) -> Result<Past, StoreError> {
        let mut connection = self.database().read().await?;
        let papers = database::runs::papers(&mut connection, run).await?;
        let plan = self.known(papers, run)?.plan;
        let found = database::runs::standing(&mut connection, run).await?;
        let progress = self.known(found, run)?.0.progress;
        let saved = database::checkpoints::list(&mut connection, run).await?;
        let kept: Vec<_> = saved.iter().map(|saved| saved.info.id).collect();
        let journal = database::journal::all(&mut connection, run).await?;
        let history = History::read(&plan, &journal);
        let past = history.past(run, &kept, plan.origin.as_ref(), progress.step, progress.elapsed_secs);
        Ok(Past { is_paused: is_paused(&journal), ..past })
    }

    /// A run's whole path, oldest first. A parent that is gone is left out, with all before it.
    pub(crate) async fn lineage_in(
        &self,
        connection: &mut Connection,
        run: &RunId,
        history: &History,
    ) -> Result<Vec<Span>, StoreError> {
        let mut spans = named(run, history.spans());
        let mut from = self.origin_of(connection, run).await?;
        for _ in 0..GENERATIONS {
            let Some(CheckpointRef { run: parent, checkpoint }) = from.take() else { break };
            let Ok(history) = self.history_in(connection, &parent).await else { break };
            spans.splice(0..0, named(&parent, history.spans_to(checkpoint)));
            from = self.origin_of(connection, &parent).await?;
        }
        Ok(spans)
    }

    async fn origin_of(&self, connection: &mut Connection, run: &RunId) -> Result<Option<CheckpointRef>, StoreError> {
        let papers = database::runs::papers(connection, run).await?;
        Ok(papers.and_then(|papers| papers.plan.origin).map(|origin| origin.from))
    }
}

fn named(run: &RunId, spans: Vec<(u32, u64, Option<u64>)>) -> Vec<Span> {
    let span = |(segment, from_step, to_step)| Span { run: run.clone(), segment, from_step, to_step };
    spans.into_iter().map(span).collect()
}

/// Whether the run held when it was last heard of. Told to take some steps and hold, it holds at once.
fn is_paused(journal: &[EventRecord]) -> bool {
    let last = journal.iter().rev().find_map(|record| match record.event {
        Event::Paused | Event::NonFinite { .. } | Event::Stepping { .. } => Some(true),
        Event::Resumed | Event::Started { .. } => Some(false),
        _ => None,
    });
    last.unwrap_or(false)
}
