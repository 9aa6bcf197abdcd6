//! A run whose worker on another machine was lost continues on another device: from the newest checkpoint whose files are here, with the
//! reports that were stored. What the lost worker had not sent is trained again; its replicas are those of the plan, so on the CPU every
//! value is the same.

use wire::run::history::Past;
use wire::{DeviceId, RunId};

use crate::error::ApiError;
use crate::lab::Lab;

/// The past for the device that is about to train a run: all of it for the one that trained it before, whose folder has the checkpoints that
/// were not uploaded; else what can be fetched from here.
///
/// # Errors
/// An error of the store.
pub async fn past(lab: &Lab, run: &RunId, before: &DeviceId, device: &DeviceId) -> Result<Past, ApiError> {
    let store = lab.store();
    Ok(if before == device { store.past(run).await? } else { store.past_elsewhere(run).await? })
}
