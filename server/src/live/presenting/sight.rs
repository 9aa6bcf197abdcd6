//! What the page of a token may see. It is read again when a token or a link was revoked, and when it expires.

use std::future::pending;
use std::time::Duration;

use store::{Identity, Store};
use tokio::sync::watch;
use tokio::time::sleep;
use wire::access::{Grants, TokenKind};

use super::super::clock::now_ms;

/// The rights of one token as they are now.
#[derive(Clone)]
pub(super) struct Sight {
    store: Store,
    token_id: i64,
    revoked: watch::Receiver<()>,
    identity: Option<Identity>,
    /// Number of times that the store was asked for the identity.
    reads: u64,
}

impl Sight {
    pub(super) fn new(store: Store, token_id: i64, revoked: watch::Receiver<()>) -> Self {
        Self { store, token_id, revoked, identity: None, reads: 0 }
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
        if self.identity.is_none() || has_expired || self.revoked.has_changed().unwrap_or(true) {
            self.revoked.mark_unchanged();
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

    /// The name of its owner, and whether they are a guest.
    pub(super) async fn owner(&mut self) -> Option<(String, bool)> {
        self.identity().await.map(|identity| (identity.name.clone(), identity.kind == TokenKind::Guest))
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
        // A clone, so that `identity` still sees that it has changed.
        let mut revoked = self.revoked.clone();
        tokio::select! {
            changed = revoked.changed() => if changed.is_err() { pending().await },
            () = expiry => {}
        }
    }

    fn expires_in(&self) -> Option<Duration> {
        let at_ms = self.identity.as_ref()?.expires_ms?;
        Some(Duration::from_millis(at_ms.saturating_sub(now_ms()).max(0) as u64))
    }
}
