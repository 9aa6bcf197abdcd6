//! What a sweep would train, before it starts.

use serde::{Deserialize, Serialize};

use super::space::Point;
use crate::error::ApiErrorBody;

/// The size of a sweep. Tokens and times are those of the first points, scaled to all trials, where points differ in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SweepPreview {
    /// Trials that are planned.
    pub trials: u64,
    /// Configurations: trials divided by the seeds of each.
    pub configurations: u64,
    /// Training tokens of all trials without early stopping, estimated; `None` if none of the first points is valid.
    pub tokens: Option<f64>,
    /// Training time of all trials on one device without early stopping, seconds, estimated; `None` if the speed of the device is not known.
    pub training_secs: Option<f64>,
    /// The first points.
    pub points: Vec<PreviewPoint>,
}

/// A point with its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewPoint {
    pub point: Point,
    /// Training tokens.
    pub tokens: Option<u64>,
    /// Training time, seconds, if the speed of the device is known.
    pub secs: Option<f64>,
    /// Why the point makes no valid plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiErrorBody>,
}
