//! The result of an inspection of a block's neurons.

use wire::inspect::result::{HeatMap, InspectionResult};

use crate::pages::xray::inspections::result::Inspected;

/// Activations of the strongest neurons over the text.
#[derive(Clone, Copy)]
pub(super) struct Neurons<'a> {
    pub(super) tokens: &'a [String],
    /// `[neuron, token]`, the neurons with the largest absolute activation first.
    pub(super) activations: &'a HeatMap,
    /// The neuron of each row.
    pub(super) neurons: &'a [u32],
}

impl<'a> Neurons<'a> {
    pub(super) fn of(inspected: Option<&'a Inspected>) -> Option<Self> {
        match &inspected?.result {
            InspectionResult::Neurons { tokens, activations, neurons, .. } => {
                Some(Self { tokens, activations, neurons })
            }
            _ => None,
        }
    }

    /// The activations of a row as tints from 0 to 1, relative to the largest of all; negative ones are 0.
    pub(super) fn tints(&self, row: u32) -> Vec<f32> {
        let most = self.activations.high.max(1e-9);
        let tint = |token: usize| {
            self.activations.value(row as usize, token).map_or(f32::NAN, |value| (value / most).clamp(0.0, 1.0))
        };
        (0..self.tokens.len()).map(tint).collect()
    }
}
