//! Slows down guessing of passwords, passphrases, links and tokens. Failures are counted per address and per account; after five of them each
//! further try has to wait, twice as long as the one before. The counts are in memory, bounded, and forgotten after an hour.
//!
//! A right password forgets the failures of its account only. An address forgets one failure a minute and nothing else: otherwise somebody
//! could try passwords of all other accounts and sign in to their own now and then.
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
/// Tries of one address whose results are not known yet, before it has to wait: people who share an address sign in at the same time.
const AT_ONCE: u32 = 16;
/// Longest wait of an address.
const ADDRESS_WAIT: Duration = Duration::from_secs(15 * 60);
/// Longest wait for an account: short, so that strangers cannot lock a person out for long.
const ACCOUNT_WAIT: Duration = Duration::from_secs(60);
/// The wait of a try that others are ahead of: a password is verified in less.
const MOMENT: Duration = Duration::from_secs(1);
/// Failures are forgotten so long after the last one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
/// An address forgets one failure in this time.
const FORGETS_ONE_IN: Duration = Duration::from_secs(60);
/// The most failures that are counted: with them, the longest wait is reached.
const MOST_COUNTED: u32 = 16;
/// Addresses and accounts that are remembered.
const MOST: usize = 10_000;

type Key = [u8; 32];

/// Failed tries by address and account.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Key, Failures>>);

struct Failures {
    count: u32,
    /// Tries whose results are not known yet.
    under_way: u32,
    last: Instant,
    /// No further try before.
    until: Instant,
    /// The last text that failed, as a hash: the same one again is no guess.
    text: Option<Key>,
}

/// Whether a key is of an address or of an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address,
    Account,
}

impl Kind {
    fn longest_wait(self) -> Duration {
        match self {
            Self::Address => ADDRESS_WAIT,
            Self::Account => ACCOUNT_WAIT,
        }
    }
}

/// The end of a try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Right,
    /// Also that of a request which ended before.
    Wrong,
    /// Nothing was verified.
    Failed,
}

/// A password or passphrase that is being verified.
#[must_use]
pub struct Try<'a> {
    throttle: &'a Throttle,
    keys: Vec<(Key, Kind)>,
    end: End,
}

impl Try<'_> {
    /// Waits for the result and counts it: a wrong one for address and account, a right one by forgetting the failures of the account.
    ///
    /// # Errors
    /// Those of the verification, which is not counted then.
    pub async fn end(mut self, verified: impl Future<Output = Result<bool, ApiError>>) -> Result<bool, ApiError> {
        let verified = verified.await;
        self.end = match &verified {
            Ok(true) => End::Right,
            Ok(false) => End::Wrong,
            Err(_) => End::Failed,
        };
        verified
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut failures = self.throttle.lock();
        for (key, kind) in &self.keys {
            if let Some(found) = failures.get_mut(key) {
                found.under_way = found.under_way.saturating_sub(1);
            }
            match (self.end, kind) {
                (End::Wrong, _) => count(&mut failures, *key, *kind, None),
                (End::Right, Kind::Account) => forget(&mut failures, key),
                (End::Right | End::Failed, _) => {}
            }
        }
    }
}

