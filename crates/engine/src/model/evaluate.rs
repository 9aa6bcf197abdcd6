//! Losses without gradients: the mean over batches, and of every token.

use burn::tensor::Device;
use wire::model::ModelPlan;

use crate::data::batch::Batch;
use crate::device::read;
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::model::decoder::Decoder;
use crate::model::gradient::{sequences_of, tokens};
use crate::model::params::Weights;

/// Mean loss over batches, nats per token; sequences are split over the replicas if there are any. `None` for no batches.
///
/// # Errors
/// A replica panicked, or the device was lost.
pub fn mean_loss(
    model: &ModelPlan,
    weights: &Weights,
    batches: impl Iterator<Item = Batch>,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<Option<f64>, EngineError> {
    let (mut nats, mut count) = (0f64, 0u64);
    for batch in batches {
        count += (batch.size * batch.seq) as u64;
        nats += match replicas {
            None => sum_of(model, weights, &batch, device)?,
            Some(replicas) => {
                let (model, weights, device, count) =
                    (model.clone(), weights.clone(), device.clone(), replicas.count());
                let sums = replicas
                    .map(move |replica| sum_of(&model, &weights, &sequences_of(&batch, replica, count), &device))?;
                sums.into_iter().sum::<Result<f64, _>>()?
            }
        };
    }
    Ok((count > 0).then(|| nats / count as f64))
}

/// The loss of each token of a batch, sequence by sequence, nats; sequences are split over the replicas if there are any.
///
/// # Errors
/// The errors of [`mean_loss`].
pub fn token_losses(
    model: &ModelPlan,
    weights: &Weights,
    batch: &Batch,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    let Some(replicas) = replicas else { return losses_of(model, weights, batch, device) };
    let (model, weights, batch, device) = (model.clone(), weights.clone(), batch.clone(), device.clone());
    let count = replicas.count();
    let losses =
        replicas.map(move |replica| losses_of(&model, &weights, &sequences_of(&batch, replica, count), &device))?;
    Ok(losses.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn losses_of(model: &ModelPlan, weights: &Weights, batch: &Batch, device: &Device) -> Result<Vec<f32>, EngineError> {
    if batch.size == 0 {
        return Ok(vec![]);
    }
    let tokens = |ids: &[i32]| tokens(ids, batch.size, batch.seq, device);
    read(Decoder::new(model, weights).token_nats(tokens(&batch.inputs), tokens(&batch.targets)))
}

fn sum_of(model: &ModelPlan, weights: &Weights, batch: &Batch, device: &Device) -> Result<f64, EngineError> {
    if batch.size == 0 {
        return Ok(0.0);
    }
    let (inputs, targets) =
        (tokens(&batch.inputs, batch.size, batch.seq, device), tokens(&batch.targets, batch.size, batch.seq, device));
    let loss = Decoder::new(model, weights).loss_sum(inputs, targets, 0.0);
    Ok(read(loss.nats)?.first().copied().unwrap_or_default().into())
}
