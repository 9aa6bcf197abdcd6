//! Answers of the assistant that are being written: their text so far, and how they are stopped. All of it is in memory and bounded; what is
//! complete is in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::error::ApiError;

/// Answers at a time.
const AT_ONCE: usize = 16;
/// Answers of one author at a time.
const OF_AUTHOR: usize = 4;

/// The answers under way; cloning shares them.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<i64, UnderWay>>>);

struct UnderWay {
    owner: String,
    state: State,
    stop: watch::Sender<bool>,
}

/// What people see of an answer under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The text of the present round.
    pub partial: String,
    /// What the server is doing, in words.
    pub doing: String,
}

/// An answer that is being written; dropped when it has ended.
pub struct Writing {
    answers: Answers,
    conversation: i64,
    stopped: watch::Receiver<bool>,
}

impl Answers {
    /// Begins an answer in a conversation.
    ///
    /// # Errors
    /// 409 while one is being written there, 429 if too many are written.
    pub fn begin(&self, conversation: i64, owner: &str) -> Result<Writing, ApiError> {
        let mut all = self.lock();
        if all.contains_key(&conversation) {
            let message = "an answer is being written in this conversation";
            return Err(ApiError::conflict("answer_under_way", message).hint("wait for its end, or stop it"));
        }
        if all.len() >= AT_ONCE || all.values().filter(|other| other.owner == owner).count() >= OF_AUTHOR {
            return Err(ApiError::busy("too many answers are being written")
                .hint("try again in a minute")
                .retry_after(60));
        }
        let (stop, stopped) = watch::channel(false);
        all.insert(conversation, UnderWay { owner: owner.to_owned(), state: State::default(), stop });
        Ok(Writing { answers: self.clone(), conversation, stopped })
    }

    /// The answer under way in a conversation.
    pub fn state(&self, conversation: i64) -> Option<State> {
        self.lock().get(&conversation).map(|answer| answer.state.clone())
    }

    /// Stops the answer of a conversation; false if none is being written.
    pub fn stop(&self, conversation: i64) -> bool {
        self.lock().get(&conversation).is_some_and(|answer| answer.stop.send(true).is_ok())
    }

    // Plain values are consistent even after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// Says what the server is doing.
    pub fn set_doing(&self, doing: impl Into<String>) {
        self.change(|state| state.doing = doing.into());
    }

    /// Begins the text of a new round.
    pub fn clear(&self) {
        self.change(|state| state.partial.clear());
    }

    /// Adds text of the model.
    pub fn add(&self, text: &str) {
        self.change(|state| state.partial.push_str(text));
    }

    /// Ends when the answer is stopped.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopped = self.stopped.clone();
        async move {
            // The sender is kept as long as this value.
            let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Some(answer) = self.answers.lock().get_mut(&self.conversation) {
            change(&mut answer.state);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.answers.lock().remove(&self.conversation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_answer_is_written_in_a_conversation_and_it_can_be_stopped() {
        let answers = Answers::default();
        let writing = answers.begin(1, "ada").unwrap();
        assert_eq!(answers.begin(1, "ada").err().unwrap().body.code, "answer_under_way");
        writing.set_doing("reading");
        writing.add("a");
        writing.add("b");
        assert_eq!(answers.state(1), Some(State { partial: "ab".into(), doing: "reading".into() }));
        assert!(answers.stop(1) && !answers.stop(2));
        writing.stopped().await;
        writing.clear();
        assert_eq!(answers.state(1), Some(State { partial: String::new(), doing: "reading".into() }));
        drop(writing);
        assert_eq!(answers.state(1), None);
        let held: Vec<Writing> = (0..OF_AUTHOR as i64).map(|id| answers.begin(id, "ada").unwrap()).collect();
        assert_eq!(answers.begin(9, "ada").err().unwrap().status.as_u16(), 429);
        assert!(answers.begin(9, "bob").is_ok(), "others have room");
        drop(held);
    }
}
