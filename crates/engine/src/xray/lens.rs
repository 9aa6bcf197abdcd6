//! The logit lens: what the model would say after each block, place by place, and what each token costs in the end.

use std::collections::BTreeSet;

use burn::tensor::{Bool, Int, Tensor, activation};
use wire::look::Passage;
use wire::sight::{LensCell, Sight};

use super::Eye;
use super::passage::Read;
use crate::decoder::{Decoder, Point};
use crate::device::read;
use crate::error::EngineError;
use crate::reduce::with_values;

/// Guesses of a cell.
const GUESSES: usize = 3;

pub(super) fn see(eye: &Eye<'_>, passage: &Passage) -> Result<Sight, EngineError> {
    let pass = eye.pass(passage)?;
    let layers = eye.model().layers;
    let decoder = Decoder::new(eye.model(), &eye.weights);
    let mut depths = vec![("embedding".to_owned(), Point::Embedding)];
    depths.extend((0..layers).map(|layer| (format!("block.{layer}"), Point::Stream(layer))));
    let last = pass.logits(eye);
    let losses = pass.losses(eye, last.clone())?;
    let mut cells = Vec::with_capacity(depths.len());
    for (depth, (_, point)) in depths.iter().enumerate() {
        let logits = if depth == layers { last.clone() } else { decoder.early_logits(pass.at(*point)) };
        cells.push(match eye.scene.device.is_cpu() {
            true => on_cpu(&logits, &pass.text),
            false => on_device(logits, &pass.text, pass.text.targets(eye))?,
        });
    }
    let named: BTreeSet<u32> = cells.iter().flatten().flat_map(|cell: &LensCell| &cell.top).map(|top| top.0).collect();
    let words = named.into_iter().map(|token| (token, eye.scene.data.tokenizer().piece(token))).collect();
    let depths = depths.into_iter().map(|(name, _)| name).collect();
    Ok(Sight::Lens { tokens: eye.pieces(&pass.text.tokens), losses, depths, cells, words })
}

/// Cells of one depth from logits `[seq, vocab]` in the processor's memory, read in place.
fn on_cpu(logits: &Tensor<2>, text: &Read) -> Vec<LensCell> {
    let [_, vocab] = logits.dims();
    with_values(logits, |values| values.chunks(vocab).zip(&text.next).map(|(row, next)| cell(row, *next)).collect())
}

fn cell(logits: &[f32], right: Option<u32>) -> LensCell {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    let share = |logit: f32| (f64::from(logit - top).exp() / sum) as f32;
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(GUESSES + 1);
    for (token, logit) in (0u32..).zip(logits).filter(|(_, logit)| logit.is_finite()) {
        if best.len() < GUESSES || best.last().is_some_and(|(_, least)| logit > least) {
            let at = best.iter().position(|(_, other)| logit > other).unwrap_or(best.len());
            best.insert(at, (token, *logit));
            best.truncate(GUESSES);
        }
    }
    let guesses = best.into_iter().map(|(token, logit)| (token, share(logit))).collect();
    match right.and_then(|right| logits.get(right as usize)) {
        None => LensCell { top: guesses, right: f32::NAN, rank: 0 },
        Some(right) => {
            let before = logits.iter().filter(|logit| *logit > right).count();
            LensCell { top: guesses, right: share(*right), rank: before as u32 + 1 }
        }
    }
}

/// The same by tensor operators, where logits stay on their device and a few numbers a place come back.
fn on_device(logits: Tensor<2>, text: &Read, targets: Tensor<2, Int>) -> Result<Vec<LensCell>, EngineError> {
    let [seq, vocab] = logits.dims();
    let log_p = activation::log_softmax(logits, 1);
    let right = log_p.clone().gather(1, targets); // [seq, 1]
    let rank = log_p.clone().greater(right.clone().expand([seq, vocab])).float().sum_dim(1) + 1.0;
    let ids = Tensor::<1, Int>::arange(0..vocab as i64, &log_p.device()).reshape([1, vocab]).expand([seq, vocab]);
    let (mut columns, mut rest) = (vec![right.exp(), rank], log_p);
    for _ in 0..GUESSES.min(vocab) {
        let (best, places) = rest.clone().max_dim_with_indices(1); // [seq, 1] each
        let is_taken: Tensor<2, Bool> = ids.clone().equal(places.clone().expand([seq, vocab]));
        rest = rest.mask_fill(is_taken, f32::NEG_INFINITY);
        columns.extend([places.float(), best.exp()]); // a token's number is exact in 24 bits
    }
    let width = columns.len();
    let values = read(Tensor::cat(columns, 1).reshape([seq * width]))?;
    let cells = values.chunks(width).zip(&text.next).map(|(values, next)| {
        let top = values[2..].chunks(2).map(|pair| (pair[0] as u32, pair[1])).collect();
        match next {
            Some(_) => LensCell { top, right: values[0], rank: values[1] as u32 },
            None => LensCell { top, right: f32::NAN, rank: 0 },
        }
    });
    Ok(cells.collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::gradient;

    #[test]
    fn cells_are_the_same_on_every_device() {
        let device = Device::flex();
        let logits = Tensor::<2>::random([9, 40], Distribution::Normal(0.0, 3.0), &device);
        let next: Vec<Option<u32>> = (0..9).map(|place| (place < 8).then_some(place * 4)).collect();
        let targets = next.iter().map(|next| next.unwrap_or(0) as i32).collect::<Vec<_>>();
        let text = Read { tokens: vec![0; 9], next };
        let (a, b) = (
            on_cpu(&logits, &text),
            on_device(logits.clone(), &text, gradient::tokens(&targets, 9, 1, &device)).unwrap(),
        );
        for (a, b) in a.iter().zip(&b) {
            let is_near = |a: f32, b: f32| a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-5 * b.abs().max(1e-6);
            assert!(a.rank == b.rank && is_near(a.right, b.right), "{a:?} {b:?}");
            assert!(a.top.iter().zip(&b.top).all(|(a, b)| a.0 == b.0 && is_near(a.1, b.1)), "{a:?} {b:?}");
            assert!(a.top.windows(2).all(|pair| pair[0].1 >= pair[1].1) && a.top.len() == GUESSES);
        }
    }

    #[test]
    fn a_broken_model_gives_cells_all_the_same() {
        let cell = cell(&[f32::NAN, 1.0, f32::INFINITY], Some(0));
        assert!(cell.top.len() == 1 && cell.right.is_nan());
    }
}
