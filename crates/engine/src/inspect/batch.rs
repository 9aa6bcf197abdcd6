//! The batch of any step, a pure function of seed, step and mix schedule: the loss of each token under the current weights, and the gradient
//! norm of each parameter.

use wire::inspect::result::{BatchSequence, InspectionResult};

use super::Inspector;
use super::text::mean;
use crate::data::batch::Batch;
use crate::device::with_host_values;
use crate::error::{EngineError, InspectError};
use crate::kernels::reduce::Reductions;
use crate::model::evaluate;
use crate::model::gradient::{self, GradientArgs};

/// Maximum number of sequences in the result.
const MAX_SEQUENCES: usize = 64;

pub(super) fn inspect(inspector: &Inspector<'_>, step: u64) -> Result<InspectionResult, EngineError> {
    let (subject, model) = (&inspector.subject, inspector.model());
    if step >= subject.hyperparameters.steps {
        return Err(InspectError::NoBatch { step, steps: subject.hyperparameters.steps }.into());
    }
    let micro_batches = batches(inspector, step);
    let mut rows = vec![];
    for (batch, datasets) in &micro_batches {
        let losses = evaluate::token_losses(model, &inspector.weights, batch, subject.replicas, &subject.device.burn)?;
        let sequences = losses.chunks(batch.seq).zip(batch.targets.chunks(batch.seq)).zip(datasets);
        for ((losses, targets), dataset) in sequences {
            let index = rows.len() as u32;
            let tokens: Vec<u32> = targets.iter().map(|token| *token as u32).collect();
            let corpus = subject.plan.mix.get(*dataset).map_or_else(String::new, |part| part.corpus.to_string());
            rows.push((corpus, index, tokens, losses.to_vec(), mean(losses)));
        }
    }
    let total = rows.len() as u32;
    rows.sort_by(|a, b| b.4.total_cmp(&a.4).then(a.1.cmp(&b.1)));
    rows.truncate(MAX_SEQUENCES);
    let rows = rows.into_iter().map(|(corpus, row, tokens, losses, mean)| BatchSequence {
        corpus,
        row,
        tokens: inspector.pieces(&tokens),
        losses,
        mean,
    });
    let rows = rows.collect();
    let gradients = gradients(inspector, step, micro_batches.into_iter().map(|(batch, _)| batch).collect())?;
    Ok(InspectionResult::Batch { rows, total, gradients })
}

/// The micro-batches of a step, each with the dataset of every sequence.
fn batches(inspector: &Inspector<'_>, step: u64) -> Vec<(Batch, Vec<usize>)> {
    let subject = &inspector.subject;
    let (seed, size, seq) = (subject.plan.seed, subject.plan.recipe.batch.size, inspector.model().seq);
    let (mix, index) = (subject.hyperparameters.mix.at(step), step + subject.hyperparameters.skipped_at(step));
    let batch = |micro_batch| {
        let batch = subject.data.train_batch(seed, index, micro_batch, size, seq, &mix);
        (batch, subject.data.train_datasets(seed, index, micro_batch, size, seq, &mix))
    };
    (0..subject.hyperparameters.accumulation.at(step)).map(batch).collect()
}

/// Gradient norm of each parameter, largest first, computed as in the step, with its dropout, but with the current weights.
fn gradients(inspector: &Inspector<'_>, step: u64, batches: Vec<Batch>) -> Result<Vec<(String, f32)>, EngineError> {
    let subject = &inspector.subject;
    let args = GradientArgs::of_step(subject.plan, &subject.hyperparameters.optimizer, step);
    let flat = gradient::of_step(&args, &inspector.weights, batches, subject.replicas, &subject.device.burn)?.flat;
    let rows: Vec<_> = flat.into_iter().map(|values| values.unsqueeze::<2>()).collect();
    let norm = |rms: f64, count: u64| (rms * (count as f64).sqrt()) as f32;
    let norms: Vec<f32> = match subject.kernels {
        Some(_) => {
            let found = inspector.reduce(Reductions { moments: rows, ..Reductions::default() })?.moments;
            found.iter().map(|moments| norm(moments.rms, moments.count)).collect()
        }
        None => {
            let squares = |values: &[f32]| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            rows.iter().map(|row| with_host_values(row, squares).sqrt() as f32).collect()
        }
    };
    let mut named: Vec<(String, f32)> = subject.specs.iter().map(|spec| spec.name.clone()).zip(norms).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(named)
}
