//! Pages that poll, because a proxy lets no WebSocket pass. Each poll carries messages of the page and is answered with those of the server
//! after at most a second. A proxy that buffers answers, or closes idle connections, does not disturb it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use store::Identity;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use wire::transport::live::{FromPage, Poll, ToPage};

use super::clock::now_ms;
use super::page_socket::{Page, PageContext, TO_PAGE, encoded};
use super::places::{Full, Limits, Owner, Place, Places};

/// A poll is answered after so long also without a message.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long messages are gathered after the first, so that a run does not cause a poll for each of its ticks.
const GATHER: Duration = Duration::from_millis(100);
/// Maximum size of an answer, bytes; what is left follows in the next one.
const ANSWER_BYTES: usize = 4_000_000;
/// A page that has not polled for so long has left.
const LEFT_AFTER: Duration = Duration::from_secs(20);
/// Pages that may poll at a time.
const PAGES: Limits = Limits { what: "pages that poll", all: 256, guests: 128, token: 128, one: 16 };

/// The reason for which a poll is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The server has restarted, or the page was silent for too long.
    #[error("the server keeps nothing of this page: begin again")]
    Unknown,
    #[error(transparent)]
    TooMany(#[from] Full),
}

/// A page that polls.
struct PollingPage {
    page: tokio::sync::Mutex<Page>,
    outgoing: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
    seen: Mutex<Instant>,
    _place: Place,
}

/// The token of a page, and its number.
type PageKey = (i64, u64);

/// The pages that poll; cloning shares them.
#[derive(Clone)]
pub struct Polls {
    pages: Arc<Mutex<HashMap<PageKey, Arc<PollingPage>>>>,
    places: Places,
}

impl Default for Polls {
    fn default() -> Self {
        Self { pages: Arc::default(), places: Places::new(PAGES) }
    }
}

impl Polls {
    /// Takes the messages of a page and answers with those for it, encoded as a list of [`ToPage`]. The last is a heartbeat.
    ///
    /// # Errors
    /// The page is unknown, or too many poll.
    pub async fn poll(&self, context: PageContext, identity: Identity, poll: Poll) -> Result<Vec<u8>, PollError> {
        let Poll { page, begins, messages } = poll;
        let mut access = context.access.watch(identity.token_id, identity.person);
        let key = (identity.token_id, page);
        let polling = if begins { self.begin(key, context, identity.clone())? } else { self.find(key)? };
        let collected = polling.exchange(identity, messages, access.changed()).await;
        polling.note_seen();
        Ok(list(collected))
    }

    fn begin(&self, key: PageKey, context: PageContext, identity: Identity) -> Result<Arc<PollingPage>, PollError> {
        let mut pages = self.lock();
        // A page that begins again has the place that it had.
        let is_new = pages.remove(&key).is_none();
        let place = self.places.take(Owner::of(&identity))?;
        let (to_page, outgoing) = mpsc::channel(TO_PAGE);
        let polling = Arc::new(PollingPage {
            page: tokio::sync::Mutex::new(Page::new(context, to_page, identity)),
            outgoing: tokio::sync::Mutex::new(outgoing),
            seen: Mutex::new(Instant::now()),
            _place: place,
        });
        pages.insert(key, polling.clone());
        if is_new {
            tokio::spawn(self.clone().remove_when_left(key));
        }
        Ok(polling)
    }

    fn find(&self, key: PageKey) -> Result<Arc<PollingPage>, PollError> {
        let polling = self.lock().get(&key).cloned().ok_or(PollError::Unknown)?;
        polling.note_seen();
        Ok(polling)
    }

    /// Ends what a page watches once it polls no more.
    async fn remove_when_left(self, key: PageKey) {
        loop {
            sleep(LEFT_AFTER / 2).await;
            let mut pages = self.lock();
            match pages.get(&key) {
                Some(polling) if polling.unseen() < LEFT_AFTER => {}
                _ => {
                    pages.remove(&key);
                    return;
                }
            }
        }
    }

    // A map is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<PageKey, Arc<PollingPage>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PollingPage {
    /// Takes the messages of the page, and collects those for it: none for a second, or all within a moment after the first. Both at the same
    /// time, because the messages of a page may cause more answers than the channel holds. So it collects at least until all are taken.
    async fn exchange(
        &self,
        identity: Identity,
        messages: Vec<FromPage>,
        rights_changed: impl Future<Output = ()>,
    ) -> Vec<Bytes> {
        let (mut taking, mut rights_changed) = (pin!(self.take(identity, messages)), pin!(rights_changed));
        let mut until = Instant::now() + ANSWER_WITHIN;
        let (mut collected, mut bytes) = (vec![], 0);
        let (mut is_taken, mut has_ended) = (false, false);
        let mut outgoing = self.outgoing.lock().await;
        while !is_taken || (!has_ended && bytes < ANSWER_BYTES) {
            tokio::select! {
                biased;
                () = &mut taking, if !is_taken => is_taken = true,
                // The next poll is refused where it was this token that was revoked, and reads the new rights where they have changed.
                () = &mut rights_changed, if !has_ended => has_ended = true,
                () = sleep_until(until), if !has_ended => has_ended = true,
                message = outgoing.recv() => {
                    let Some(message) = message else { break };
                    if collected.is_empty() {
                        until = until.min(Instant::now() + GATHER);
                    }
                    bytes += message.len();
                    collected.push(message);
                }
            }
        }
        // What is there already is sent also when the rights change at each poll.
        while bytes < ANSWER_BYTES
            && let Ok(message) = outgoing.try_recv()
        {
            bytes += message.len();
            collected.push(message);
        }
        collected
    }

    /// Takes the present rights of the page, and then its messages.
    async fn take(&self, identity: Identity, messages: Vec<FromPage>) {
        let mut page = self.page.lock().await;
        page.admit(identity).await;
        for message in messages {
            page.take(message).await;
        }
    }

    fn note_seen(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn unseen(&self) -> Duration {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Encoded messages and a heartbeat as one encoded list: postcard writes a list as its length and its items.
fn list(mut messages: Vec<Bytes>) -> Vec<u8> {
    messages.push(encoded(&ToPage::Heartbeat { at_ms: now_ms() }));
    let mut list = vec![];
    let mut length = messages.len();
    while length >= 0x80 {
        list.push(length as u8 | 0x80);
        length >>= 7;
    }
    list.push(length as u8);
    messages.iter().for_each(|message| list.extend_from_slice(message));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_messages_are_read_as_a_list() {
        for count in [0, 1, 126, 127, 128, 300] {
            let message = encoded(&ToPage::Refused { message: "no".into() });
            let read: Vec<ToPage> = wire::encode::from_bytes(&list(vec![message; count])).unwrap();
            assert_eq!(read.len(), count + 1);
            assert!(matches!(read[count], ToPage::Heartbeat { .. }), "the last is a heartbeat");
        }
    }
}
