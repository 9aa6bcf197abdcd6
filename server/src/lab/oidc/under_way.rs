//! Sign-ins between the request to the provider and its answer. Their number is bounded for each network too, so that somebody who begins many
//! ends only those of their own network.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::SIGN_IN_WITHIN;

/// Sign-ins under way, and those of one network; further ones replace the oldest.
const MOST: usize = 10_000;
const MOST_OF_ONE: usize = 100;

/// What sign-ins need when the provider answers, by the state that the provider sends back.
pub(super) struct UnderWay<T>(Mutex<HashMap<String, Begun<T>>>);

struct Begun<T> {
    at: Instant,
    network: String,
    sign_in: T,
}

impl<T> Default for UnderWay<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> UnderWay<T> {
    /// Keeps a sign-in for ten minutes.
    pub(super) fn keep(&self, state: String, network: String, sign_in: T) {
        let mut all = self.lock();
        all.retain(|_, begun| begun.at.elapsed() < SIGN_IN_WITHIN);
        if all.values().filter(|begun| begun.network == network).count() >= MOST_OF_ONE {
            remove_oldest(&mut all, |begun| begun.network == network);
        }
        if all.len() >= MOST {
            remove_oldest(&mut all, |_| true);
        }
        all.insert(state, Begun { at: Instant::now(), network, sign_in });
    }

    /// Takes a sign-in out, so that an answer works once; `None` for one that is unknown or too old.
    pub(super) fn take(&self, state: &str) -> Option<T> {
        let begun = self.lock().remove(state)?;
        (begun.at.elapsed() < SIGN_IN_WITHIN).then_some(begun.sign_in)
    }

    // A map of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Begun<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_oldest<T>(all: &mut HashMap<String, Begun<T>>, is_meant: impl Fn(&Begun<T>) -> bool) {
    let meant = all.iter().filter(|(_, begun)| is_meant(begun));
    if let Some(state) = meant.min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone()) {
        all.remove(&state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sign_ins_of_one_network_end_none_of_another() {
        let under_way = UnderWay::default();
        under_way.keep("ada".into(), "192.0.2.1".into(), 0);
        for number in 0..2 * MOST_OF_ONE {
            under_way.keep(number.to_string(), "192.0.2.2".into(), number);
        }
        assert_eq!(under_way.lock().len(), 1 + MOST_OF_ONE);
        assert_eq!(under_way.take("0"), None, "the oldest of its network was replaced");
        assert_eq!(under_way.take("150"), Some(150));
        assert_eq!((under_way.take("ada"), under_way.take("ada")), (Some(0), None), "it works once");
    }

    #[test]
    fn all_networks_together_are_bounded() {
        let under_way = UnderWay::default();
        for number in 0..MOST + 10 {
            let mut all = under_way.lock();
            if all.len() >= MOST {
                drop(all);
                under_way.keep(number.to_string(), format!("network {number}"), ());
            } else {
                all.insert(
                    number.to_string(),
                    Begun { at: Instant::now(), network: format!("network {number}"), sign_in: () },
                );
            }
        }
        assert_eq!(under_way.lock().len(), MOST);
        assert_eq!(under_way.take("0"), None);
    }
}
