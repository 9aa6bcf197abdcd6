//! The lab in one message: runs, devices and jobs, encoded once for all pages that ask at about the same time.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wire::data::corpus::Job;
use wire::device::DeviceView;
use wire::disk::DiskSpace;
use wire::encode;
use wire::transport::live::{LabState, ToPage};

use super::feed::Feed;
use crate::error::ApiError;

/// The state of the lab is sent at most this often.
pub(super) const LAB_EVERY: Duration = Duration::from_millis(250);

/// Where a part of the state is read from.
pub type Source<T> = Box<dyn Fn() -> Vec<T> + Send + Sync>;

/// Where the free space is read from.
pub type DiskSource = Box<dyn Fn() -> Option<DiskSpace> + Send + Sync>;

/// Reads the state of the lab.
pub struct LabStates {
    feed: Feed,
    devices: Source<DeviceView>,
    jobs: Source<Job>,
    disk: DiskSource,
    /// Version, time and bytes of the last message.
    last: Mutex<Option<(u64, Instant, Bytes)>>,
}

impl LabStates {
    /// Reads runs from the feed, and the rest from the given functions.
    pub fn new(feed: Feed, devices: Source<DeviceView>, jobs: Source<Job>, disk: DiskSource) -> Self {
        Self { feed, devices, jobs, disk, last: Mutex::default() }
    }

    /// The state as of now.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn now(&self) -> Result<LabState, ApiError> {
        let (runs, counts) = self.feed.store.current_runs().await?;
        Ok(LabState { runs, counts, devices: (self.devices)(), jobs: (self.jobs)(), disk: (self.disk)() })
    }

    /// The state at `version` or a little before, encoded; with its version.
    pub(super) async fn encoded(&self, version: u64) -> Result<(u64, Bytes), ApiError> {
        let mut last = self.last.lock().await;
        let is_fresh = |(of, at, _): &&(u64, Instant, Bytes)| *of == version || at.elapsed() < LAB_EVERY / 2;
        if let Some((of, _, bytes)) = last.as_ref().filter(is_fresh) {
            return Ok((*of, bytes.clone()));
        }
        let message = ToPage::Lab(self.now().await?);
        let bytes =
            encode::to_bytes(&message).map_err(|source| ApiError::internal("encoding the lab's state", source))?;
        let bytes = Bytes::from(bytes);
        *last = Some((version, Instant::now(), bytes.clone()));
        Ok((version, bytes))
    }
}
