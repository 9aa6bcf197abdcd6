//! Metrics of attention and MLPs that the rules of diagnosis read, over validation window 0, the one that snapshots read.
//! [`wire::series::describe`] defines them.

use burn::tensor::{Bool, Tensor};
use wire::inspect::request::InspectionText;
use wire::series::name;

use super::Inspector;
use super::overview::magnitude;
use crate::error::EngineError;
use crate::kernels::reduce::{ChannelStats, Reductions, RowStats};
use crate::model::hook::HookPoint;

/// A neuron is dead if its output is never above this fraction of the RMS of its layer, in absolute value.
const DEAD_BELOW: f64 = 0.01;

/// The metrics by their series.
pub(super) fn metrics(inspector: &Inspector<'_>) -> Result<Vec<(String, f64)>, EngineError> {
    let cache = inspector.cache(&InspectionText::default())?;
    let (blocks, queries) = (0..inspector.model().layers, cache.text.tokens.len());
    let rows = cache.pattern_rows(inspector, blocks.clone())?;
    let neurons = || blocks.clone().map(|block| cache.at(HookPoint::MlpPost(block)));
    let allowed = AllowedScores::new(inspector, queries);
    let scores = blocks.clone().map(|block| allowed.of(cache.attn_scores(block)));
    let reductions = Reductions {
        channels: neurons().collect(),
        moments: scores.chain(neurons()).collect(),
        ..Reductions::default()
    };
    let found = inspector.reduce(reductions)?;
    let (scores, outputs) = found.moments.split_at(blocks.len());

    let mut metrics = vec![];
    for block in blocks {
        let heads = rows[block].chunks(queries).enumerate();
        metrics.extend(heads.map(|(head, rows)| (format!("{}{block}.{head}", name::ATTENTION_ENTROPY), entropy(rows))));
        let largest = scores[block].max.max(-scores[block].min);
        metrics.push((format!("{}{block}", name::ATTENTION_LOGIT), largest));
        let dead = dead_fraction(&found.channels[block], DEAD_BELOW * outputs[block].rms);
        metrics.push((format!("{}{block}", name::DEAD_NEURONS), dead));
    }
    Ok(metrics)
}

/// Mean entropy of all rows except the first, whose only key has all the weight.
fn entropy(rows: &[RowStats]) -> f64 {
    rows.iter().skip(1).map(|row| row.entropy).sum::<f64>() / (rows.len() as f64 - 1.0).max(1.0)
}

fn dead_fraction(neurons: &[ChannelStats], limit: f64) -> f64 {
    let dead = neurons.iter().filter(|neuron| f64::from(magnitude(neuron)) <= limit).count();
    dead as f64 / neurons.len().max(1) as f64
}

/// Attention scores with 0 for the keys after the query, which the softmax does not read.
struct AllowedScores {
    /// `[1, seq, seq]`.
    future: Tensor<3, Bool>,
}

impl AllowedScores {
    fn new(inspector: &Inspector<'_>, seq: usize) -> Self {
        Self { future: Tensor::<2, Bool>::tril_mask([seq, seq], 0, &inspector.subject.device.burn).unsqueeze::<3>() }
    }

    /// `[heads, seq, seq]` to `[heads * seq, seq]`.
    fn of(&self, scores: Tensor<3>) -> Tensor<2> {
        let [heads, seq, keys] = scores.dims();
        let future = self.future.clone().expand([heads, seq, keys]);
        scores.mask_fill(future, 0.0).reshape([heads * seq, keys])
    }
}
