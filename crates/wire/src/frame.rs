//! Looks inside: small pictures of a moment, of which only the latest matters.

use serde::{Deserialize, Serialize};

use crate::look::Look;
use crate::sight::Sight;

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
    /// What was asked for and seen.
    Seen {
        /// Steps done when it was taken.
        step: u64,
        /// Stretch of the run's history.
        segment: u32,
        /// What was asked.
        look: Look,
        /// What was seen.
        sight: Sight,
        /// What it cost.
        pace: Pace,
    },
    /// What was asked for and cannot be seen.
    Unseen {
        /// Steps done when it was tried.
        step: u64,
        /// What was asked.
        look: Look,
        /// Why not, and the way out.
        message: String,
    },
}

/// What a look costs, and how often it is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pace {
    /// Time this look took, milliseconds of training.
    pub cost_ms: f64,
    /// Time between two of it, milliseconds; 0 for one that does not stand.
    pub every_ms: f64,
    /// Share of all time that goes to looks at present, 0 to 1.
    pub share: f64,
}

impl Frame {
    /// The step it belongs to.
    pub fn step(&self) -> u64 {
        match self {
            Self::Tensors { step, .. } | Self::Seen { step, .. } | Self::Unseen { step, .. } => *step,
        }
    }

    /// The key under which the latest replaces the one before: its kind, and of looks what exactly was asked.
    pub fn key(&self) -> String {
        match self {
            Self::Tensors { .. } => "tensors".to_owned(),
            Self::Seen { look, .. } | Self::Unseen { look, .. } => look.key(),
        }
    }
}
