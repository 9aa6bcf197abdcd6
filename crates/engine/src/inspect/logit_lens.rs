//! The logit lens: the prediction after each block at each position, and the loss of each token.

use std::collections::BTreeSet;

use burn::tensor::{Bool, Int, Tensor, activation};
use wire::inspect::request::InspectionText;
use wire::inspect::result::{InspectionResult, LogitLensCell};

use super::Inspector;
use super::text::TokenizedText;
use crate::device::{read, with_host_values};
use crate::error::EngineError;
use crate::model::decoder::Decoder;
use crate::model::hook::HookPoint;

/// Number of most likely tokens of a cell.
const TOP: usize = 3;

pub(super) fn inspect(inspector: &Inspector<'_>, text: &InspectionText) -> Result<InspectionResult, EngineError> {
    let cache = inspector.cache(text)?;
    let layers = inspector.model().layers;
    let decoder = Decoder::new(inspector.model(), &inspector.weights);
    let mut depths = vec![("embedding".to_owned(), HookPoint::ResidPre)];
    depths.extend((0..layers).map(|layer| (format!("block.{layer}"), HookPoint::ResidPost(layer))));
    let last = cache.logits(inspector);
    let losses = cache.losses(inspector, last.clone())?;
    let mut cells = Vec::with_capacity(depths.len());
    for (depth, (_, point)) in depths.iter().enumerate() {
        let logits = if depth == layers { last.clone() } else { decoder.early_logits(cache.at(*point)) };
        cells.push(match inspector.subject.device.is_cpu() {
            true => on_cpu(&logits, &cache.text),
            false => on_device(logits, &cache.text, cache.text.targets(inspector))?,
        });
    }
    let named: BTreeSet<u32> =
        cells.iter().flatten().flat_map(|cell: &LogitLensCell| &cell.top).map(|top| top.0).collect();
    let words =
        named.into_iter().map(|token| (token, inspector.subject.data.tokenizer().decode_token(token))).collect();
    let depths = depths.into_iter().map(|(name, _)| name).collect();
    Ok(InspectionResult::LogitLens { tokens: inspector.pieces(&cache.text.tokens), losses, depths, cells, words })
}

/// The cells of one layer from logits `[seq, vocab]` on the CPU, read in place.
fn on_cpu(logits: &Tensor<2>, text: &TokenizedText) -> Vec<LogitLensCell> {
    let [_, vocab] = logits.dims();
    with_host_values(logits, |values| {
        values.chunks(vocab).zip(&text.next).map(|(row, next)| cell(row, *next)).collect()
    })
}

fn cell(logits: &[f32], actual: Option<u32>) -> LogitLensCell {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    let probability = |logit: f32| (f64::from(logit - top).exp() / sum) as f32;
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(TOP + 1);
    for (token, logit) in (0u32..).zip(logits).filter(|(_, logit)| logit.is_finite()) {
        if best.len() < TOP || best.last().is_some_and(|(_, last)| logit > last) {
            let at = best.iter().position(|(_, other)| logit > other).unwrap_or(best.len());
            best.insert(at, (token, *logit));
            best.truncate(TOP);
        }
    }
    let top_tokens = best.into_iter().map(|(token, logit)| (token, probability(logit))).collect();
    match actual.and_then(|actual| logits.get(actual as usize)) {
        None => LogitLensCell { top: top_tokens, actual: f32::NAN, rank: 0 },
        Some(actual) => {
            let before = logits.iter().filter(|logit| *logit > actual).count();
            LogitLensCell { top: top_tokens, actual: probability(*actual), rank: before as u32 + 1 }
        }
    }
}

/// The cells of one layer by tensor operators: logits stay on their device, and a few values per position are read back.
fn on_device(
    logits: Tensor<2>,
    text: &TokenizedText,
    targets: Tensor<2, Int>,
) -> Result<Vec<LogitLensCell>, EngineError> {
    let [seq, vocab] = logits.dims();
    let log_p = activation::log_softmax(logits, 1);
    let actual = log_p.clone().gather(1, targets); // [seq, 1]
    let rank = log_p.clone().greater(actual.clone().expand([seq, vocab])).float().sum_dim(1) + 1.0;
    let ids = Tensor::<1, Int>::arange(0..vocab as i64, &log_p.device()).reshape([1, vocab]).expand([seq, vocab]);
    let (mut columns, mut rest) = (vec![actual.exp(), rank], log_p);
    for _ in 0..TOP.min(vocab) {
        let (best, indices) = rest.clone().max_dim_with_indices(1); // [seq, 1] each
        let is_taken: Tensor<2, Bool> = ids.clone().equal(indices.clone().expand([seq, vocab]));
        rest = rest.mask_fill(is_taken, f32::NEG_INFINITY);
        columns.extend([indices.float(), best.exp()]); // a token id is exact in 24 bits
    }
    let width = columns.len();
    let values = read(Tensor::cat(columns, 1).reshape([seq * width]))?;
    let cells = values.chunks(width).zip(&text.next).map(|(values, next)| {
        let top = values[2..].chunks(2).map(|pair| (pair[0] as u32, pair[1])).collect();
        match next {
            Some(_) => LogitLensCell { top, actual: values[0], rank: values[1] as u32 },
            None => LogitLensCell { top, actual: f32::NAN, rank: 0 },
        }
    });
    Ok(cells.collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::model::gradient;

    #[test]
    fn cells_are_equal_on_every_device() {
        let device = Device::flex();
        let logits = Tensor::<2>::random([9, 40], Distribution::Normal(0.0, 3.0), &device);
        let next: Vec<Option<u32>> = (0..9).map(|index| (index < 8).then_some(index * 4)).collect();
        let targets = next.iter().map(|next| next.unwrap_or(0) as i32).collect::<Vec<_>>();
        let text = TokenizedText { tokens: vec![0; 9], next };
        let (a, b) = (
            on_cpu(&logits, &text),
            on_device(logits.clone(), &text, gradient::tokens(&targets, 9, 1, &device)).unwrap(),
        );
        for (a, b) in a.iter().zip(&b) {
            let is_near = |a: f32, b: f32| a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-5 * b.abs().max(1e-6);
            assert!(a.rank == b.rank && is_near(a.actual, b.actual), "{a:?} {b:?}");
            assert!(a.top.iter().zip(&b.top).all(|(a, b)| a.0 == b.0 && is_near(a.1, b.1)), "{a:?} {b:?}");
            assert!(a.top.windows(2).all(|pair| pair[0].1 >= pair[1].1) && a.top.len() == TOP);
        }
    }

    #[test]
    fn non_finite_logits_give_cells() {
        let cell = cell(&[f32::NAN, 1.0, f32::INFINITY], Some(0));
        assert!(cell.top.len() == 1 && cell.actual.is_nan());
    }
}
