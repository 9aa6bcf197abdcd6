//! Places that one sender cannot take all: those of pages that poll, and of sockets. Each owner has some, all guests together have some, so that
//! a guest with many sessions leaves room for people.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::Identity;
use wire::access::TokenKind;

/// Who takes a place. All tokens of a person are one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    Person(i64),
    /// A token of the lab.
    Token(i64),
    /// The token of a guest.
    Guest(i64),
}

impl Owner {
    pub fn of(identity: &Identity) -> Self {
        match (identity.person, identity.kind) {
            (Some(person), _) => Self::Person(person),
            (None, TokenKind::Guest) => Self::Guest(identity.token_id),
            (None, _) => Self::Token(identity.token_id),
        }
    }

    /// The most that this owner may take of `all`: `one`, or half of them for a token of the lab, which many people may use.
    pub fn most(self, one: usize, all: usize) -> usize {
        match self {
            Self::Token(_) => all / 2,
            Self::Person(_) | Self::Guest(_) => one,
        }
    }
}

/// Numbers of places.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What takes them, in the plural.
    pub what: &'static str,
    /// For everyone together.
    pub all: usize,
    /// For all guests together.
    pub guests: usize,
    /// For one token of the lab, which many people may use.
    pub token: usize,
    /// For one person or guest.
    pub one: usize,
}

/// A place is refused: the owner, the guests or all have as many as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("{most} {what} are open at the same time, which is the maximum")]
    All { what: &'static str, most: usize },
    #[error("{most} {what} of guests are open at the same time, which is the maximum")]
    Guests { what: &'static str, most: usize },
    #[error("{most} {what} of yours are open at the same time, which is the maximum")]
    One { what: &'static str, most: usize },
}

/// Places; cloning shares them.
#[derive(Clone)]
pub struct Places {
    limits: Limits,
    taken: Arc<Mutex<HashMap<Owner, usize>>>,
}

impl Places {
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes a place until the result is dropped.
    ///
    /// # Errors
    /// The owner, the guests or all have as many as they may.
    pub fn take(&self, owner: Owner) -> Result<Place, Full> {
        let Limits { what, all, guests, token, one } = self.limits;
        let mut taken = self.lock();
        let is_guest = |owner: &Owner| matches!(owner, Owner::Guest(_));
        let of_guests = || taken.iter().filter(|(owner, _)| is_guest(owner)).map(|(_, count)| count).sum::<usize>();
        let most = if matches!(owner, Owner::Token(_)) { token } else { one };
        if taken.get(&owner).is_some_and(|count| *count >= most) {
            return Err(Full::One { what, most });
        }
        if is_guest(&owner) && of_guests() >= guests {
            return Err(Full::Guests { what, most: guests });
        }
        if taken.values().sum::<usize>() >= all {
            return Err(Full::All { what, most: all });
        }
        *taken.entry(owner).or_default() += 1;
        Ok(Place { places: self.clone(), owner })
    }

    // A map of numbers is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken; it is free again when this is dropped.
pub struct Place {
    places: Places,
    owner: Owner,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_one_sender_nor_all_guests_take_all_places() {
        let places = Places::new(Limits { what: "pages", all: 10, guests: 5, token: 5, one: 3 });
        let take = |owner| places.take(owner).map_err(|full| full.to_string());
        let mut held: Vec<Place> = (0..3).map(|_| take(Owner::Guest(1)).unwrap()).collect();
        assert_eq!(
            take(Owner::Guest(1)).err().unwrap(),
            "3 pages of yours are open at the same time, which is the maximum"
        );
        held.extend([take(Owner::Guest(2)).unwrap(), take(Owner::Guest(3)).unwrap()]);
        assert!(take(Owner::Guest(4)).err().unwrap().contains("of guests"), "whoever opens more sessions");
        held.extend((0..3).map(|_| take(Owner::Person(1)).unwrap()));
        assert!(take(Owner::Person(1)).is_err());
        held.extend((0..2).map(|_| take(Owner::Token(1)).unwrap()));
        assert_eq!(take(Owner::Person(2)).err().unwrap(), "10 pages are open at the same time, which is the maximum");
        held.pop();
        drop(take(Owner::Person(2)).unwrap());
        held.clear();
        held.extend((0..5).map(|_| take(Owner::Token(1)).unwrap()));
        assert!(take(Owner::Token(1)).is_err(), "half, because many people may use it");
        held.clear();
        assert!(places.lock().is_empty());
    }
}
