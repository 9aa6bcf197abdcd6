//! Proposals of agents. A proposal is decided once: of two people who decide at the same time, the first one does. A decision is stored
//! before the call is carried out, and the outcome after that, so that a server that was killed in between finds it
//! ([`Store::unfinished_proposals`]).

use wire::RunId;
use wire::access::Visible;
use wire::proposal::{Proposal, ProposalOutcome, ProposalPreview};

use crate::alerts::of_proposal;
use crate::clock::now_ms;
use crate::database::proposals::Filter;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::proposal_records::{DecisionRecord, NewProposal, ProposalRecord};
use crate::store::Store;

/// How long a proposal is kept, ms: 90 days, as an act of an agent.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;
/// Proposals of a token that may wait for a decision at the same time.
const MAX_PENDING: u64 = 50;

/// Which proposals are listed, newest first.
#[derive(Debug, Clone, Default)]
pub struct ProposalQuery {
    /// Those of a run; all by default.
    pub run: Option<RunId>,
    /// Whether they wait for a decision; all by default.
    pub is_pending: Option<bool>,
    /// Only smaller ids; all by default.
    pub before: Option<i64>,
    /// Maximum number.
    pub limit: u32,
}

impl Store {
    /// Stores a proposal, and raises its alert. Returns it, and whether it is new: a known key returns the stored one.
    ///
    /// # Errors
    /// [`StoreError::TooManyProposals`].
    pub async fn propose(&self, new: &NewProposal) -> Result<(ProposalRecord, bool), StoreError> {
        let mut transaction = self.database().write().await?;
        let now_ms = now_ms();
        database::proposals::prune(&mut transaction, now_ms - KEPT_MS).await?;
        if let Some(known) = database::proposals::of_key(&mut transaction, new.token, &new.key, now_ms).await? {
            commit(transaction).await?;
            return Ok((known, false));
        }
        if database::proposals::count_of_token(&mut transaction, new.token, now_ms).await? >= MAX_PENDING {
            return Err(StoreError::TooManyProposals { most: MAX_PENDING });
        }
        let id = database::proposals::insert(&mut transaction, new).await?;
        let found = database::proposals::get(&mut transaction, id, now_ms).await?;
        let stored = found.ok_or(StoreError::UnknownProposal { id })?;
        database::alerts::insert(&mut transaction, &of_proposal(&stored.proposal)).await?;
        commit(transaction).await?;
        Ok((stored, true))
    }

    /// A proposal; `None` if it does not exist.
    pub async fn proposal(&self, id: i64) -> Result<Option<ProposalRecord>, StoreError> {
        database::proposals::get(&mut *self.database().read().await?, id, now_ms()).await
    }

    /// The proposal of a token with this key.
    pub async fn proposal_of_key(&self, token: i64, key: &str) -> Result<Option<ProposalRecord>, StoreError> {
        database::proposals::of_key(&mut *self.database().read().await?, token, key, now_ms()).await
    }

    /// The proposals that may be seen, newest first.
    pub async fn proposals(&self, visible: &Visible, query: &ProposalQuery) -> Result<Vec<Proposal>, StoreError> {
        let filter = Filter {
            visible: Some(visible),
            run: query.run.as_ref(),
            is_pending: query.is_pending,
            before: query.before,
            limit: query.limit,
            ..Filter::default()
        };
        let found = database::proposals::list(&mut *self.database().read().await?, &filter, now_ms()).await?;
        Ok(found.into_iter().map(|record| record.proposal).collect())
    }

    /// The newest proposals of a token, newest first.
    pub async fn proposals_of(&self, token: i64, limit: u32) -> Result<Vec<Proposal>, StoreError> {
        let filter = Filter { token: Some(token), limit, ..Filter::default() };
        let found = database::proposals::list(&mut *self.database().read().await?, &filter, now_ms()).await?;
        Ok(found.into_iter().map(|record| record.proposal).collect())
    }

    /// Number of proposals that may be seen and wait for a decision, and the number of changes of all proposals.
    pub async fn pending_proposals(&self, visible: &Visible) -> Result<(u64, u64), StoreError> {
        let mut connection = self.database().read().await?;
        let pending = database::proposals::count_visible(&mut connection, visible, now_ms()).await?;
        Ok((pending, database::proposals::changes(&mut connection).await?))
    }

    /// Stores a decision about a proposal that waits for one. Returns false for one that waits no more.
    pub async fn decide_proposal(&self, id: i64, decision: &DecisionRecord) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let is_decided = database::proposals::decide(&mut transaction, id, decision, now_ms()).await?;
        commit(transaction).await?;
        Ok(is_decided)
    }

    /// Stores what came of an approved proposal. The first outcome stays.
    pub async fn end_proposal(&self, id: i64, outcome: &ProposalOutcome) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::proposals::set_outcome(&mut transaction, id, outcome).await?;
        commit(transaction).await
    }

    /// Replaces the preview of a proposal that nobody has decided about.
    pub async fn set_proposal_preview(&self, id: i64, preview: &ProposalPreview) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::proposals::set_preview(&mut transaction, id, preview).await?;
        commit(transaction).await
    }

    /// The approved proposals without an outcome, in the order in which they were approved: a server that starts carries them out.
    pub async fn unfinished_proposals(&self) -> Result<Vec<ProposalRecord>, StoreError> {
        database::proposals::unfinished(&mut *self.database().read().await?, now_ms()).await
    }
}
