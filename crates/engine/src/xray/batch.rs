//! The batch of any step, read again: a pure function of seed, step and the mix's course. What each token costs on the weights at hand, and how
//! much each parameter is pulled by it.

use wire::sight::{BatchRow, Sight};

use super::Eye;
use super::passage::mean;
use crate::batch::Batch;
use crate::error::EngineError;
use crate::evaluate;
use crate::gradient::{self, Pass};
use crate::look_error::LookError;
use crate::reduce::{Wishes, with_values};

/// Rows shown.
const SHOWN: usize = 64;

pub(super) fn see(eye: &Eye<'_>, step: u64) -> Result<Sight, EngineError> {
    let (scene, model) = (&eye.scene, eye.model());
    if step >= scene.dials.steps {
        return Err(LookError::NoBatch { step, steps: scene.dials.steps }.into());
    }
    let passes = batches(eye, step);
    let mut rows = vec![];
    for (batch, parts) in &passes {
        let losses = evaluate::token_losses(model, &eye.weights, batch, scene.cores, &scene.device.burn)?;
        let texts = losses.chunks(batch.seq).zip(batch.targets.chunks(batch.seq)).zip(parts);
        for ((losses, targets), part) in texts {
            let place = rows.len() as u32;
            let tokens: Vec<u32> = targets.iter().map(|token| *token as u32).collect();
            let corpus = scene.plan.mix.get(*part).map_or_else(String::new, |part| part.corpus.to_string());
            rows.push((corpus, place, tokens, losses.to_vec(), mean(losses)));
        }
    }
    let of = rows.len() as u32;
    rows.sort_by(|a, b| b.4.total_cmp(&a.4).then(a.1.cmp(&b.1)));
    rows.truncate(SHOWN);
    let rows = rows.into_iter().map(|(corpus, row, tokens, losses, mean)| BatchRow {
        corpus,
        row,
        tokens: eye.pieces(&tokens),
        losses,
        mean,
    });
    let rows = rows.collect();
    let gradients = gradients(eye, step, passes.into_iter().map(|(batch, _)| batch).collect())?;
    Ok(Sight::Batch { rows, of, gradients })
}

/// The step's passes, each with the place of the text that each row is from.
fn batches(eye: &Eye<'_>, step: u64) -> Vec<(Batch, Vec<usize>)> {
    let scene = &eye.scene;
    let (seed, rows, seq) = (scene.plan.seed, scene.plan.recipe.batch.rows, eye.model().seq);
    let (mix, place) = (scene.dials.mix.at(step), step + scene.dials.skipped_at(step));
    let pass = |pass| {
        let batch = scene.data.train_batch(seed, place, pass, rows, seq, &mix);
        (batch, scene.data.train_parts(seed, place, pass, rows, seq, &mix))
    };
    (0..scene.dials.passes.at(step)).map(pass).collect()
}

/// Norm of the batch's gradient in each parameter, largest first; as the step computed it, dropout and all, but on the weights at hand.
fn gradients(eye: &Eye<'_>, step: u64, batches: Vec<Batch>) -> Result<Vec<(String, f32)>, EngineError> {
    let scene = &eye.scene;
    let pass = Pass::of_step(scene.plan, step);
    let flat = gradient::of_step(&pass, &eye.weights, batches, scene.cores, &scene.device.burn)?.flat;
    let rows: Vec<_> = flat.into_iter().map(|values| values.unsqueeze::<2>()).collect();
    let norm = |rms: f64, count: u64| (rms * (count as f64).sqrt()) as f32;
    let norms: Vec<f32> = match scene.taps {
        Some(_) => {
            let found = eye.reduce(Wishes { moments: rows, ..Wishes::default() })?.moments;
            found.iter().map(|moments| norm(moments.rms, moments.count)).collect()
        }
        None => {
            let squares = |values: &[f32]| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            rows.iter().map(|row| with_values(row, squares).sqrt() as f32).collect()
        }
    };
    let mut named: Vec<(String, f32)> = scene.specs.iter().map(|spec| spec.name.clone()).zip(norms).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(named)
}
