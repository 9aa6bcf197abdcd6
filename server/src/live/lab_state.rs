//! The lab in one message: runs, devices and jobs, encoded once for all pages of the same audience that ask at about the same time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wire::access::Visible;
use wire::data::corpus::Job;
use wire::device::DeviceView;
use wire::disk::DiskSpace;
use wire::encode;
use wire::transport::live::{LabState, ToPage};

use super::audience::Audience;
use super::feed::Feed;
use crate::error::ApiError;

/// The state of the lab is sent at most this often.
pub(super) const LAB_EVERY: Duration = Duration::from_millis(250);
/// How long the message of an audience that does not ask is kept.
const KEPT: Duration = Duration::from_secs(5);

/// Where a part of the state is read from.
pub type Source<T> = Box<dyn Fn() -> Vec<T> + Send + Sync>;

/// Where the free space is read from.
pub type DiskSource = Box<dyn Fn() -> Option<DiskSpace> + Send + Sync>;

/// Where the number of the newest alert is read from.
pub type AlertSource = Box<dyn Fn() -> i64 + Send + Sync>;

/// Reads the state of the lab.
pub struct LabStates {
    feed: Feed,
    devices: Source<DeviceView>,
    jobs: Source<Job>,
    disk: DiskSource,
    newest_alert: AlertSource,
    /// Version, time and bytes of the last message to each audience.
    last: Mutex<HashMap<Audience, (u64, Instant, Bytes)>>,
}

impl LabStates {
    /// Reads runs from the feed, and the rest from the given functions.
    pub fn new(
        feed: Feed,
        devices: Source<DeviceView>,
        jobs: Source<Job>,
        disk: DiskSource,
        newest_alert: AlertSource,
    ) -> Self {
        Self { feed, devices, jobs, disk, newest_alert, last: Mutex::default() }
    }

    /// The state as of now, as an audience sees it.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn now(&self, audience: &Audience) -> Result<LabState, ApiError> {
        let store = &self.feed.store;
        let (runs, counts) = store.current_runs(&audience.visible).await?;
        let datasets =
            if audience.visible == Visible::All { BTreeMap::new() } else { store.dataset_projects().await? };
        let (devices, jobs, disk, newest_alert) =
            ((self.devices)(), (self.jobs)(), (self.disk)(), (self.newest_alert)());
        let (pending_proposals, proposal_changes) = store.pending_proposals(&audience.visible).await?;
        let state = LabState { runs, counts, devices, jobs, disk, newest_alert, pending_proposals, proposal_changes };
        Ok(audience.filter(state, &datasets))
    }

    /// The state at `version` or a little before, encoded; with its version.
    pub(super) async fn encoded(&self, audience: &Audience, version: u64) -> Result<(u64, Bytes), ApiError> {
        let mut last = self.last.lock().await;
        let is_fresh = |(of, at, _): &&(u64, Instant, Bytes)| *of == version || at.elapsed() < LAB_EVERY / 2;
        if let Some((of, _, bytes)) = last.get(audience).filter(is_fresh) {
            return Ok((*of, bytes.clone()));
        }
        let message = ToPage::Lab(self.now(audience).await?);
        let bytes =
            encode::to_bytes(&message).map_err(|source| ApiError::internal("encoding the lab's state", source))?;
        let bytes = Bytes::from(bytes);
        // Only audiences that still watch are kept.
        last.retain(|_, (_, at, _)| at.elapsed() < KEPT);
        last.insert(audience.clone(), (version, Instant::now(), bytes.clone()));
        Ok((version, bytes))
    }
}