impl Throttle {
    /// Begins to verify a password or passphrase. Tries at the same time count as failed until they are known to be right, so that no more
    /// are verified than one after the other would be.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub fn check(&self, address: Option<IpAddr>, account: Option<&str>) -> Result<Try<'_>, ApiError> {
        let (now, keys) = (Instant::now(), keys(address, account));
        let mut failures = self.lock();
        let waits = keys.iter().filter_map(|(key, kind)| failures.get_mut(key)?.wait(now, *kind));
        if let Some(wait) = waits.max() {
            return Err(too_many(wait));
        }
        for (key, _) in &keys {
            entry(&mut failures, *key, now).under_way += 1;
        }
        Ok(Try { throttle: self, keys, end: End::Wrong })
    }

    /// Counts a token or the text of a link that is unknown, unless it is the one that failed last from this address.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub fn text_failed(&self, address: Option<IpAddr>, text: &str) -> Result<(), ApiError> {
        let Some(address) = address else { return Ok(()) };
        let (now, key, text) = (Instant::now(), key("text", &network(address)), key("", text));
        let mut failures = self.lock();
        let found = failures.get_mut(&key);
        if found.as_ref().is_some_and(|found| found.text == Some(text)) {
            return Ok(());
        }
        let wait = found.and_then(|found| found.wait(now, Kind::Address));
        count(&mut failures, key, Kind::Address, Some(text));
        wait.map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    // A map of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    /// Forgets what is old.
    fn age(&mut self, now: Instant, kind: Kind) {
        let age = now.duration_since(self.last);
        if age > FORGOTTEN_AFTER {
            self.count = 0;
        }
        if kind == Kind::Address {
            let forgotten = (age.as_secs() / FORGETS_ONE_IN.as_secs()).min(u64::from(self.count)) as u32;
            self.count -= forgotten;
            self.last += FORGETS_ONE_IN * forgotten;
        }
    }

    /// The time to wait before the next try; `None` if it may be made now.
    fn wait(&mut self, now: Instant, kind: Kind) -> Option<Duration> {
        self.age(now, kind);
        let left = self.until.checked_duration_since(now).filter(|wait| !wait.is_zero());
        left.or_else(|| (self.under_way >= self.most_under_way(kind)).then_some(MOMENT))
    }

    /// Tries that may be under way: as many as may fail without a wait, and then one at a time.
    fn most_under_way(&self, kind: Kind) -> u32 {
        match (FREE.saturating_sub(self.count), kind) {
            (0, _) => 1,
            (_, Kind::Address) => AT_ONCE,
            (left, Kind::Account) => left,
        }
    }
}

/// The keys of an address and an account.
fn keys(address: Option<IpAddr>, account: Option<&str>) -> Vec<(Key, Kind)> {
    let of_address = address.map(|address| (key("address", &network(address)), Kind::Address));
    let of_account = account.map(|account| (key("account", &account.trim().to_lowercase()), Kind::Account));
    of_address.into_iter().chain(of_account).collect()
}

fn key(kind: &str, text: &str) -> Key {
    *blake3::hash(format!("{kind}\n{text}").as_bytes()).as_bytes()
}

/// The address, or the network of an IPv6 address: one customer has at least 2^64 of them.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
    }
}

fn entry(failures: &mut HashMap<Key, Failures>, key: Key, now: Instant) -> &mut Failures {
    if !failures.contains_key(&key) && failures.len() >= MOST {
        make_room(failures, now);
    }
    failures.entry(key).or_insert(Failures { count: 0, under_way: 0, last: now, until: now, text: None })
}

fn count(failures: &mut HashMap<Key, Failures>, key: Key, kind: Kind, text: Option<Key>) {
    let now = Instant::now();
    let found = entry(failures, key, now);
    found.age(now, kind);
    found.count = (found.count + 1).min(MOST_COUNTED);
    (found.last, found.text) = (now, text);
    found.until = now + wait(found.count, kind.longest_wait());
}

/// Forgets the failures of a key; tries that are under way stay counted.
fn forget(failures: &mut HashMap<Key, Failures>, key: &Key) {
    match failures.get_mut(key) {
        Some(found) if found.under_way > 0 => (found.count, found.until) = (0, Instant::now()),
        _ => drop(failures.remove(key)),
    }
}

