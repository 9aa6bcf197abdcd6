//! Limits of agents over MCP: calls per minute and concurrent calls of a token; the acts that are being carried out; and the programs that
//! have begun a session. All of it is in memory and bounded; the store keeps the program of an agent's token.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use store::{Identity, Store, StoreError};
use wire::access::agent::AgentOrigin;

use crate::error::ApiError;
use crate::live::places::{Full, Limits, Owner, Place, Places};

/// Calls that a token may make in a burst.
const BURST: f64 = 120.0;
/// Mean calls per second of a token.
const PER_SEC: f64 = 4.0;
/// Maximum number of tokens whose calls are counted.
const MOST: usize = 10_000;
/// Concurrent calls of tools: some wait for an event.
const AT_ONCE: Limits = Limits { what: "calls of tools", all: 512, guests: 0, token: 16, one: 16 };

/// The calls and acts of agents; cloning shares them.
#[derive(Clone)]
pub struct Agents(Arc<Parts>);

struct Parts {
    rates: Mutex<HashMap<i64, Rate>>,
    under_way: Mutex<HashSet<(i64, String)>>,
    clients: Mutex<HashMap<i64, String>>,
    places: Places,
}

/// The calls that a token has left, as of a time.
struct Rate {
    left: f64,
    at: Instant,
}

/// An act that is being carried out; dropped when it has ended.
pub struct UnderWay {
    agents: Agents,
    act: (i64, String),
}

impl Default for Agents {
    fn default() -> Self {
        let (rates, under_way, clients) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Parts { rates, under_way, clients, places: Places::new(AT_ONCE) }))
    }
}

impl Agents {
    /// Counts a call of a token, which takes a slot until the result is dropped.
    ///
    /// # Errors
    /// 429 if the token has made too many calls recently, or makes too many at a time.
    pub fn call(&self, identity: &Identity) -> Result<Place, ApiError> {
        self.count(identity.token_id, Instant::now())?;
        let full = |full: Full| ApiError::busy(full.to_string()).retry_after(1);
        self.0.places.take(Owner::of(identity)).map_err(full)
    }

    /// Begins an act; `None` while an act with the same key is being carried out.
    pub fn begin(&self, token: i64, key: &str) -> Option<UnderWay> {
        let act = (token, key.to_owned());
        let is_new = lock(&self.0.under_way).insert(act.clone());
        is_new.then(|| UnderWay { agents: self.clone(), act })
    }

    /// Notes the program of a token's session.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn set_client(&self, store: &Store, identity: &Identity, client: &str) -> Result<(), StoreError> {
        let named = AgentOrigin { client: Some(client.to_owned()), ..AgentOrigin::default() };
        let Some(client) = named.cleaned().client else { return Ok(()) };
        let before = {
            let mut clients = lock(&self.0.clients);
            if clients.len() >= MOST {
                clients.clear();
            }
            clients.insert(identity.token_id, client.clone())
        };
        if identity.limits.is_some() && before.as_ref() != Some(&client) {
            store.set_agent_client(identity.token_id, &client).await?;
        }
        Ok(())
    }

    /// The program of a token's session, also after a restart of the server.
    pub async fn client(&self, store: &Store, token: i64) -> Option<String> {
        let known = lock(&self.0.clients).get(&token).cloned();
        match known {
            Some(client) => Some(client),
            None => store.agent(token).await.ok().and_then(|agent| agent.client),
        }
    }

    fn count(&self, token: i64, now: Instant) -> Result<(), ApiError> {
        let mut rates = lock(&self.0.rates);
        if !rates.contains_key(&token) && rates.len() >= MOST {
            rates.retain(|_, rate| rate.at(now) < BURST);
        }
        let rate = rates.entry(token).or_insert(Rate { left: BURST, at: now });
        (rate.left, rate.at) = (rate.at(now), now);
        if rate.left >= 1.0 {
            rate.left -= 1.0;
            return Ok(());
        }
        let secs = ((1.0 - rate.left) / PER_SEC).ceil() as u64;
        let message = format!("this token makes more than {} calls per minute", 60.0 * PER_SEC);
        Err(ApiError::busy(message)
            .hint(format!("try again in {secs} s; use wait_for instead of repeated calls"))
            .retry_after(secs))
    }
}

impl Rate {
    /// The calls that are left at a later time.
    fn at(&self, now: Instant) -> f64 {
        (self.left + PER_SEC * now.saturating_duration_since(self.at).as_secs_f64()).min(BURST)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.agents.0.under_way).remove(&self.act);
    }
}

// Plain values are consistent even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_makes_a_burst_of_calls_and_then_so_many_per_second() {
        let (agents, began) = (Agents::default(), Instant::now());
        (0..120).for_each(|_| agents.count(1, began).unwrap());
        let refused = agents.count(1, began).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.retry_after_secs), (429, Some(1)), "{refused}");
        assert!(refused.to_string().contains("240 calls per minute"), "{refused}");
        agents.count(2, began).unwrap();
        let later = began + Duration::from_secs(2);
        (0..8).for_each(|_| agents.count(1, later).unwrap());
        assert!(agents.count(1, later).is_err());
        let long_after = began + Duration::from_secs(3600);
        (0..120).for_each(|_| agents.count(1, long_after).unwrap());
        assert!(agents.count(1, long_after).is_err(), "no more than a burst is saved up");
    }

    #[test]
    fn a_token_makes_16_calls_at_once_and_leaves_room_for_others() {
        let agents = Agents::default();
        let call = |token: i64| agents.0.places.take(Owner::Token(token)).map_err(|full| full.to_string());
        let held: Vec<Place> = (0..16).map(|_| call(1).unwrap()).collect();
        assert_eq!(
            call(1).err().unwrap(),
            "16 calls of tools of yours are open at the same time, which is the maximum"
        );
        assert!(call(2).is_ok());
        drop(held);
        assert!(call(1).is_ok());
    }

    #[test]
    fn an_act_is_carried_out_once_at_a_time() {
        let agents = Agents::default();
        let first = agents.begin(1, "a").unwrap();
        assert!(agents.begin(1, "a").is_none());
        assert!(agents.begin(2, "a").is_some() && agents.begin(1, "b").is_some());
        drop(first);
        assert!(agents.begin(1, "a").is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let (agents, began) = (Agents::default(), Instant::now());
        (0..3 * MOST as i64).for_each(|token| agents.count(token, began + Duration::from_secs(token as u64)).unwrap());
        assert!(lock(&agents.0.rates).len() <= MOST);
    }
}
