//! Refreshes of OAuth tokens that were answered a moment ago. A client that lost the answer, or that refreshes for two requests at a time,
//! sends its refresh token again and gets the same answer. Later, a second use of a refresh token ends the access of the client.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use store::{OAuthTokens, StoreError};
use tokio::sync::Mutex;

/// How long an answer is repeated.
const REPEATED_FOR: Duration = Duration::from_secs(30);
/// Answers that are kept.
const MOST: usize = 1_000;

type Key = [u8; 32];

/// The last refreshes, by the half of the refresh token that stays.
#[derive(Default)]
pub struct Renewals(Mutex<HashMap<Key, Renewal>>);

struct Renewal {
    /// Hash of the client and the refresh token that it has sent.
    sent: Key,
    tokens: OAuthTokens,
    at: Instant,
}

impl Renewals {
    /// The answer to a refresh token that `client` sends: that of the last refresh, or a new one. Refreshes follow each other, as the
    /// transactions of the store do, so that of two at a time the second finds the answer of the first.
    ///
    /// # Errors
    /// Those of `renew`.
    pub async fn once(
        &self,
        refresh: &str,
        client: &str,
        renew: impl Future<Output = Result<OAuthTokens, StoreError>>,
    ) -> Result<OAuthTokens, StoreError> {
        let family = refresh.split_once('.').map_or(refresh, |(family, _)| family);
        let (key, sent) = (hash(family), hash(&format!("{client}\n{refresh}")));
        let mut kept = self.0.lock().await;
        kept.retain(|_, one| one.at.elapsed() < REPEATED_FOR);
        if let Some(known) = kept.get(&key).filter(|known| known.sent == sent) {
            return Ok(known.tokens.clone());
        }
        let tokens = renew.await?;
        if kept.len() < MOST || kept.contains_key(&key) {
            kept.insert(key, Renewal { sent, tokens: tokens.clone(), at: Instant::now() });
        }
        Ok(tokens)
    }
}

fn hash(text: &str) -> Key {
    *blake3::hash(text.as_bytes()).as_bytes()
}
