//! Commands on their way: each has a number, and whoever asked waits for the event that carries it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use wire::RunId;
use wire::event::EventRecord;

/// How long an answer is waited for. A step of a large model on a slow device, or a whole evaluation, fits in.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Who waits, by the command's number, with the run that was asked.
type Waiting = Arc<Mutex<HashMap<u64, (RunId, oneshot::Sender<EventRecord>)>>>;

/// Commands that wait for their event.
pub struct Pending {
    next: AtomicU64,
    waiting: Waiting,
}

/// Why no event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// Not yet; it may still take effect.
    Late,
    /// The run has ended, or let go of its device, before it could.
    Over,
}

/// One wait; dropped, it waits no more.
pub struct Wait {
    command_id: u64,
    waiting: Waiting,
    answer: oneshot::Receiver<EventRecord>,
}

impl Pending {
    /// Numbers that no server life before this one gave (one would have had to give a thousand in each millisecond).
    pub fn new(now_ms: i64) -> Self {
        Self { next: AtomicU64::new(now_ms.max(0) as u64 * 1000), waiting: Arc::default() }
    }

    /// A number for a command to this run, and the wait for its event.
    pub fn expect(&self, run: &RunId) -> Wait {
        let command_id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(command_id, (run.clone(), sender));
        Wait { command_id, waiting: self.waiting.clone(), answer }
    }

    /// The event of a command has been stored.
    pub fn answer(&self, record: &EventRecord) {
        let Some(command_id) = record.command_id else { return };
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&command_id);
        if let Some((_, sender)) = waiting {
            // Whoever asked may have gone; the event is in the journal all the same.
            let _ = sender.send(record.clone());
        }
    }

    /// Nothing more comes of a run: who still waits for it is told so.
    pub fn close(&self, run: &RunId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (of, _)| of != run);
    }
}

impl Wait {
    /// Its number.
    pub fn command_id(&self) -> u64 {
        self.command_id
    }

    /// The event.
    ///
    /// # Errors
    /// It did not come in time, or will never come.
    pub async fn answer(mut self) -> Result<EventRecord, Unanswered> {
        let answered = tokio::time::timeout(ANSWER_WITHIN, &mut self.answer).await;
        answered.map_err(|_| Unanswered::Late)?.map_err(|_| Unanswered::Over)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.command_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Event;
    use wire::event::Author;

    #[tokio::test]
    async fn the_event_finds_who_asked() {
        let pending = Pending::new(5);
        let run: RunId = "amber-fox".parse().unwrap();
        let wait = pending.expect(&run);
        let gone = pending.expect(&run);
        let ended = pending.expect(&"dusky-owl".parse().unwrap());
        pending.close(&"dusky-owl".parse().unwrap());
        assert_eq!(ended.answer().await.map(|record| record.step), Err(Unanswered::Over));
        assert!(wait.command_id() != gone.command_id());
        let record = |command_id| EventRecord {
            number: 1,
            segment: 0,
            step: 3,
            at_ms: 0,
            author: Author::Lab,
            command_id: Some(command_id),
            reason: None,
            event: Event::Paused,
        };
        let gone_id = gone.command_id();
        drop(gone);
        pending.answer(&record(gone_id));
        pending.answer(&record(wait.command_id()));
        assert_eq!(wait.answer().await.map(|record| record.step), Ok(3));
        assert!(pending.waiting.lock().unwrap().is_empty());
    }
}
