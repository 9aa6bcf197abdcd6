//! Statistics of a tensor: its moments, and those of a parameter and its gradient.

use serde::{Deserialize, Serialize};

/// Moments and extrema of one tensor, reduced on its device. Values that are not finite are counted and left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Moments {
    /// Finite values.
    pub count: u64,
    /// NaN and infinite values.
    pub non_finite: u64,
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
    pub shape: Vec<u64>,
    /// Weights after the step.
    pub weight: Moments,
    /// Gradient before clipping.
    pub gradient: Moments,
    /// Norm of the step's update over the norm of the weights.
    pub update_ratio: f64,
}
