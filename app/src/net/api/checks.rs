//! Route of device checks.

use wire::check::CheckReport;

use super::failure::ApiFailure;
use super::request::get;

/// The newest report of each device.
pub(crate) async fn reports() -> Result<Vec<CheckReport>, ApiFailure> {
    get("/checks").await
}
