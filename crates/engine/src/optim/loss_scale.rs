//! Dynamic loss scaling for float16, as in PyTorch's `GradScaler` (Micikevicius et al. 2018). Backward starts from the loss times a factor,
//! so that small gradients do not round to zero in a format whose smallest normal number is 6e-5; the gradient is divided by it.
//!
//! A gradient that is not finite has overflowed: its step is skipped and the factor halved. After 2,000 finite steps the factor doubles. All
//! of it is computed on the device, so that no step waits for it.

use burn::tensor::{Bool, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::device::read;
use crate::error::EngineError;

/// The factor at the start of a run.
const FIRST: f32 = 65_536.0;
/// Finite steps after which the factor doubles.
const INTERVAL: f32 = 2_000.0;

/// The factor of the loss, on the device.
#[derive(Debug, Clone)]
pub struct LossScale {
    /// The factor, a power of two, `[1]`.
    factor: Tensor<1>,
    /// Finite steps since the factor changed, `[1]`.
    finite_steps: Tensor<1>,
}

/// The state in a checkpoint. Both numbers are integers or powers of two, which JSON keeps exactly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SavedLossScale {
    pub factor: f32,
    pub finite_steps: u32,
}

impl Default for SavedLossScale {
    fn default() -> Self {
        Self { factor: FIRST, finite_steps: 0 }
    }
}

impl LossScale {
    /// The saved state on a device.
    pub fn new(saved: SavedLossScale, device: &Device) -> Self {
        let scalar = |value: f32| Tensor::from_data([value], device);
        Self { factor: scalar(saved.factor), finite_steps: scalar(saved.finite_steps as f32) }
    }

    /// Reads the state back.
    ///
    /// # Errors
    /// The device was lost.
    pub fn saved(&self) -> Result<SavedLossScale, EngineError> {
        let values = read(Tensor::cat(vec![self.factor.clone(), self.finite_steps.clone()], 0))?;
        Ok(SavedLossScale { factor: values[0], finite_steps: values[1] as u32 })
    }

    /// The factor, `[1]`.
    pub fn factor(&self) -> Tensor<1> {
        self.factor.clone()
    }

    /// Changes the factor after a step whose gradient overflowed or not, `[1]`.
    pub fn update(&mut self, is_overflow: Tensor<1, Bool>) {
        let finite_steps = (self.finite_steps.clone() + 1.0).mask_fill(is_overflow.clone(), 0.0);
        let is_due = finite_steps.clone().greater_equal_elem(INTERVAL);
        let halved = self.factor.clone().mask_where(is_overflow, self.factor.clone() * 0.5);
        self.factor = halved.clone().mask_where(is_due.clone(), halved * 2.0);
        self.finite_steps = finite_steps.mask_fill(is_due, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_halves_on_overflow_and_doubles_after_the_interval() {
        let device = Device::flex();
        let mut scale = LossScale::new(SavedLossScale { factor: 8.0, finite_steps: 1998 }, &device);
        let mut after = |norm: f32| {
            scale.update(Tensor::<1>::from_data([norm], &device).is_finite().bool_not());
            // A checkpoint keeps the state.
            let saved = serde_json::to_string(&scale.saved().unwrap()).unwrap();
            scale = LossScale::new(serde_json::from_str(&saved).unwrap(), &device);
            let saved = scale.saved().unwrap();
            (saved.factor, saved.finite_steps)
        };
        assert_eq!(after(1.0), (8.0, 1999));
        assert_eq!(after(1.0), (16.0, 0));
        assert_eq!(after(1.0), (16.0, 1));
        assert_eq!(after(f32::INFINITY), (8.0, 0));
        assert_eq!(after(f32::NAN), (4.0, 0));
        assert_eq!(after(1.0), (4.0, 1));
    }
}
