//! The outbox: one task writes the messages of new alerts and sends those that are due. Each channel is sent one message at a time, and those
//! whose last message was not accepted share places of their own, so receivers that do not answer delay no other ones. A message is sent again
//! after 15 s, then after twice as long each time, up to an hour, and is given up after a day.

use std::time::Duration;

use store::{Attempt, OutgoingMessage, StoreError};
use tokio::task::JoinHandle;
use wire::alert::DeliveryState;
use wire::alert::delivery::WebhookBody;

use super::send::send;
use crate::lab::Lab;
use crate::live::clock::now_ms;
use crate::workers::local;

/// How often new alerts are looked for. One is a row that the store has written, which wakes nobody.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks between two removals of old alerts: an hour.
const PRUNE_AFTER: u32 = 1800;
/// Wait after the first failed attempt.
const FIRST_WAIT_MS: i64 = 15_000;
const LONGEST_WAIT_MS: i64 = 3600 * 1000;
/// A message is given up so long after its first attempt.
const GIVE_UP_MS: i64 = 24 * 3600 * 1000;
/// Time between two tries to store the result of an attempt.
const STORE_EVERY: Duration = Duration::from_secs(15);

/// Sends alerts until the server stops.
pub async fn keep(lab: Lab) {
    let mut looks = 0_u32;
    loop {
        if let Err(error) = dispatch(&lab, now_ms()).await {
            tracing::error!("the outbox of alerts could not be read: {error}");
        }
        if looks % PRUNE_AFTER == 0
            && let Err(error) = lab.store().prune_alerts(now_ms()).await
        {
            tracing::error!("old alerts could not be removed: {error}");
        }
        looks = looks.wrapping_add(1);
        // Elapsed or woken: both mean to look again.
        let _ = tokio::time::timeout(LOOK_EVERY, lab.alerting.woken()).await;
    }
}

/// Writes the messages of new alerts, and begins to send those that are due at `now_ms`. Returns the tasks that send.
///
/// # Errors
/// An error of the store.
pub async fn dispatch(lab: &Lab, now_ms: i64) -> Result<Vec<JoinHandle<()>>, StoreError> {
    lab.store().set_back_messages(now_ms).await?;
    while let Some(newest) = lab.store().route_alerts(now_ms).await? {
        lab.alerting.set_newest(newest);
        lab.feed.lab_changed();
    }
    let due = lab.store().due_messages(now_ms, &lab.alerting.busy()).await?;
    let mut tasks = vec![];
    for message in due {
        if let Some(busy) = Busy::begin(lab, message.channel.id) {
            let lab = lab.clone();
            tasks.push(tokio::spawn(async move {
                deliver(&lab, message, now_ms).await;
                drop(busy);
                // The channel may have another message that is due.
                lab.alerting.wake();
            }));
        }
    }
    Ok(tasks)
}

/// Marks a channel as busy until it is dropped.
struct Busy {
    lab: Lab,
    channel: i64,
}

impl Busy {
    fn begin(lab: &Lab, channel: i64) -> Option<Self> {
        lab.alerting.begin(channel).then(|| Self { lab: lab.clone(), channel })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.lab.alerting.end(self.channel);
    }
}

/// Sends a message once, and notes the result.
async fn deliver(lab: &Lab, message: OutgoingMessage, now_ms: i64) {
    let (id, channel, delivery) = (message.id, message.channel.id, message.delivery.clone());
    // Nothing closes the semaphores.
    let Ok(permit) = lab.alerting.slots_of(channel).acquire_owned().await else { return };
    let attempt = attempt(lab, message, now_ms).await;
    drop(permit);
    lab.alerting.note_attempt(channel, attempt.state == DeliveryState::Sent);
    if attempt.state != DeliveryState::Sent {
        tracing::warn!("message {delivery} to alert channel {channel} was not accepted: {}", attempt.answer);
    }
    // The channel stays busy meanwhile. The message is still due, and would be sent again at once and without end while the disk is full.
    while let Err(error) = lab.store().close_delivery(id, &attempt).await {
        tracing::error!("the result of message {delivery} to alert channel {channel} could not be stored: {error}");
        tokio::time::sleep(STORE_EVERY).await;
    }
}

async fn attempt(lab: &Lab, message: OutgoingMessage, now_ms: i64) -> Attempt {
    let OutgoingMessage { delivery, channel, attempts, tried_ms, alerts, left_out, .. } = message;
    let attempt = |state, due_ms, answer| Attempt { state, at_ms: now_ms, due_ms, answer };
    if alerts.is_empty() {
        let answer = "The owner of the channel may no longer see the run or machine of the alert.".to_owned();
        return attempt(DeliveryState::Failed, now_ms, answer);
    }
    let wait_ms = wait_ms(attempts, &delivery);
    let address = local::read_browser_address(&lab.settings.data);
    let body = WebhookBody { delivery, is_test: false, lab: address, alerts, left_out };
    match send(lab, &channel.channel.target, body).await {
        Ok(answer) => attempt(DeliveryState::Sent, now_ms, answer),
        Err(error) if now_ms - tried_ms.unwrap_or(now_ms) >= GIVE_UP_MS => {
            attempt(DeliveryState::Failed, now_ms, format!("given up after a day: {error}"))
        }
        Err(error) => attempt(DeliveryState::Waiting, now_ms + wait_ms, error.to_string()),
    }
}

/// Wait after an attempt that failed, ms: twice as long each time, and up to a fifth longer, so that the messages of a receiver that was out of
/// reach do not all come at once.
fn wait_ms(attempts: u32, delivery: &str) -> i64 {
    let wait_ms = FIRST_WAIT_MS.saturating_mul(1 << attempts.min(16)).min(LONGEST_WAIT_MS);
    let hash = blake3::hash(format!("{delivery} {attempts}").as_bytes());
    wait_ms + wait_ms / 5 * i64::from(hash.as_bytes()[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_differ_between_messages() {
        let mut total_ms = 0;
        for (attempts, least_secs) in [(0, 15), (1, 30), (2, 60), (7, 1920), (8, 3600), (40, 3600), (u32::MAX, 3600)] {
            let wait_ms = wait_ms(attempts, "0af1");
            assert!((least_secs * 1000..=least_secs * 1200).contains(&wait_ms), "{attempts}: {wait_ms}");
            total_ms += wait_ms;
        }
        assert!(total_ms < GIVE_UP_MS);
        let waits: std::collections::BTreeSet<i64> = (0..20).map(|id| wait_ms(5, &id.to_string())).collect();
        assert!(waits.len() > 5, "{waits:?}");
    }
}
