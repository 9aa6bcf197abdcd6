//! A schedule as an event keeps it, so that the change can be undone.

use serde::{Deserialize, Serialize};

use crate::hyperparameters::mix::MixPoint;
use crate::hyperparameters::schedule::ScheduleOverride;

/// A schedule before or after a change, from the step of the change on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SavedSchedule {
    /// Overrides of the learning rate, and the step at which the run ends.
    LearningRate {
        overrides: Vec<ScheduleOverride>,
        /// Step at which the run ends.
        steps: u64,
    },
    /// Dataset weights from the step on.
    Mix(Vec<MixPoint>),
    /// Gradient accumulation from the step on: (first step, micro-batches).
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
    Accumulation(Vec<(u64, u64)>),
}
