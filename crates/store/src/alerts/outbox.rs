//! Messages to channels. Each is written before it is sent, and kept with what the receiver answered.

use wire::access::Grants;
use wire::alert::timing::{COLLECT_MINUTES, MOST_PER_HOUR};
use wire::alert::{AlertView, DeliveryView};

use super::is_visible;
use crate::access::person_grants;
use crate::database::alerts::{Attempt, ChannelRecord, DeliveryRow, RoutedAlert};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;
use crate::tokens;

const HOUR_MS: i64 = 3600 * 1000;
/// Time for which alerts beyond [`MOST_PER_HOUR`] are collected in one message.
const COLLECT_MS: i64 = COLLECT_MINUTES as i64 * 60 * 1000;
/// Alerts times channels that are routed in one transaction, about: each takes up to three statements, and other writers wait meanwhile.
const ROUTED_AT_ONCE: usize = 400;
/// Alerts that a message lists.
const LISTED: usize = 50;
/// Alerts of a message that are read. Its person may not see some of them any more, and the others are then listed.
const READ: u32 = 200;

/// A message that is due, with everything that is needed to send it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingMessage {
    /// Row of the message, for [`Store::close_delivery`].
    pub id: i64,
    /// Id that the receiver gets.
    pub delivery: String,
    pub channel: ChannelRecord,
    /// Attempts so far.
    pub attempts: u32,
    /// Time of the first of them, ms since 1970.
    pub tried_ms: Option<i64>,
    /// Oldest first, at most 50. Empty if its person may not see any of them any more.
    pub alerts: Vec<AlertView>,
    /// Number of further alerts.
    pub left_out: u64,
}

impl Store {
    /// Writes the messages of the oldest alerts that have none yet; call it until there are none. Returns the number of the newest of these
    /// alerts; `None` if there were none.
    pub async fn route_alerts(&self, now_ms: i64) -> Result<Option<i64>, StoreError> {
        // Most calls find none, and then need no writing transaction.
        if database::alerts::unrouted(&mut *self.database().read().await?, 1).await?.is_empty() {
            return Ok(None);
        }
        let mut transaction = self.database().write().await?;
        let mut channels = database::alerts::channels(&mut transaction).await?;
        channels.retain(|record| record.channel.is_enabled);
        let at_once = (ROUTED_AT_ONCE / channels.len().max(1)).max(1);
        let alerts = database::alerts::unrouted(&mut transaction, at_once as u32).await?;
        for record in &channels {
            let grants = grants_of(&mut transaction, record).await?;
            for alert in alerts.iter().filter(|alert| is_sent(record, alert, grants.as_ref())) {
                add_to_outbox(&mut transaction, record, &alert.view, now_ms).await?;
            }
        }
        let newest = alerts.iter().map(|alert| alert.view.id).max();
        if let Some(newest) = newest {
            database::alerts::set_routed(&mut transaction, newest).await?;
        }
        commit(transaction).await?;
        Ok(newest)
    }

    /// After the clock of the machine was set back: messages that wait were created later than now, and would wait until that time comes again.
    /// They wait as long as they would have. Call it before [`Self::route_alerts`].
    pub async fn set_back_messages(&self, now_ms: i64) -> Result<(), StoreError> {
        if !database::alerts::is_ahead(&mut *self.database().read().await?, now_ms).await? {
            return Ok(());
        }
        let mut transaction = self.database().write().await?;
        database::alerts::set_back(&mut transaction, now_ms).await?;
        commit(transaction).await
    }

    /// The messages that are due, one of each channel that is not in `busy`, the longest due first.
    pub async fn due_messages(&self, now_ms: i64, busy: &[i64]) -> Result<Vec<OutgoingMessage>, StoreError> {
        let mut connection = self.database().read().await?;
        let mut due = database::alerts::due(&mut connection, now_ms).await?;
        due.retain(|row| !busy.contains(&row.channel));
        if due.is_empty() {
            return Ok(vec![]);
        }
        let channels = database::alerts::channels(&mut connection).await?;
        let mut messages = vec![];
        for row in due {
            if let Some(channel) = channels.iter().find(|channel| channel.id == row.channel) {
                messages.push(message(&mut connection, row, channel).await?);
            }
        }
        Ok(messages)
    }

