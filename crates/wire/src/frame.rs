//! Looks inside: small pictures of a moment, of which only the latest matters.

use serde::{Deserialize, Serialize};

/// Moments and extrema of one tensor, reduced on its device. Values that are not finite are counted and left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Moments {
    /// Finite values.
    pub count: u64,
    /// NaN and infinite values.
    pub bad: u64,
    /// Mean of the finite ones.
    pub mean: f64,
    /// Root of their mean square.
    pub rms: f64,
    /// Smallest; 0 for none.
    pub min: f64,
    /// Largest; 0 for none.
    pub max: f64,
}

/// One parameter of the model: its weights, and its gradient at the same step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TensorStats {
    /// Path in the model: `block.0.attention.query`.
    pub name: String,
    /// Shape.
    pub shape: Vec<u64>,
    /// Weights after the step.
    pub weight: Moments,
    /// Gradient before clipping.
    pub gradient: Moments,
    /// Norm of the step's update over the norm of the weights.
    pub update_ratio: f64,
}

/// One look inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Frame {
    /// Weight and gradient statistics of every parameter.
    Tensors {
        /// Step they belong to.
        step: u64,
        /// One for each parameter, in the model's order.
        tensors: Vec<TensorStats>,
        /// Time the look took, milliseconds.
        cost_ms: f64,
    },
}

impl Frame {
    /// The step it belongs to.
    pub fn step(&self) -> u64 {
        match self {
            Self::Tensors { step, .. } => *step,
        }
    }

    /// Its kind, the key under which the latest replaces the one before.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tensors { .. } => "tensors",
        }
    }
}
