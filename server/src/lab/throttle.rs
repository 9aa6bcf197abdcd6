//! Slows down guessing of passwords, passphrases, links and tokens. Failures are counted per address and per account; after five of them each
//! further try has to wait, twice as long as the one before. The counts are in memory, bounded, and forgotten after an hour.
//!
//! Texts with 256 random bits cannot be guessed, so a valid token or link is accepted while its address has to wait: many people may share
//! an address. The throttle only slows the others down.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::error::ApiError;

/// Failures without a wait.
const FREE: u32 = 5;
/// Longest wait of an address.
const ADDRESS_WAIT: Duration = Duration::from_secs(15 * 60);
/// Longest wait for an account: short, so that strangers cannot lock a person out for long.
const ACCOUNT_WAIT: Duration = Duration::from_secs(60);
/// Failures are forgotten so long after the last one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
/// Addresses and accounts that are remembered.
const MOST: usize = 10_000;

type Key = [u8; 32];

/// Failed tries by address and account.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Key, Failures>>);

struct Failures {
    count: u32,
    last: Instant,
    /// No further try before.
    until: Instant,
    /// The last text that failed, as a hash: the same one again is no guess.
    text: Option<Key>,
}

impl Throttle {
    /// Whether a password or passphrase may be tried now. A try that is allowed after failures holds off those that are made meanwhile.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub fn check(&self, address: Option<IpAddr>, account: Option<&str>) -> Result<(), ApiError> {
        let (now, keys) = (Instant::now(), keys(address, account));
        let mut failures = self.lock();
        let waits = keys.iter().filter_map(|(key, _)| failures.get(key)?.until.checked_duration_since(now));
        if let Some(wait) = waits.max().filter(|wait| !wait.is_zero()) {
            return Err(too_many(wait));
        }
        for (key, most) in keys {
            if let Some(found) = failures.get_mut(&key) {
                found.until = now + wait(found.count, most);
            }
        }
        Ok(())
    }

    /// Counts a password or passphrase that was wrong.
    pub fn failed(&self, address: Option<IpAddr>, account: Option<&str>) {
        let mut failures = self.lock();
        for (key, most) in keys(address, account) {
            count(&mut failures, key, most, None);
        }
    }

    /// Forgets the failures after a password or passphrase that was right.
    pub fn succeeded(&self, address: Option<IpAddr>, account: Option<&str>) {
        let mut failures = self.lock();
        for (key, _) in keys(address, account) {
            failures.remove(&key);
        }
    }

    /// Counts a token or the text of a link that is unknown, unless it is the one that failed last from this address.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub fn text_failed(&self, address: Option<IpAddr>, text: &str) -> Result<(), ApiError> {
        let Some(address) = address else { return Ok(()) };
        let (now, key, text) = (Instant::now(), key("text", &network(address)), key("", text));
        let mut failures = self.lock();
        let found = failures.get(&key);
        if found.is_some_and(|found| found.text == Some(text)) {
            return Ok(());
        }
        let wait = found.and_then(|found| found.until.checked_duration_since(now)).filter(|wait| !wait.is_zero());
        count(&mut failures, key, ADDRESS_WAIT, Some(text));
        wait.map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    // A map of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of an address and an account, with the longest wait of each.
fn keys(address: Option<IpAddr>, account: Option<&str>) -> Vec<(Key, Duration)> {
    let of_address = address.map(|address| (key("address", &network(address)), ADDRESS_WAIT));
    let of_account = account.map(|account| (key("account", &account.trim().to_lowercase()), ACCOUNT_WAIT));
    of_address.into_iter().chain(of_account).collect()
}

fn key(kind: &str, text: &str) -> Key {
    *blake3::hash(format!("{kind}\n{text}").as_bytes()).as_bytes()
}

/// The address, or the network of an IPv6 address: one customer has at least 2^64 of them.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
    }
}

fn count(failures: &mut HashMap<Key, Failures>, key: Key, most: Duration, text: Option<Key>) {
    let now = Instant::now();
    if !failures.contains_key(&key) && failures.len() >= MOST {
        make_room(failures, now);
    }
    let found = failures.entry(key).or_insert(Failures { count: 0, last: now, until: now, text: None });
    if now.duration_since(found.last) > FORGOTTEN_AFTER {
        found.count = 0;
    }
    found.count = found.count.saturating_add(1);
    (found.last, found.text) = (now, text);
    found.until = now + wait(found.count, most);
}

/// Removes what is forgotten, or else the older half.
fn make_room(failures: &mut HashMap<Key, Failures>, now: Instant) {
    failures.retain(|_, found| now.duration_since(found.last) <= FORGOTTEN_AFTER);
    if failures.len() >= MOST {
        let mut times: Vec<Instant> = failures.values().map(|found| found.last).collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        failures.retain(|_, found| found.last > middle);
    }
}

/// The wait after a number of failures: none for the first four, then 1 s, 2 s, 4 s, up to `most`.
fn wait(count: u32, most: Duration) -> Duration {
    match count.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(further) => Duration::from_secs(1 << further.min(20)).min(most),
    }
}

fn too_many(wait: Duration) -> ApiError {
    let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", "too many tries have failed")
        .hint(format!("try again in {secs} s"))
        .retry_after(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn after_five_failures_each_try_waits_longer_for_the_address_and_the_account() {
        let throttle = Throttle::default();
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..5 {
            throttle.check(here, Some("ada")).unwrap();
            throttle.failed(here, Some("Ada "));
        }
        let error = throttle.check(here, Some("bob")).unwrap_err();
        assert_eq!((error.status.as_u16(), error.retry_after_secs), (429, Some(1)), "the address waits");
        assert!(throttle.check(there, Some("ada")).is_err(), "the account waits");
        throttle.check(there, Some("bob")).unwrap();
        throttle.failed(here, Some("ada"));
        assert_eq!(throttle.check(here, None).unwrap_err().retry_after_secs, Some(2));
        throttle.succeeded(here, Some("ada"));
        throttle.check(here, Some("ada")).unwrap();
        assert_eq!(wait(30, ADDRESS_WAIT), ADDRESS_WAIT);
        assert_eq!(wait(u32::MAX, ACCOUNT_WAIT), ACCOUNT_WAIT);
    }

    #[test]
    fn the_same_unknown_text_again_is_no_guess_and_a_network_counts_as_one_address() {
        let throttle = Throttle::default();
        let here = address("2001:db8::1");
        (0..50).for_each(|_| throttle.text_failed(here, "expired").unwrap());
        (0..4).for_each(|guess| throttle.text_failed(here, &guess.to_string()).unwrap());
        assert!(throttle.text_failed(address("2001:db8::2"), "x").is_err(), "another address of the same network");
        throttle.text_failed(address("2001:db8:0:1::1"), "x").unwrap();
        throttle.check(here, Some("ada")).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for guess in 0..3 * MOST as u32 {
            throttle.failed(Some(IpAddr::V4(guess.into())), None);
        }
        assert!(throttle.lock().len() <= MOST);
    }
}
