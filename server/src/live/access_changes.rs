//! Changes of what tokens reach: a token was revoked, or a role, a membership, a link or the project of a run has changed. Open sockets then
//! read their rights again, but only those that a change concerns: somebody who changes what only they reach wakes nobody else.

use std::future::pending;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Changes that wait for one socket. One that has missed some reads its rights in any case.
const WAITING: usize = 256;

/// Whose rights a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerned {
    Everyone,
    /// All tokens of a person, by their id.
    Person(i64),
    /// One token, by its id.
    Token(i64),
}

/// Announces changes; cloning shares it.
#[derive(Clone)]
pub struct AccessChanges(broadcast::Sender<Concerned>);

impl Default for AccessChanges {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl AccessChanges {
    pub fn announce(&self, concerned: Concerned) {
        // Without a socket nobody receives it.
        let _ = self.0.send(concerned);
    }

    /// The changes from now on that concern a token, which belongs to a person or to the lab.
    pub fn watch(&self, token: i64, person: Option<i64>) -> AccessWatch {
        AccessWatch { changes: self.0.subscribe(), token, person }
    }
}

/// The changes that concern one token.
pub struct AccessWatch {
    changes: broadcast::Receiver<Concerned>,
    token: i64,
    person: Option<i64>,
}

impl AccessWatch {
    /// The changes from now on that concern the same token.
    pub fn again(&self) -> Self {
        Self { changes: self.changes.resubscribe(), token: self.token, person: self.person }
    }

    /// Waits for a change.
    pub async fn changed(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(concerned) if !self.is_concerned(concerned) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => pending().await,
            }
        }
    }

    /// Whether there was a change since the last call and the last [`Self::changed`].
    pub fn has_changed(&mut self) -> bool {
        let mut has_changed = false;
        loop {
            match self.changes.try_recv() {
                Ok(concerned) => has_changed |= self.is_concerned(concerned),
                Err(TryRecvError::Lagged(_)) => has_changed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return has_changed,
            }
        }
    }

    fn is_concerned(&self, concerned: Concerned) -> bool {
        match concerned {
            Concerned::Everyone => true,
            Concerned::Person(person) => self.person == Some(person),
            Concerned::Token(token) => self.token == token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_reaches_those_whom_it_concerns() {
        let changes = AccessChanges::default();
        let mut watches = [(1, None), (2, Some(7)), (3, Some(7))].map(|(token, person)| changes.watch(token, person));
        for (concerned, expected) in [
            (Concerned::Everyone, [true, true, true]),
            (Concerned::Person(7), [false, true, true]),
            (Concerned::Token(2), [false, true, false]),
            (Concerned::Person(8), [false, false, false]),
        ] {
            changes.announce(concerned);
            assert_eq!(watches.each_mut().map(AccessWatch::has_changed), expected, "{concerned:?}");
            assert_eq!(watches.each_mut().map(AccessWatch::has_changed), [false; 3], "only once");
        }
        for _ in 0..2 * WAITING {
            changes.announce(Concerned::Token(9));
        }
        assert!(watches[0].has_changed(), "it has missed some");
        assert!(!watches[0].has_changed() && !watches[0].again().has_changed());
        changes.announce(Concerned::Token(3));
        watches[2].changed().await;
    }
}
