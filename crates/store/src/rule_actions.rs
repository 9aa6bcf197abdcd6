//! Actions of rules: a decision is stored with its finding, then the number of its command, then the command is sent, and its event settles
//! the decision. Whatever ends the server in between, the next one finds how far it came.

use wire::diagnosis::RunFinding;
use wire::transport::link::Report;
use wire::{EventRecord, RunId};

use crate::database::findings::StoredFinding;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::findings::Recorded;
use crate::store::Store;

/// What has settled the decision of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionOutcome {
    /// The event of its command.
    Done { event: u64 },
    /// An event that made the command unnecessary.
    DoneBefore { event: u64 },
    /// Why nothing was done, as a sentence.
    Failed { failure: String },
}

impl Store {
    /// Findings whose rules have decided to act and have not been answered, oldest first.
    pub async fn open_actions(&self) -> Result<Vec<StoredFinding>, StoreError> {
        database::findings::open_actions(&mut *self.database().read().await?).await
    }

    /// Stores the number of the command with which a rule acts, before it is sent. Returns the number that is stored: the first one.
    pub async fn number_action(&self, run: &RunId, finding: u64, command_id: u64) -> Result<u64, StoreError> {
        let mut transaction = self.database().write().await?;
        let stored = database::findings::put_command(&mut transaction, run, finding, command_id).await?;
        let stored = self.known(stored, run)?;
        commit(transaction).await?;
        Ok(stored)
    }

    /// Settles the decision of a rule.
    pub async fn settle_action(
        &self,
        run: &RunId,
        finding: u64,
        outcome: ActionOutcome,
    ) -> Result<Recorded, StoreError> {
        self.change_findings(run, None, |known| settle(known, finding, outcome)).await
    }

    /// Settles the decision of a rule that is not carried out, together with the event that says why.
    pub async fn refuse_action(
        &self,
        run: &RunId,
        finding: u64,
        report: Report,
        failure: String,
    ) -> Result<(EventRecord, Recorded), StoreError> {
        let mut transaction = self.database().write().await?;
        let (event, _, dropped) = self.journal(&mut transaction, run, report).await?;
        let settle = |known: &mut Vec<RunFinding>| settle(known, finding, ActionOutcome::Failed { failure });
        let recorded = self.change_findings_in(&mut transaction, run, None, settle).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok((event, recorded))
    }

    /// The event that answered a command.
    pub async fn event_of_command(&self, run: &RunId, command_id: u64) -> Result<Option<EventRecord>, StoreError> {
        database::journal::of_command(&mut *self.database().read().await?, run, command_id).await
    }

    /// The newest event that paused the run.
    pub async fn last_pause(&self, run: &RunId) -> Result<Option<EventRecord>, StoreError> {
        let mut connection = self.database().read().await?;
        let events = database::journal::of_kinds(&mut connection, run, ["paused", "non_finite"]).await?;
        Ok(events.into_iter().rfind(|record| record.event.pauses()))
    }

    /// The events that the rules read, in order: non-finite values, whose step has no row, and budgets that ended the run, because the last
    /// evaluation reads other windows than those before.
    pub async fn events_for_rules(&self, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
        let mut connection = self.database().read().await?;
        database::journal::of_kinds(&mut connection, run, ["non_finite", "budget_reached"]).await
    }

    /// The rollbacks of a run, in order, abandoned ones too.
    pub async fn rollbacks(&self, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
        database::journal::of_kinds(&mut *self.database().read().await?, run, ["rolled_back"; 2]).await
    }
}

fn settle(known: &mut [RunFinding], finding: u64, outcome: ActionOutcome) {
    let named = known.iter_mut().find(|found| found.id == finding).and_then(|found| found.action.as_mut());
    let Some(action) = named else { return };
    match outcome {
        ActionOutcome::Done { event } => (action.event, action.failure) = (Some(event), None),
        ActionOutcome::DoneBefore { event } => {
            (action.event, action.failure, action.was_done_before) = (Some(event), None, true);
        }
        ActionOutcome::Failed { failure } => action.failure = Some(failure),
    }
}
