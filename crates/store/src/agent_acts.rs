//! Acts of agents. A call that is repeated with its idempotency key is carried out once: an act is stored before it is carried out, and its
//! result after that. An act without a result, after a kill of the server, may have been carried out.

use crate::clock::now_ms;
use crate::database::agent_acts::AgentAct;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

/// How long an act is kept, ms: 90 days, the validity of an API token by default.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;

impl Store {
    /// Stores an act before it is carried out. Returns the stored one instead if the token has one with this key.
    pub async fn begin_agent_act(&self, act: &AgentAct) -> Result<Option<AgentAct>, StoreError> {
        let mut transaction = self.database().write().await?;
        database::agent_acts::prune(&mut transaction, now_ms() - KEPT_MS).await?;
        let known = database::agent_acts::get(&mut transaction, act.token, &act.key).await?;
        if known.is_none() {
            database::agent_acts::insert(&mut transaction, act).await?;
        }
        commit(transaction).await?;
        Ok(known)
    }

    /// The act of a token with this key.
    pub async fn agent_act(&self, token: i64, key: &str) -> Result<Option<AgentAct>, StoreError> {
        database::agent_acts::get(&mut *self.database().read().await?, token, key).await
    }

    /// Stores the result of an act. The first one stays.
    pub async fn end_agent_act(&self, token: i64, key: &str, answer: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::agent_acts::set_answer(&mut transaction, token, key, answer).await?;
        commit(transaction).await
    }

    /// Deletes an act that was refused, so that its key can be used again.
    pub async fn forget_agent_act(&self, token: i64, key: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::agent_acts::remove(&mut transaction, token, key).await?;
        commit(transaction).await
    }

    /// The acts of a token, newest first.
    pub async fn agent_acts(&self, token: i64, limit: u32) -> Result<Vec<AgentAct>, StoreError> {
        database::agent_acts::list(&mut *self.database().read().await?, token, limit).await
    }
}
