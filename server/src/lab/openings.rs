//! Requests of embeds, counted in memory and written together: each write would wait for the disk.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::Store;
use tokio::time::sleep;

/// How long requests are collected.
const COLLECTED: Duration = Duration::from_secs(10);

/// Requests that are not written yet, by the id of the link; cloning shares them.
#[derive(Clone, Default)]
pub struct Openings(Arc<Mutex<HashMap<i64, u64>>>);

impl Openings {
    /// Counts a request of an embed.
    pub fn count(&self, link: i64, store: &Store) {
        let mut waiting = self.lock();
        let is_first = waiting.is_empty();
        *waiting.entry(link).or_default() += 1;
        drop(waiting);
        if is_first {
            tokio::spawn(self.clone().write(store.clone()));
        }
    }

    /// Requests of a link that are not written yet.
    pub fn waiting(&self, link: i64) -> u64 {
        self.lock().get(&link).copied().unwrap_or(0)
    }

    async fn write(self, store: Store) {
        sleep(COLLECTED).await;
        let counted: Vec<(i64, u64)> = mem::take(&mut *self.lock()).into_iter().collect();
        if let Err(error) = store.count_embeds(&counted).await {
            tracing::error!("the requests of embeds could not be counted: {error}");
        }
    }

    // A map of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
