//! Losses without gradients: of every token, and of the sequences of batches.

use burn::tensor::Device;
use wire::model::ModelPlan;

use crate::data::batch::Batch;
use crate::device::read;
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::model::cpu;
use crate::model::cpu::workspace::{Workspace, Workspaces};
use crate::model::decoder::Decoder;
use crate::model::gradient::{sequences_of, tokens};
use crate::model::params::Weights;

/// The losses of some batches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    /// Sum over all tokens, nats.
    pub nats: f64,
    pub tokens: u64,
    /// Mean over the tokens of each sequence, nats per token.
    pub windows: Vec<f32>,
}

impl Losses {
    /// Mean over all tokens, nats per token; `None` for no tokens.
    pub fn mean(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.nats / self.tokens as f64)
    }
}

/// The losses of batches; sequences are split over the replicas if there are any.
///
/// # Errors
/// A replica panicked, or the device was lost.
pub fn losses(
    model: &ModelPlan,
    weights: &Weights,
    batches: impl Iterator<Item = Batch>,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<Losses, EngineError> {
    let mut all = Losses::default();
    for batch in batches {
        let tokens = token_losses(model, weights, &batch, replicas, device)?;
        for window in tokens.chunks(batch.seq.max(1)) {
            let nats: f64 = window.iter().map(|nats| f64::from(*nats)).sum();
            all.windows.push((nats / window.len() as f64) as f32);
            all.nats += nats;
        }
        all.tokens += tokens.len() as u64;
    }
    Ok(all)
}

/// The loss of each token of a batch, sequence by sequence, nats; sequences are split over the replicas if there are any.
///
/// # Errors
/// The errors of [`losses`].
pub fn token_losses(
    model: &ModelPlan,
    weights: &Weights,
    batch: &Batch,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    let Some(replicas) = replicas else {
        return losses_of(model, weights, batch, device, &mut Workspace::default());
    };
    let (model, weights, batch, device) = (model.clone(), weights.clone(), batch.clone(), device.clone());
    let count = replicas.count();
    let losses = replicas.map_keeping(move |replica, buffers: &mut Workspaces| {
        losses_of(&model, &weights, &sequences_of(&batch, replica, count), &device, &mut buffers.losses)
    })?;
    Ok(losses.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn losses_of(
    model: &ModelPlan,
    weights: &Weights,
    batch: &Batch,
    device: &Device,
    workspace: &mut Workspace,
) -> Result<Vec<f32>, EngineError> {
    if weights.are_on_cpu() {
        return Ok(cpu::token_nats(model, weights, batch, workspace));
    }
    if batch.size == 0 {
        return Ok(vec![]);
    }
    let tokens = |ids: &[i32]| tokens(ids, batch.size, batch.seq, device);
    read(Decoder::new(model, weights).token_nats(tokens(&batch.inputs), tokens(&batch.targets)))
}
