//! Attention over a text: each head's pattern, and what kind of head it is.

use burn::tensor::{Bool, Tensor, TensorData};
use wire::look::Passage;
use wire::sight::{Field, HeadStats, Sight};

use super::Eye;
use super::pass::Pass;
use crate::device::read;
use crate::error::EngineError;
use crate::look_error::LookError;
use crate::reduce::{RowStats, Wishes};

/// Numbers of a head that are read back: distance, previous, induction, top logit.
const NUMBERS: usize = 4;

pub(super) fn see(eye: &Eye<'_>, passage: &Passage, layer: u32) -> Result<Sight, EngineError> {
    let layer = eye.model().layer(layer).map_err(LookError::from)?;
    let pass = eye.pass(passage)?;
    let shares = pass.attention(layer).shares.clone();
    let [heads, seq, _] = shares.dims();
    let values = read(shares.reshape([heads * seq * seq]))?;
    let patterns = values.chunks(seq * seq).map(|pattern| Field::within(seq, seq, pattern, 0.0, 1.0)).collect();
    let heads = stats(eye, &pass, layer..layer + 1)?.remove(0);
    Ok(Sight::Attention { tokens: eye.pieces(&pass.text.tokens), patterns, heads })
}

/// What the heads of some blocks do, block by block. All numbers come back together.
pub(super) fn stats(
    eye: &Eye<'_>,
    pass: &Pass,
    layers: std::ops::Range<usize>,
) -> Result<Vec<Vec<HeadStats>>, EngineError> {
    let seq = pass.text.tokens.len();
    let heads = eye.model().heads;
    let marks = Marks::of(eye, &pass.text.tokens);
    let numbers: Vec<Tensor<1>> = layers.clone().map(|layer| marks.numbers(pass, layer)).collect();
    let rows = layers.clone().map(|layer| pass.attention(layer).shares.clone().reshape([heads * seq, seq])).collect();
    let entropies = eye.reduce(Wishes { rows, ..Wishes::default() })?.rows;
    let numbers = read(Tensor::cat(numbers, 0))?;
    let of_block = |(numbers, rows): (&[f32], &Vec<RowStats>)| {
        let of_head = |head: usize| HeadStats {
            entropy: relative_entropy(&rows[head * seq..(head + 1) * seq]),
            distance: numbers[head],
            previous: numbers[heads + head],
            induction: if marks.has_repeats { numbers[2 * heads + head] } else { f32::NAN },
            top_logit: numbers[3 * heads + head],
        };
        (0..heads).map(of_head).collect()
    };
    Ok(numbers.chunks(NUMBERS * heads).zip(&entropies).map(of_block).collect())
}

/// Mean over all rows but the first of the entropy, as a share of the most it could be; 0 for a text of one token.
fn relative_entropy(rows: &[RowStats]) -> f32 {
    let shares = rows.iter().enumerate().skip(1).map(|(place, row)| row.entropy / (place as f64 + 1.0).ln());
    (shares.sum::<f64>() / (rows.len() as f64 - 1.0).max(1.0)) as f32
}

/// What shares are weighed with, so that their sum is a head's mean distance, weight on the previous token, or induction score.
struct Marks {
    /// `[1, seq, seq]` each.
    weights: [Tensor<3>; 3],
    /// Pairs whose key comes later.
    future: Tensor<3, Bool>,
    has_repeats: bool,
}

impl Marks {
    fn of(eye: &Eye<'_>, tokens: &[u32]) -> Self {
        let seq = tokens.len();
        let after_earlier = |i: usize| (0..i).filter(move |j| tokens[*j] == tokens[i]).map(|j| j + 1);
        let repeats = (0..seq).filter(|i| after_earlier(*i).next().is_some()).count();
        let [mut distance, mut previous, mut induction] = [(); 3].map(|()| vec![0f32; seq * seq]);
        let row_share = 1.0 / (seq as f32 - 1.0).max(1.0);
        for i in 1..seq {
            (0..=i).for_each(|j| distance[i * seq + j] = (i - j) as f32 * row_share);
            previous[i * seq + i - 1] = row_share;
            after_earlier(i).for_each(|key| induction[i * seq + key] = 1.0 / repeats as f32);
        }
        let device = &eye.scene.device.burn;
        let put = |values| Tensor::<3>::from_data(TensorData::new(values, [1, seq, seq]), device);
        let future = Tensor::<2, Bool>::tril_mask([seq, seq], 0, device).unsqueeze::<3>();
        Self { weights: [put(distance), put(previous), put(induction)], future, has_repeats: repeats > 0 }
    }

    /// Of each head of a block: distance, then previous, then induction, then top logit.
    ///
    /// # Shapes
    /// `[4 * heads]`.
    fn numbers(&self, pass: &Pass, layer: usize) -> Tensor<1> {
        let attention = pass.attention(layer);
        let [heads, seq, _] = attention.shares.dims();
        let weighed = |weights: &Tensor<3>| {
            let products: Tensor<3> = attention.shares.clone() * weights.clone();
            products.reshape([heads, seq * seq]).sum_dim(1).reshape([heads])
        };
        let future = self.future.clone().expand([heads, seq, seq]);
        let allowed = attention.logits.clone().mask_fill(future, f32::NEG_INFINITY);
        let top = allowed.reshape([heads, seq * seq]).max_dim(1).reshape([heads]);
        let [distance, previous, induction] = self.weights.each_ref().map(weighed);
        Tensor::cat(vec![distance, previous, induction, top], 0)
    }
}
