//! Calls that are being answered, so that a client can cancel one with the notification `notifications/cancelled`. Each message is a request
//! of its own, so a call is found by its token and the id of its message. A client that closes its connection cancels its call as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

/// Name of the notification.
const CANCELLED: &str = "notifications/cancelled";

/// The calls that are being answered; cloning shares them.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<HashMap<Key, Vec<Arc<Notify>>>>>);

/// Id of the token, and id of the message as JSON.
type Key = (i64, String);

/// A call that is being answered. Drop it when the call has been answered.
pub struct OpenCall {
    calls: Calls,
    key: Key,
    cancel: Arc<Notify>,
}

impl Calls {
    /// Adds a call. `id` is that of its message, as JSON.
    pub fn open(&self, token: i64, id: String) -> OpenCall {
        let (key, cancel) = ((token, id), Arc::<Notify>::default());
        self.lock().entry(key.clone()).or_default().push(cancel.clone());
        OpenCall { calls: self.clone(), key, cancel }
    }

    /// Cancels the call of a token with this id. If two clients of a token have a call with the same id, none is cancelled, because the other
    /// client still waits for its answer.
    pub fn cancel(&self, token: i64, id: String) {
        if let Some([only]) = self.lock().get(&(token, id)).map(Vec::as_slice) {
            only.notify_one();
        }
    }

    // A map of handles is consistent even after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenCall {
    /// Waits until the call is cancelled.
    pub async fn cancelled(&self) {
        self.cancel.notified().await;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut calls = self.calls.lock();
        let Some(open) = calls.get_mut(&self.key) else { return };
        open.retain(|other| !Arc::ptr_eq(other, &self.cancel));
        if open.is_empty() {
            calls.remove(&self.key);
        }
    }
}

/// The id of the call that a message cancels, as JSON; `None` for any other message.
pub fn cancelled_by(message: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        method: String,
        params: Cancelled,
    }
    #[derive(Deserialize)]
    struct Cancelled {
        #[serde(rename = "requestId")]
        request_id: Value,
    }
    let message: Message = serde_json::from_slice(message).ok()?;
    (message.method == CANCELLED).then(|| message.params.request_id.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_call_is_cancelled_by_its_token_and_id_if_it_is_the_only_one() {
        let calls = Calls::default();
        let is_cancelled = |call: &OpenCall| call.cancelled().now_or_never().is_some();
        let (one, other) = (calls.open(1, "7".into()), calls.open(2, "7".into()));
        calls.cancel(1, "8".into());
        calls.cancel(1, "7".into());
        assert!(is_cancelled(&one) && !is_cancelled(&other));
        let (third, fourth) = (calls.open(3, "7".into()), calls.open(3, "7".into()));
        calls.cancel(3, "7".into());
        assert!(!is_cancelled(&third) && !is_cancelled(&fourth), "two clients use this token");
        drop(third);
        calls.cancel(3, "7".into());
        assert!(is_cancelled(&fourth));
        drop((one, other, fourth));
        assert!(calls.lock().is_empty());
    }

    #[test]
    fn only_a_cancellation_names_a_call() {
        let message = |text: &str| cancelled_by(text.as_bytes());
        let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"x"}}"#;
        assert_eq!(message(cancelled).as_deref(), Some("7"));
        assert_eq!(message(&cancelled.replace(":7", r#":"a""#)).as_deref(), Some(r#""a""#));
        assert_eq!(message(&cancelled.replace("cancelled", "initialized")), None);
        assert_eq!(message(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), None);
        assert_eq!(message("no"), None);
    }
}