    /// Notes the result of an attempt. A message that was given up meanwhile stays so.
    pub async fn close_delivery(&self, id: i64, attempt: &Attempt) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::alerts::close_delivery(&mut transaction, id, attempt).await?;
        commit(transaction).await
    }

    /// When the next waiting message is due, ms since 1970.
    pub async fn next_delivery(&self) -> Result<Option<i64>, StoreError> {
        database::alerts::next_due(&mut *self.database().read().await?).await
    }

    /// The newest messages of a channel, newest first, at most `limit`. A title that its person may not see any more is empty.
    pub async fn deliveries(&self, channel: &ChannelRecord, limit: u32) -> Result<Vec<DeliveryView>, StoreError> {
        let mut connection = self.database().read().await?;
        let grants = grants_of(&mut connection, channel).await?;
        let mut found = vec![];
        for (delivery, first) in database::alerts::deliveries(&mut connection, channel.id, limit).await? {
            let first = first.filter(|alert| grants.as_ref().is_none_or(|grants| is_visible(alert, grants)));
            found.push(DeliveryView { title: first.map(|alert| alert.title).unwrap_or_default(), ..delivery });
        }
        Ok(found)
    }
}

/// What the owner of a channel may see; `None` for the lab, which sees all.
async fn grants_of(connection: &mut Connection, record: &ChannelRecord) -> Result<Option<Grants>, StoreError> {
    let Some(person) = record.person else { return Ok(None) };
    Ok(Some(person_grants(connection, person).await?.map(|(_, grants)| grants).unwrap_or_default()))
}

fn is_sent(record: &ChannelRecord, alert: &RoutedAlert, grants: Option<&Grants>) -> bool {
    let RoutedAlert { view, tags } = alert;
    let of_run = view.project.as_deref().map(|project| (project, tags.as_slice()));
    record.channel.filter.has(view.kind, view.is_urgent, of_run) && grants.is_none_or(|grants| is_visible(view, grants))
}

/// Adds an alert to the message of its channel that is still open, or to a new one.
async fn add_to_outbox(
    connection: &mut Connection,
    record: &ChannelRecord,
    alert: &AlertView,
    now_ms: i64,
) -> Result<(), StoreError> {
    let due_ms = record.channel.timing.due_ms(now_ms, alert.is_urgent);
    let is_flood =
        database::alerts::count_between(connection, record.id, now_ms - HOUR_MS, now_ms).await? >= MOST_PER_HOUR;
    let due_ms = if is_flood { due_ms.max(now_ms + COLLECT_MS) } else { due_ms };
    // An urgent one that does not wait is a message of its own.
    let open = match due_ms > now_ms {
        true => database::alerts::open_delivery(connection, record.id, now_ms, due_ms).await?,
        false => None,
    };
    let delivery = match open {
        Some(open) => open,
        None => database::alerts::insert_delivery(connection, &delivery_id()?, record.id, now_ms, due_ms).await?,
    };
    database::alerts::add_to_delivery(connection, delivery, alert.id).await
}

/// A new id of a delivery: 32 random hexadecimal digits.
///
/// # Errors
/// The system gives no random numbers.
pub fn delivery_id() -> Result<String, StoreError> {
    Ok(tokens::random_text()?.chars().take(32).collect())
}

async fn message(
    connection: &mut Connection,
    row: DeliveryRow,
    channel: &ChannelRecord,
) -> Result<OutgoingMessage, StoreError> {
    let grants = grants_of(connection, channel).await?;
    let (mut alerts, total) = database::alerts::of_delivery(connection, row.id, READ).await?;
    let unread = total.saturating_sub(alerts.len() as u64);
    // A person may have lost a role since.
    alerts.retain(|alert| grants.as_ref().is_none_or(|grants| is_visible(alert, grants)));
    let left_out = unread + alerts.len().saturating_sub(LISTED) as u64;
    alerts.truncate(LISTED);
    let DeliveryRow { id, delivery, attempts, tried_ms, .. } = row;
    Ok(OutgoingMessage { id, delivery, channel: channel.clone(), attempts, tried_ms, alerts, left_out })
}
