//! What the page of a token may see. It is read again when a token or a link was revoked, and when it expires.

use std::future::pending;
use std::time::Duration;

use store::{Identity, Store};
use tokio::time::sleep;
use wire::access::Grants;

use super::super::access_changes::AccessWatch;
use super::super::clock::now_ms;
use super::super::places::Owner;

/// The rights of one token as they are now.
pub(super) struct Sight {
    store: Store,
    token_id: i64,
    access: AccessWatch,
    /// Whether they have changed since they were read.
    has_changed: bool,
    identity: Option<Identity>,
    /// Number of times that the store was asked for the identity.
    reads: u64,
}

impl Sight {
    pub(super) fn new(store: Store, token_id: i64, access: AccessWatch) -> Self {
        Self { store, token_id, access, has_changed: false, identity: None, reads: 0 }
    }

    /// The same for another task, which reads the rights anew.
    pub(super) fn again(&self) -> Self {
        Self::new(self.store.clone(), self.token_id, self.access.again())
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn token_id(&self) -> i64 {
        self.token_id
    }

    /// The sender that the token stands for now; `None` if it has none any more, and while the store does not answer.
    pub(super) async fn identity(&mut self) -> Option<&Identity> {
        let has_expired = self.expires_in().is_some_and(|time| time.is_zero());
        let has_changed = std::mem::take(&mut self.has_changed) | self.access.has_changed();
        if self.identity.is_none() || has_expired || has_changed {
            self.reads += 1;
            self.identity = self.store.identity(self.token_id).await.ok().flatten();
        }
        self.identity.as_ref()
    }

    /// What it reaches; nothing without an identity.
    pub(super) async fn grants(&mut self) -> Grants {
        self.identity().await.map(|identity| identity.grants.clone()).unwrap_or_default()
    }

    /// How often the rights were read. With another number, runs may also have moved to other projects.
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// The name of its owner, and who that is.
    pub(super) async fn owner(&mut self) -> Option<(String, Owner)> {
        self.identity().await.map(|identity| (identity.name.clone(), Owner::of(identity)))
    }

    /// Waits until what it reaches may have changed.
    pub(super) async fn changed(&mut self) {
        let expires_in = self.expires_in().filter(|time| !time.is_zero());
        let expiry = async move {
            match expires_in {
                Some(time) => sleep(time).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.access.changed() => self.has_changed = true,
            () = expiry => {}
        }
    }

    fn expires_in(&self) -> Option<Duration> {
        let at_ms = self.identity.as_ref()?.expires_ms?;
        Some(Duration::from_millis(at_ms.saturating_sub(now_ms()).max(0) as u64))
    }
}
