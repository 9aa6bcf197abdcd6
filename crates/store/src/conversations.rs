//! Conversations with the assistant. Each belongs to its author and is kept with the journal of a project: it ends with the project.

use std::collections::BTreeSet;

use wire::assistant::{ConversationSummary, Entry};

use crate::clock::now_ms;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

/// A conversation as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConversation {
    pub summary: ConversationSummary,
    /// Datasets of which a tool has returned text.
    pub datasets: BTreeSet<String>,
    /// Number of its entries.
    pub total: u32,
    /// Entries from the requested number on.
    pub entries: Vec<Entry>,
}

impl Store {
    /// Begins a conversation; returns its id.
    pub async fn add_conversation(&self, owner: &str, project: &str) -> Result<i64, StoreError> {
        let mut transaction = self.database().write().await?;
        let id = database::conversations::insert(&mut transaction, owner, project, now_ms()).await?;
        commit(transaction).await?;
        Ok(id)
    }

    /// The conversations of an author, newest first.
    pub async fn conversations(&self, owner: &str, limit: u32) -> Result<Vec<ConversationSummary>, StoreError> {
        database::conversations::list(&mut *self.database().read().await?, owner, limit).await
    }

    /// A conversation of an author with its entries from number `from` on, which counts from 0.
    pub async fn conversation(
        &self,
        owner: &str,
        id: i64,
        from: u32,
    ) -> Result<Option<StoredConversation>, StoreError> {
        let mut connection = self.database().read().await?;
        let Some((summary, datasets)) = database::conversations::get(&mut connection, owner, id).await? else {
            return Ok(None);
        };
        let total = database::conversations::count(&mut connection, id).await?;
        let entries = database::conversations::entries(&mut connection, id, from).await?;
        Ok(Some(StoredConversation { summary, datasets, total, entries }))
    }

    /// Writes a conversation and its entries from number `from` on. Returns false if it was deleted meanwhile; nothing is written then.
    pub async fn save_conversation(
        &self,
        summary: &ConversationSummary,
        datasets: &BTreeSet<String>,
        from: u32,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::conversations::update(&mut transaction, summary, datasets).await? {
            return Ok(false);
        }
        for (number, entry) in (from..).zip(entries) {
            database::conversations::set_entry(&mut transaction, summary.id, number, entry).await?;
        }
        commit(transaction).await?;
        Ok(true)
    }

    /// Deletes a conversation of an author; false if it does not exist.
    pub async fn delete_conversation(&self, owner: &str, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let existed = database::conversations::remove(&mut transaction, owner, id).await?;
        commit(transaction).await?;
        Ok(existed)
    }
}
