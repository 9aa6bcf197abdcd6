//! Updates of inspections, which the worker sends: a result with step and cost, or an error. Only the newest of each inspection
//! matters.

use serde::{Deserialize, Serialize};

use super::request::Inspection;
use super::result::InspectionResult;
use super::statistics::TensorStats;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum InspectionUpdate {
    /// Weight and gradient statistics of every parameter.
    ParameterStats {
        /// Step they belong to.
        step: u64,
        /// One for each parameter, in the model's order.
        tensors: Vec<TensorStats>,
        /// Time it took, ms.
        cost_ms: f64,
    },
    /// The result of an inspection.
    Result {
        /// Steps done when it was taken.
        step: u64,
        /// Segment of the run's history.
        segment: u32,
        inspection: Inspection,
        result: InspectionResult,
        /// Its cost.
        overhead: InspectionOverhead,
    },
    /// An inspection that failed.
    Failed {
        /// Steps done when it was tried.
        step: u64,
        inspection: Inspection,
        /// The error with a hint.
        message: String,
    },
}

/// The cost of an inspection and how often it is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InspectionOverhead {
    /// Training time that it took, ms.
    pub cost_ms: f64,
    /// Time between two results, ms; 0 for one that is not repeated.
    pub every_ms: f64,
    /// Fraction of the training time that all inspections currently take, 0 to 1.
    pub share: f64,
}

impl InspectionUpdate {
    /// The step it belongs to.
    pub fn step(&self) -> u64 {
        match self {
            Self::ParameterStats { step, .. } | Self::Result { step, .. } | Self::Failed { step, .. } => *step,
        }
    }

    /// The key under which a newer update replaces an older one: the key of its inspection.
    pub fn key(&self) -> String {
        match self {
            Self::ParameterStats { .. } => "parameter_stats".to_owned(),
            Self::Result { inspection, .. } | Self::Failed { inspection, .. } => inspection.key(),
        }
    }
}
