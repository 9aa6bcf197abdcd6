//! Join tokens: a machine exchanges one for the token of its worker. Only their hashes are stored.

use wire::access::{Role, TokenKind};
use wire::fleet::{JoinRequest, JoinTokenView, Joined, LOCAL_POOL};
use wire::{DeviceId, Slot};

use crate::clock::now_ms;
use crate::database::join_tokens::IssuedJoinToken;
use crate::database::workers::WorkerRecord;
use crate::database::{self, Change, commit};
use crate::error::{JoinRefusal, StoreError};
use crate::store::Store;
use crate::tokens;

/// A join token that was revoked or has expired is remembered for 30 days, so that its refusal names the reason.
const REMEMBERED_MS: i64 = 30 * 24 * 3600 * 1000;

impl Store {
    /// Creates a join token of a pool. Returns its text, which cannot be read again, and the token as lists show it.
    ///
    /// # Errors
    /// [`StoreError::UnknownPool`].
    pub async fn issue_join_token(
        &self,
        pool: &str,
        created_by: &str,
        expires_ms: Option<i64>,
        uses: Option<u32>,
    ) -> Result<(String, JoinTokenView), StoreError> {
        self.pool(pool).await?;
        let (text, created_ms) = (tokens::random_text()?, now_ms());
        let (pool, created_by) = (pool.to_owned(), created_by.to_owned());
        let mut view = JoinTokenView { id: 0, pool, created_by, created_ms, expires_ms, uses_left: uses, used: 0 };
        let mut transaction = self.database().write().await?;
        database::join_tokens::sweep(&mut transaction, created_ms - REMEMBERED_MS).await?;
        view.id = database::join_tokens::insert(&mut transaction, &view, &tokens::hash(&text)).await?;
        commit(transaction).await?;
        Ok((text, view))
    }

    /// The join tokens of a pool that are neither revoked nor expired, oldest first.
    pub async fn join_tokens(&self, pool: &str) -> Result<Vec<JoinTokenView>, StoreError> {
        database::join_tokens::list(&mut *self.database().read().await?, pool, now_ms()).await
    }

    /// Revokes a join token: no machine joins with it from now on; workers that have joined stay. Returns whether it was valid.
    pub async fn revoke_join_token(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let was_valid = database::join_tokens::revoke(&mut transaction, id, now_ms()).await?;
        commit(transaction).await?;
        Ok(was_valid)
    }

    /// The pool of a join token, valid or not; `None` for a text that is no join token.
    pub async fn pool_of_join_token(&self, text: &str) -> Result<Option<String>, StoreError> {
        let found = database::join_tokens::find(&mut *self.database().read().await?, &tokens::hash(text)).await?;
        Ok(found.map(|token| token.view.pool))
    }

    /// Exchanges a join token for the token of a worker, in one transaction: of two concurrent calls with one use left, one is refused.
    /// A device that has joined before keeps its name; its earlier token is revoked.
    ///
    /// # Errors
    /// [`StoreError::Join`]: then nothing changes, and no use is counted.
    pub async fn join(&self, text: &str, request: &JoinRequest) -> Result<Joined, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::join_tokens::find(&mut transaction, &tokens::hash(text)).await?;
        let token = usable(found, &request.pool)?;
        let before = database::workers::of_device(&mut transaction, &request.device).await?;
        // A token of one pool must not give access to the runs of a device of another.
        if let Some(WorkerRecord { pool, .. }) = before.as_ref().filter(|worker| worker.pool != token.pool) {
            return Err(JoinRefusal::DeviceTaken { device: request.device.clone(), pool: pool.clone() }.into());
        }
        database::join_tokens::count_use(&mut transaction, token.id).await?;
        let joined = bind(&mut transaction, before, &token.pool, &request.device, &request.host).await?;
        commit(transaction).await?;
        Ok(joined)
    }

    /// A new token for the worker of a device of the server's own machine; the token of its predecessor is revoked.
    pub async fn local_worker_token(&self, device: &DeviceId) -> Result<String, StoreError> {
        self.local_slot_token(&Slot::first(device.clone())).await
    }

    /// As [`Store::local_worker_token`], for one of the processes of a worker.
    pub async fn local_slot_token(&self, slot: &Slot) -> Result<String, StoreError> {
        let mut transaction = self.database().write().await?;
        let before = database::workers::of_device(&mut transaction, &slot.device).await?;
        let token = match before {
            Some(worker) if !slot.is_first() => bind_slot(&mut transaction, worker.id, slot).await?,
            before => {
                let host = before.as_ref().map(|worker| worker.host.clone()).unwrap_or_default();
                let joined = bind(&mut transaction, before, LOCAL_POOL, &slot.device, &host).await?;
                match slot.is_first() {
                    true => joined.token,
                    // Its first process has not been started yet.
                    false => bind_slot(&mut transaction, joined.worker, slot).await?,
                }
            }
        };
        commit(transaction).await?;
        Ok(token)
    }
}

/// A new token for a further process of a worker of the server's own machine.
async fn bind_slot(transaction: &mut Change, worker: i64, slot: &Slot) -> Result<String, StoreError> {
    for old in database::workers::slot_tokens(transaction, worker, Some(slot.number)).await? {
        database::tokens::remove(transaction, old).await?;
    }
    let name = format!("local worker {slot}");
    let (text, info) = tokens::insert(transaction, &name, Role::Worker, TokenKind::Api, None).await?;
    database::workers::insert_slot_token(transaction, worker, slot.number, info.id).await?;
    Ok(text)
}

/// The token, if a machine may join this pool with it now.
fn usable(found: Option<IssuedJoinToken>, pool: &str) -> Result<JoinTokenView, JoinRefusal> {
    let IssuedJoinToken { view, is_revoked } = found.ok_or(JoinRefusal::Unknown)?;
    match view.expires_ms {
        _ if is_revoked => Err(JoinRefusal::Revoked),
        Some(at_ms) if at_ms <= now_ms() => Err(JoinRefusal::Expired),
        _ if view.uses_left == Some(0) => Err(JoinRefusal::UsedUp { used: view.used }),
        _ if view.pool != pool => Err(JoinRefusal::OtherPool { wanted: pool.to_owned(), pool: view.pool }),
        _ => Ok(view),
    }
}

/// Binds a new token to the worker of a device, which is `before` if it has joined before.
async fn bind(
    transaction: &mut Change,
    before: Option<WorkerRecord>,
    pool: &str,
    device: &DeviceId,
    host: &str,
) -> Result<Joined, StoreError> {
    if let Some(old) = before.and_then(|worker| worker.token_id) {
        database::tokens::remove(transaction, old).await?;
    }
    let owner = if pool == LOCAL_POOL { "local worker" } else { "worker" };
    let (text, info) =
        tokens::insert(transaction, &format!("{owner} {device}"), Role::Worker, TokenKind::Api, None).await?;
    let worker = WorkerRecord {
        id: 0,
        name: device.to_string(),
        pool: pool.to_owned(),
        labels: vec![],
        is_draining: false,
        device: device.clone(),
        host: host.to_owned(),
        token_id: Some(info.id),
        joined_ms: info.created_ms,
        seen_ms: None,
    };
    Ok(Joined { worker: database::workers::upsert(transaction, &worker).await?, token: text })
}
