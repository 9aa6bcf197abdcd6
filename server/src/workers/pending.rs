//! Commands that were sent: each has a number, and its sender waits for the event with that number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use wire::RunId;
use wire::control::event::EventRecord;

/// Timeout of a command. It allows for a step of a large model on a slow device, or a whole evaluation.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The run and the waiting sender of each command, by its number.
type Waiting = Arc<Mutex<HashMap<u64, (RunId, oneshot::Sender<EventRecord>)>>>;

/// Commands that wait for their event.
pub struct Pending {
    next: AtomicU64,
    waiting: Waiting,
}

/// The reason why a command has no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// The timeout has passed; the command may still take effect.
    Late,
    /// The run ended or was suspended before the command took effect.
    Over,
}

/// The wait for one command; it ends when this is dropped.
pub struct Wait {
    command_id: u64,
    waiting: Waiting,
    answer: oneshot::Receiver<EventRecord>,
}

impl Pending {
    /// Numbers start at a thousand for each millisecond since 1970, so that no earlier server has used them.
    pub fn new(now_ms: i64) -> Self {
        Self { next: AtomicU64::new(now_ms.max(0) as u64 * 1000), waiting: Arc::default() }
    }

    /// A new number.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Numbers a command to this run, and waits for its event.
    pub fn expect(&self, run: &RunId) -> Wait {
        self.expect_numbered(run, self.number())
    }

    /// Waits for the event of a command that has a number, which only one caller may wait for at a time.
    pub fn expect_numbered(&self, run: &RunId, command_id: u64) -> Wait {
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(command_id, (run.clone(), sender));
        Wait { command_id, waiting: self.waiting.clone(), answer }
    }

    /// Passes a stored event on to the sender of its command.
    pub fn answer(&self, record: &EventRecord) {
        let Some(command_id) = record.command_id else { return };
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&command_id);
        if let Some((_, sender)) = waiting {
            // The sender may have gone; the event is in the journal all the same.
            let _ = sender.send(record.clone());
        }
    }

    /// A run has ended or was suspended: its waiting commands are answered [`Unanswered::Over`].
    pub fn close(&self, run: &RunId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (of, _)| of != run);
    }
}

impl Wait {
    /// Number of the command.
    pub fn command_id(&self) -> u64 {
        self.command_id
    }

    /// Waits for the event.
    ///
    /// # Errors
    /// The timeout, or the end of the run.
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
    use wire::control::author::Author;

    #[tokio::test]
    async fn an_event_answers_the_command_with_its_number() {
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
            author: Author::System,
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
