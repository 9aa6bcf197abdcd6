//! Route of the device checks.

use wire::check::CheckReport;

use super::{ApiFailure, get};

/// The last report of each device.
pub(crate) async fn checks() -> Result<Vec<CheckReport>, ApiFailure> {
    get("/checks").await
}
