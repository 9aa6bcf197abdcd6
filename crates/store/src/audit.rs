//! The audit log: who did what, when, from where. It is bounded in time and size.

use wire::access::audit::{AuditEntry, AuditPage, AuditQuery};

use crate::clock::now_ms;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

/// How long entries are kept, ms: 400 days, so that a year can be compared with the one before.
const KEPT_MS: i64 = 400 * 24 * 3600 * 1000;
/// Entries at most; the oldest are deleted.
const MOST: i64 = 1_000_000;

/// The last use of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    pub token_id: i64,
    /// Time, ms since 1970.
    pub used_ms: i64,
    /// Address of the sender.
    pub address: String,
    /// What the browser or program calls itself.
    pub agent: String,
}

impl Store {
    /// Appends entries to the audit log, and notes the last uses of tokens, in one transaction.
    pub async fn note_requests(&self, entries: &[AuditEntry], uses: &[TokenUse]) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        for entry in entries {
            database::audit::insert(&mut transaction, entry).await?;
        }
        for TokenUse { token_id, used_ms, address, agent } in uses {
            database::tokens::set_used(&mut transaction, *token_id, *used_ms, address, agent).await?;
            database::people::set_seen(&mut transaction, *token_id, *used_ms).await?;
        }
        commit(transaction).await
    }

    /// A page of the audit log, newest first.
    pub async fn audit(&self, query: &AuditQuery, limit: u32) -> Result<AuditPage, StoreError> {
        let mut entries = database::audit::list(&mut *self.database().read().await?, query, limit + 1).await?;
        let has_more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        let next = entries.last().filter(|_| has_more).map(|entry| entry.id);
        Ok(AuditPage { entries, next })
    }

    /// Deletes the entries of the audit log that are older than 400 days, and the oldest over a million.
    pub async fn prune_audit(&self) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::audit::prune(&mut transaction, now_ms() - KEPT_MS, MOST).await?;
        commit(transaction).await
    }
}