/// Removes what is forgotten, or else the older half. Without the entry of a try that is under way, its end is still counted.
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
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", "too many attempts have failed")
        .hint(format!("try again in {secs} s"))
        .retry_after(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn fail(throttle: &Throttle, address: Option<IpAddr>, account: Option<&str>) {
        drop(throttle.check(address, account).unwrap());
    }

    fn succeed(mut tried: Try<'_>) {
        tried.end = End::Right;
    }

    fn refusal(throttle: &Throttle, address: Option<IpAddr>, account: Option<&str>) -> Option<u64> {
        throttle.check(address, account).err().map(|error| error.retry_after_secs.unwrap())
    }

    #[test]
    fn after_five_failures_each_try_waits_longer_for_the_address_and_the_account() {
        let throttle = Throttle::default();
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..5 {
            fail(&throttle, here, Some("Ada "));
        }
        assert_eq!(refusal(&throttle, here, Some("bob")), Some(1), "the address waits");
        assert!(refusal(&throttle, there, Some("ada")).is_some(), "the account waits");
        fail(&throttle, there, Some("bob"));
        count(&mut throttle.lock(), keys(here, None)[0].0, Kind::Address, None);
        assert_eq!(refusal(&throttle, here, None), Some(2));
        assert_eq!(wait(MOST_COUNTED, ADDRESS_WAIT), ADDRESS_WAIT);
        assert_eq!(wait(MOST_COUNTED, ACCOUNT_WAIT), ACCOUNT_WAIT);
    }

    #[test]
    fn a_right_password_forgets_the_failures_of_its_account_and_not_those_of_the_address() {
        let throttle = Throttle::default();
        let here = address("192.0.2.1");
        (0..3).for_each(|_| fail(&throttle, None, Some("eve")));
        for account in ["ada", "bob", "cyd", "dan"] {
            fail(&throttle, here, Some(account));
            succeed(throttle.check(here, Some("eve")).unwrap());
        }
        (0..4).for_each(|_| fail(&throttle, None, Some("eve")));
        fail(&throttle, here, Some("fay"));
        assert_eq!(refusal(&throttle, here, Some("gus")), Some(1), "the right passwords of eve change nothing");
    }

    #[test]
    fn an_address_forgets_one_failure_a_minute() {
        let now = Instant::now();
        let mut found = Failures { count: 7, under_way: 0, last: now, until: now, text: None };
        for (secs, address, account) in [(59, 7, 7), (61, 6, 7), (150, 5, 7), (3599, 0, 7), (3700, 0, 0)] {
            for (kind, expected) in [(Kind::Address, address), (Kind::Account, account)] {
                (found.count, found.last) = (7, now);
                found.age(now + Duration::from_secs(secs), kind);
                assert_eq!(found.count, expected, "after {secs} s");
            }
        }
        (found.count, found.last) = (7, now);
        (0..120).for_each(|secs| found.age(now + Duration::from_secs(secs), Kind::Address));
        assert_eq!(found.count, 6, "looking at it often changes nothing");
    }

    #[test]
    fn tries_at_the_same_time_are_no_more_than_one_after_the_other() {
        let throttle = Throttle::default();
        let here = address("192.0.2.1");
        let tries: Vec<_> = (0..100).filter_map(|_| throttle.check(here, Some("ada")).ok()).collect();
        assert_eq!(tries.len(), 5, "for one account");
        let (right, wrong): (Vec<_>, Vec<_>) = tries.into_iter().enumerate().partition(|(at, _)| *at == 0);
        right.into_iter().for_each(|(_, one)| succeed(one));
        drop(wrong);
        fail(&throttle, None, Some("ada"));
        assert_eq!(refusal(&throttle, None, Some("ada")), Some(1), "four wrong ones and another");
        let others: Vec<String> = (0..100).map(|at| format!("person {at}")).collect();
        let tries: Vec<_> = others.iter().filter_map(|account| throttle.check(here, Some(account)).ok()).collect();
        assert_eq!(tries.len(), AT_ONCE as usize, "people of one address sign in at the same time");
        drop(tries);
        assert_eq!(refusal(&throttle, here, Some("zoe")), Some(ADDRESS_WAIT.as_secs()));
    }

    #[tokio::test]
    async fn a_password_that_could_not_be_verified_is_not_counted_and_an_interrupted_one_is() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            let failed = async { Err(ApiError::busy("too many passwords are being checked at once")) };
            assert!(throttle.check(None, Some("ada")).unwrap().end(failed).await.is_err());
        }
        for _ in 0..5 {
            let ended = throttle.check(None, Some("ada")).unwrap().end(std::future::pending());
            assert!(tokio::time::timeout(Duration::from_millis(1), ended).await.is_err());
        }
        assert_eq!(refusal(&throttle, None, Some("ada")), Some(1));
    }

    #[test]
    fn the_same_unknown_text_again_is_no_guess_and_a_network_counts_as_one_address() {
        let throttle = Throttle::default();
        let here = address("2001:db8::1");
        (0..50).for_each(|_| throttle.text_failed(here, "expired").unwrap());
        (0..4).for_each(|guess| throttle.text_failed(here, &guess.to_string()).unwrap());
        assert!(throttle.text_failed(address("2001:db8::2"), "x").is_err(), "another address of the same network");
        throttle.text_failed(address("2001:db8:0:1::1"), "x").unwrap();
        fail(&throttle, here, Some("ada"));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for guess in 0..3 * MOST as u32 {
            fail(&throttle, Some(IpAddr::V4(guess.into())), None);
        }
        assert!(throttle.lock().len() <= MOST);
    }
}
