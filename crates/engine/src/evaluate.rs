//! The validation loss: the same held-out windows each time, without gradients.

use burn::tensor::Device;
use wire::model::ModelPlan;

use crate::batch::Batch;
use crate::cores::Cores;
use crate::decoder::Decoder;
use crate::device::read;
use crate::error::EngineError;
use crate::gradient::{rows_of, tokens};
use crate::params::Weights;

/// Mean loss over batches, nats per token; rows are split over the cores where there are any. None for no batches.
///
/// # Errors
/// A part that panicked, a device that has gone away.
pub fn mean_loss(
    model: &ModelPlan,
    weights: &Weights,
    batches: impl Iterator<Item = Batch>,
    cores: Option<&Cores>,
    device: &Device,
) -> Result<Option<f64>, EngineError> {
    let (mut nats, mut count) = (0f64, 0u64);
    for batch in batches {
        count += (batch.rows * batch.seq) as u64;
        nats += match cores {
            None => of_part(model, weights, &batch, device)?,
            Some(cores) => {
                let (model, weights, device, shards) = (model.clone(), weights.clone(), device.clone(), cores.count());
                let parts =
                    cores.map(move |shard| of_part(&model, &weights, &rows_of(&batch, shard, shards), &device))?;
                parts.into_iter().sum::<Result<f64, _>>()?
            }
        };
    }
    Ok((count > 0).then(|| nats / count as f64))
}

/// The loss of each token of a batch, row by row, nats; rows are split over the cores where there are any.
///
/// # Errors
/// As [`mean_loss`].
pub fn token_losses(
    model: &ModelPlan,
    weights: &Weights,
    batch: &Batch,
    cores: Option<&Cores>,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    let Some(cores) = cores else { return losses_of_part(model, weights, batch, device) };
    let (model, weights, batch, device) = (model.clone(), weights.clone(), batch.clone(), device.clone());
    let shards = cores.count();
    let parts = cores.map(move |shard| losses_of_part(&model, &weights, &rows_of(&batch, shard, shards), &device))?;
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn losses_of_part(
    model: &ModelPlan,
    weights: &Weights,
    batch: &Batch,
    device: &Device,
) -> Result<Vec<f32>, EngineError> {
    if batch.rows == 0 {
        return Ok(vec![]);
    }
    let tokens = |ids: &[i32]| tokens(ids, batch.rows, batch.seq, device);
    read(Decoder::new(model, weights).token_nats(tokens(&batch.inputs), tokens(&batch.targets)))
}

fn of_part(model: &ModelPlan, weights: &Weights, batch: &Batch, device: &Device) -> Result<f64, EngineError> {
    if batch.rows == 0 {
        return Ok(0.0);
    }
    let (inputs, targets) =
        (tokens(&batch.inputs, batch.rows, batch.seq, device), tokens(&batch.targets, batch.rows, batch.seq, device));
    let loss = Decoder::new(model, weights).loss_sum(inputs, targets, 0.0);
    Ok(read(loss.nats)?.first().copied().unwrap_or_default().into())
}
