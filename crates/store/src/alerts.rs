//! Alerts, and the outbox of messages to channels.
//!
//! An alert is written in the transaction of what it is about: a kill between the two is impossible. [`Store::route_alerts`] then writes the
//! messages, in one transaction with the note that the alert is routed, so that no channel gets two. A message is sent after that, and again
//! until [`Store::close_delivery`] is told that it was accepted. So each alert arrives at least once, or its message is marked as failed.
//!
//! - [`of_event`]: the alerts of the journal; [`of_finding`]: those of findings; [`conditions`]: those of metrics; [`of_proposal`]: those of
//!   proposals;
//! - [`channels`]: the channels; [`outbox`]: the messages.

mod channels;
mod conditions;
mod of_event;
mod of_finding;
mod of_proposal;
pub(crate) mod outbox;

use wire::access::{Grants, Role};
use wire::alert::AlertView;

use crate::database::alerts::NewAlert;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

pub(crate) use of_event::of_event;
pub(crate) use of_finding::of_finding;
pub(crate) use of_proposal::of_proposal;

/// How long alerts and their messages are kept, ms: 30 days.
const KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

/// Whether somebody may see an alert: of a run for those who may see the run, of a project for those who may see the project, of a machine for
/// those who may see the lab.
pub(crate) fn is_visible(alert: &AlertView, grants: &Grants) -> bool {
    match (&alert.run, &alert.project) {
        (Some(run), Some(project)) => grants.on_run(run, project).is_some(),
        (None, Some(project)) => grants.in_project(project).is_some(),
        (_, None) => grants.has_lab(Role::View),
    }
}

impl Store {
    /// Raises an alert. Returns false if one with its source was raised before.
    pub async fn raise_alert(&self, alert: &NewAlert) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let is_new = database::alerts::insert(&mut transaction, alert).await?;
        commit(transaction).await?;
        Ok(is_new)
    }

    /// The newest alerts with a number above `after` that somebody may see, newest first; of the newest 1,000 at most.
    pub async fn alerts(&self, grants: &Grants, after: i64, limit: usize) -> Result<Vec<AlertView>, StoreError> {
        let newest = database::alerts::newest(&mut *self.database().read().await?, after, 1_000).await?;
        Ok(newest.into_iter().filter(|alert| is_visible(alert, grants)).take(limit).collect())
    }

    /// Number of the newest alert; 0 before the first.
    pub async fn newest_alert(&self) -> Result<i64, StoreError> {
        database::alerts::newest_id(&mut *self.database().read().await?).await
    }

    /// Deletes alerts and messages that are older than 30 days, except messages that wait, with their alerts.
    pub async fn prune_alerts(&self, now_ms: i64) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::alerts::prune(&mut transaction, now_ms - KEPT_MS).await?;
        commit(transaction).await
    }
}
