//! The lineage of a run: its path of segments, through its parents back to the first step.

use wire::control::checkpoint::CheckpointRef;
use wire::run::history::{History, Past, Span};
use wire::{CheckpointId, CorpusId, Event, EventRecord, LiveHyperparameters, RunId};

use crate::database::{self, Connection};
use crate::error::StoreError;
use crate::store::Store;

/// Maximum number of ancestors that are followed; a chain is seldom longer than five.
const GENERATIONS: usize = 64;

/// A checkpoint on the way to a step.
#[derive(Debug, Clone, PartialEq)]
pub struct PathState {
    /// Run and checkpoint.
    pub at: CheckpointRef,
    /// The hyperparameters on the way, with which the step was trained.
    pub hyperparameters: LiveHyperparameters,
}

impl Store {
    /// The history of a run, read from its journal.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn history(&self, run: &RunId) -> Result<History, StoreError> {
        self.history_in(&mut *self.database().read().await?, run).await
    }

    /// The past that a worker needs to resume a run.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn past(&self, run: &RunId) -> Result<Past, StoreError> {
        let mut connection = self.database().read().await?;
        let definition = database::runs::definition(&mut connection, run).await?;
        let plan = self.known(definition, run)?.plan;
        let found = database::runs::status(&mut connection, run).await?;
        let progress = self.known(found, run)?.0.progress;
        let saved = database::checkpoints::list(&mut connection, run).await?;
        let kept: Vec<_> = saved.iter().map(|saved| saved.info.id).collect();
        let journal = database::journal::all(&mut connection, run).await?;
        let history = History::read(&plan, &journal);
        let past = history.past(run, &kept, plan.origin.as_ref(), progress.step, progress.elapsed_secs);
        Ok(Past { is_paused: is_paused(&journal), ..past })
    }

    /// [`Store::past`] for a device of another machine than the one that trained the run: only with the checkpoints whose files are here.
    pub async fn past_elsewhere(&self, run: &RunId) -> Result<Past, StoreError> {
        let mut past = self.past(run).await?;
        past.checkpoints.retain(|found| self.has_checkpoint_files(&found.at.run, found.at.checkpoint));
        Ok(past)
    }

    /// The newest kept checkpoint on the way to a step of a segment, also of an abandoned one. Before the first step of a fork, and until it has a
    /// checkpoint of its own, the way is that of its parents to their checkpoint. `None` if no checkpoint is kept there, if a parent was
    /// purged, or if the run with the checkpoint reads other datasets than the one that trained the step.
    pub async fn checkpoint_towards(&self, run: &RunId, at: CheckpointId) -> Result<Option<PathState>, StoreError> {
        let mut connection = self.database().snapshot().await?;
        // `left`: the checkpoint of a parent from which the fork started.
        let (mut run, mut at, mut left) = (run.clone(), at, None);
        let mut trained: Option<(LiveHyperparameters, Vec<CorpusId>)> = None;
        for _ in 0..GENERATIONS {
            let Some(definition) = database::runs::definition(&mut connection, &run).await? else { break };
            let plan = definition.plan;
            let history = History::read(&plan, &database::journal::changes(&mut connection, &run).await?);
            let first_step = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
            if trained.is_none() && at.step >= first_step {
                // A parent may have been changed after that.
                let of_path = left
                    .map_or_else(|| history.hyperparameters_in(at.segment), |left| history.hyperparameters_at(left));
                trained = Some((of_path, plan.corpora()));
            }
            let saved = database::checkpoints::list(&mut connection, &run).await?;
            let kept: Vec<_> = saved.iter().map(|saved| saved.info.id).collect();
            if let Some((checkpoint, (hyperparameters, corpora))) =
                history.checkpoint_towards(at, &kept).zip(trained.clone())
            {
                let state = PathState { at: CheckpointRef { run, checkpoint }, hyperparameters };
                return Ok((corpora == plan.corpora()).then_some(state));
            }
            let Some(CheckpointRef { run: parent, checkpoint }) = plan.origin.map(|origin| origin.from) else { break };
            at = CheckpointId { segment: checkpoint.segment, step: at.step.min(checkpoint.step) };
            (run, left) = (parent, Some(checkpoint));
        }
        Ok(None)
    }

    /// The complete path of a run, oldest span first. A purged parent is left out, with everything before it.
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
        let definition = database::runs::definition(connection, run).await?;
        Ok(definition.and_then(|definition| definition.plan.origin).map(|origin| origin.from))
    }
}

fn named(run: &RunId, spans: Vec<(u32, u64, Option<u64>)>) -> Vec<Span> {
    let span = |(segment, from_step, to_step)| Span { run: run.clone(), segment, from_step, to_step };
    spans.into_iter().map(span).collect()
}

/// Whether the run was paused at its last event. A run that was to take some steps and pause resumes paused.
fn is_paused(journal: &[EventRecord]) -> bool {
    let last = journal.iter().rev().find_map(|record| match &record.event {
        Event::Stepping { .. } => Some(true),
        Event::Resumed | Event::Started { .. } => Some(false),
        event => event.pauses().then_some(true),
    });
    last.unwrap_or(false)
}
