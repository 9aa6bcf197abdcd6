//! The attention patterns of a block over a text, and statistics of its heads.

use std::rc::Rc;

use burn::tensor::{Bool, Tensor, TensorData};
use wire::inspect::request::InspectionText;
use wire::inspect::result::{HeadStats, HeatMap, InspectionResult};

use super::Inspector;
use super::cache::ActivationCache;
use crate::device::read;
use crate::error::{EngineError, InspectError};
use crate::kernels::reduce::RowStats;

/// Number of statistics of a head that are read back: distance, previous, induction, top logit.
const STATISTICS: usize = 4;

pub(super) fn inspect(
    inspector: &Inspector<'_>,
    text: &InspectionText,
    layer: u32,
) -> Result<InspectionResult, EngineError> {
    let layer = inspector.model().layer(layer).map_err(InspectError::from)?;
    let cache = inspector.cache(text)?;
    let pattern = cache.pattern(layer);
    let [heads, seq, _] = pattern.dims();
    let values = read(pattern.reshape([heads * seq * seq]))?;
    let patterns = values.chunks(seq * seq).map(|pattern| HeatMap::within(seq, seq, pattern, 0.0, 1.0)).collect();
    let heads = stats(inspector, &cache, layer..layer + 1)?.remove(0);
    Ok(InspectionResult::Attention { tokens: inspector.pieces(&cache.text.tokens), patterns, heads })
}

/// Statistics of the heads of some blocks, block by block, read back together.
pub(super) fn stats(
    inspector: &Inspector<'_>,
    cache: &ActivationCache,
    layers: std::ops::Range<usize>,
) -> Result<Vec<Vec<HeadStats>>, EngineError> {
    let seq = cache.text.tokens.len();
    let heads = inspector.model().heads;
    // A text of one token has the entropy 0 and no maximum.
    let uniform = HeadStats::uniform_entropy(seq).max(f64::MIN_POSITIVE);
    let weights = PatternWeights::new(inspector, &cache.text.tokens);
    let numbers: Vec<Tensor<1>> = layers.clone().map(|layer| weights.statistics(cache, layer)).collect();
    let entropies = cache.pattern_rows(inspector, layers)?;
    let numbers = read(Tensor::cat(numbers, 0))?;
    let of_block = |(numbers, rows): (&[f32], &Rc<[RowStats]>)| {
        let of_head = |head: usize| HeadStats {
            entropy: (entropy(&rows[head * seq..(head + 1) * seq]) / uniform) as f32,
            distance: numbers[head],
            previous: numbers[heads + head],
            induction: if weights.has_repeats { numbers[2 * heads + head] } else { f32::NAN },
            top_logit: numbers[3 * heads + head],
        };
        (0..heads).map(of_head).collect()
    };
    Ok(numbers.chunks(STATISTICS * heads).zip(&entropies).map(of_block).collect())
}

/// Mean entropy of the rows of a head except the first, whose only key has all the weight, in nats; 0 for a text of one token.
pub(super) fn entropy(rows: &[RowStats]) -> f64 {
    rows.iter().skip(1).map(|row| row.entropy).sum::<f64>() / (rows.len() as f64 - 1.0).max(1.0)
}

/// Attention scores with 0 for the keys after the query, which the softmax does not read.
pub(super) struct AllowedScores {
    /// `[1, seq, seq]`.
    future: Tensor<3, Bool>,
}

impl AllowedScores {
    pub(super) fn new(inspector: &Inspector<'_>, seq: usize) -> Self {
        Self { future: Tensor::<2, Bool>::tril_mask([seq, seq], 0, &inspector.subject.device.burn).unsqueeze::<3>() }
    }

    /// # Shapes
    /// `[heads, query, key]`, as the scores.
    pub(super) fn of(&self, scores: Tensor<3>) -> Tensor<3> {
        let future = self.future.clone().expand(scores.dims());
        scores.mask_fill(future, 0.0)
    }
}

/// Weights of the entries of a pattern, so that the weighted sum is a head's mean distance, weight on the previous token, or induction
/// score.
struct PatternWeights {
    /// `[1, seq, seq]` each.
    weights: [Tensor<3>; 3],
    allowed: AllowedScores,
    has_repeats: bool,
}

impl PatternWeights {
    fn new(inspector: &Inspector<'_>, tokens: &[u32]) -> Self {
        let seq = tokens.len();
        let after_earlier = |i: usize| (0..i).filter(move |j| tokens[*j] == tokens[i]).map(|j| j + 1);
        let repeats = (0..seq).filter(|i| after_earlier(*i).next().is_some()).count();
        let [mut distance, mut previous, mut induction] = [(); 3].map(|()| vec![0f32; seq * seq]);
        let row_weight = 1.0 / (seq as f32 - 1.0).max(1.0);
        for i in 1..seq {
            (0..=i).for_each(|j| distance[i * seq + j] = (i - j) as f32 * row_weight);
            previous[i * seq + i - 1] = row_weight;
            after_earlier(i).for_each(|key| induction[i * seq + key] = 1.0 / repeats as f32);
        }
        let device = &inspector.subject.device.burn;
        let upload = |values| Tensor::<3>::from_data(TensorData::new(values, [1, seq, seq]), device);
        let weights = [upload(distance), upload(previous), upload(induction)];
        Self { weights, allowed: AllowedScores::new(inspector, seq), has_repeats: repeats > 0 }
    }

    /// Distance of each head of a block, then previous, then induction, then top logit.
    ///
    /// # Shapes
    /// `[4 * heads]`.
    fn statistics(&self, cache: &ActivationCache, layer: usize) -> Tensor<1> {
        let pattern = cache.pattern(layer);
        let [heads, seq, _] = pattern.dims();
        let weighted = |weights: &Tensor<3>| {
            let products: Tensor<3> = pattern.clone() * weights.clone();
            products.reshape([heads, seq * seq]).sum_dim(1).reshape([heads])
        };
        let sizes = self.allowed.of(cache.attn_scores(layer)).abs();
        let top = sizes.reshape([heads, seq * seq]).max_dim(1).reshape([heads]);
        let [distance, previous, induction] = self.weights.each_ref().map(weighted);
        Tensor::cat(vec![distance, previous, induction, top], 0)
    }
}
