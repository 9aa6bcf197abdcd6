//! Entries of the audit log and uses of tokens that wait to be written.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{Store, TokenUse};
use tokio::time::{MissedTickBehavior, interval};
use wire::access::audit::AuditEntry;

use super::Sender;
use crate::live::clock::now_ms;

/// Entries that wait at most. More requests change something in a second only while the store does not answer.
const MOST_WAITING: usize = 10_000;
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Writes between two removals of old entries: an hour.
const PRUNE_AFTER: u32 = 3600;
const MINUTE_MS: i64 = 60_000;

/// Entries and uses of tokens that are not in the database yet.
#[derive(Default)]
pub struct AuditLog {
    waiting: Mutex<Waiting>,
    /// Held while entries are written, so that a reader sees what was recorded before.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<AuditEntry>,
    uses: HashMap<i64, TokenUse>,
    /// Number of entries that found no room.
    dropped: u64,
    /// The minute of the two sets below.
    minute: i64,
    /// Tokens whose use in this minute is noted, with the address.
    used: HashSet<(i64, String)>,
    /// Refused requests of this minute: a page that repeats one is recorded once.
    refused: HashSet<(String, String, u16)>,
}

impl AuditLog {
    /// Records a request.
    pub fn record(&self, entry: AuditEntry) {
        let mut waiting = self.lock();
        waiting.begin_minute(entry.at_ms);
        // Those of nobody too: who has no account must not push the entries of others out.
        let is_refused = matches!(entry.status, 401 | 403 | 429) || entry.who.is_empty() && entry.status >= 400;
        if is_refused && !waiting.refused.insert((entry.address.clone(), entry.action.clone(), entry.status)) {
            return;
        }
        if waiting.entries.len() < MOST_WAITING {
            waiting.entries.push(entry);
        } else {
            waiting.dropped += 1;
        }
    }

    /// Notes that a token was used, once a minute for each address.
    pub fn note_use(&self, token_id: i64, sender: &Sender) {
        let (used_ms, address) = (now_ms(), sender.address_text());
        let mut waiting = self.lock();
        waiting.begin_minute(used_ms);
        if waiting.used.len() < MOST_WAITING && waiting.used.insert((token_id, address.clone())) {
            let agent = sender.agent.clone();
            waiting.uses.insert(token_id, TokenUse { token_id, used_ms, address, agent });
        }
    }

    /// Writes what waits.
    pub async fn write(&self, store: &Store) {
        let _writing = self.writing.lock().await;
        let (entries, uses, dropped) = self.take();
        if dropped > 0 {
            tracing::warn!("{dropped} requests are missing in the audit log, because the store was too slow");
        }
        if entries.is_empty() && uses.is_empty() {
            return;
        }
        if let Err(error) = store.note_requests(&entries, &uses).await {
            tracing::error!("the audit log could not be written: {error}");
            self.put_back(entries);
        }
    }

    fn take(&self) -> (Vec<AuditEntry>, Vec<TokenUse>, u64) {
        let mut waiting = self.lock();
        let uses = mem::take(&mut waiting.uses).into_values().collect();
        (mem::take(&mut waiting.entries), uses, mem::take(&mut waiting.dropped))
    }

    /// Keeps entries for the next try, those that came meanwhile after them.
    fn put_back(&self, mut entries: Vec<AuditEntry>) {
        let mut waiting = self.lock();
        entries.append(&mut waiting.entries);
        let excess = entries.len().saturating_sub(MOST_WAITING);
        entries.truncate(MOST_WAITING);
        waiting.dropped += excess as u64;
        waiting.entries = entries;
    }

    // Plain values are consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn begin_minute(&mut self, now_ms: i64) {
        if self.minute != now_ms / MINUTE_MS {
            self.minute = now_ms / MINUTE_MS;
            self.used.clear();
            self.refused.clear();
        }
        if self.refused.len() >= MOST_WAITING {
            self.refused.clear();
        }
    }
}

/// Writes what waits each second, and removes old entries each hour, for as long as the server runs.
pub async fn keep(log: Arc<AuditLog>, store: Store) {
    let mut ticks = interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut writes = 0_u32;
    loop {
        ticks.tick().await;
        log.write(&store).await;
        if writes % PRUNE_AFTER == 0
            && let Err(error) = store.prune_audit().await
        {
            tracing::error!("old entries of the audit log could not be removed: {error}");
        }
        writes = writes.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, status: u16) -> AuditEntry {
        let (who, action, target) = (String::new(), "get me".to_owned(), "/me".to_owned());
        AuditEntry { id: 0, at_ms: now_ms(), who, action, target, status, address: address.to_owned() }
    }

    #[test]
    fn repeated_refusals_are_recorded_once_and_the_rest_is_bounded() {
        let log = AuditLog::default();
        for _ in 0..100 {
            log.record(entry("192.0.2.1", 401));
            log.record(entry("192.0.2.2", 401));
        }
        // The test may cross one minute.
        assert!((2..=4).contains(&log.lock().entries.len()));
        (0..2 * MOST_WAITING).for_each(|_| log.record(entry("192.0.2.1", 204)));
        let (entries, _, dropped) = log.take();
        assert!(entries.len() == MOST_WAITING && dropped > 0);
        log.put_back(entries);
        log.record(entry("192.0.2.1", 200));
        let waiting = log.lock();
        assert_eq!((waiting.entries.len(), waiting.dropped), (MOST_WAITING, 1));
    }
}
