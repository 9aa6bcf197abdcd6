//! Routes of devices, workers, pools and join tokens.

use wire::fleet::PoolView;

use super::failure::ApiFailure;
use super::request::get;

pub(crate) async fn pools() -> Result<Vec<PoolView>, ApiFailure> {
    get("/pools").await
}
