//! The validation contexts with the largest activations of one neuron.

use std::cell::RefCell;

use burn::tensor::Tensor;
use wire::control::intervention::Component;
use wire::inspect::result::{InspectionResult, NeuronContext};

use super::Inspector;
use crate::device::read;
use crate::error::{EngineError, InspectError};
use crate::kernels::reduce;
use crate::model::decoder::Decoder;
use crate::model::gradient;
use crate::model::hook::{Hook, HookPoint};

/// Maximum number of validation tokens that are read.
const MAX_READ: usize = 4096;
/// Maximum number of contexts in the result.
const MAX_CONTEXTS: usize = 8;

/// Records the activations of one neuron.
struct NeuronRecorder {
    layer: usize,
    neuron: usize,
    activations: RefCell<Option<Tensor<3>>>,
}

impl Hook for NeuronRecorder {
    fn activation(&self, point: HookPoint, x: Tensor<3>) -> Tensor<3> {
        if point == HookPoint::MlpPost(self.layer) {
            *self.activations.borrow_mut() = Some(x.clone().slice_dim(2, self.neuron..self.neuron + 1)); // [windows, seq, 1]
        }
        x
    }
}

pub(super) fn inspect(inspector: &Inspector<'_>, layer: u32, neuron: u32) -> Result<InspectionResult, EngineError> {
    inspector.model().component(Component::Neuron { layer, neuron }).map_err(InspectError::from)?;
    let (layer, neuron) = (layer as usize, neuron as usize);
    let (seq, mix) = (inspector.max_tokens(), inspector.mix());
    let data = inspector.subject.data;
    let windows = data.valid_window_count(seq, &mix).min(MAX_READ / seq).max(1);
    let Some(batch) = data.valid_batch(0, windows, seq, &mix) else {
        return Ok(InspectionResult::Neuron { contexts: vec![], histogram: reduce::histogram(&[]), read: 0 });
    };
    let recorder = NeuronRecorder { layer, neuron, activations: RefCell::default() };
    let tokens = gradient::tokens(&batch.inputs, batch.size, seq, &inspector.subject.device.burn);
    Decoder::hooked(inspector.model(), &inspector.weights, &recorder).residual(tokens, None);
    let recorded = recorder.activations.into_inner().map(|values| read(values.reshape([batch.size * seq])));
    let activations = recorded.transpose()?.unwrap_or_default();

    let mut contexts: Vec<NeuronContext> = (0u32..)
        .zip(activations.chunks(seq).zip(batch.inputs.chunks(seq)))
        .map(|(window, (activations, tokens))| {
            let size = |index: &usize| activations[*index].abs();
            let at = (0..seq).max_by(|a, b| size(a).total_cmp(&size(b)).then(b.cmp(a))).unwrap_or(0);
            let tokens: Vec<u32> = tokens.iter().map(|token| *token as u32).collect();
            NeuronContext {
                window,
                tokens: inspector.pieces(&tokens),
                activations: activations.to_vec(),
                at: at as u32,
            }
        })
        .collect();
    let strength = |context: &NeuronContext| context.activations[context.at as usize].abs();
    contexts.sort_by(|a, b| strength(b).total_cmp(&strength(a)).then(a.window.cmp(&b.window)));
    contexts.truncate(MAX_CONTEXTS);
    Ok(InspectionResult::Neuron {
        contexts,
        histogram: reduce::histogram(&activations),
        read: activations.len() as u64,
    })
}
