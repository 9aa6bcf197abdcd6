//! Metrics of attention and MLPs that the rules of diagnosis read, over validation window 0, the one that snapshots read.
//! [`wire::series::definition`] defines them; the inspections compute them by the same functions.

use wire::inspect::request::InspectionText;
use wire::series::name;

use super::Inspector;
use super::attention::{AllowedScores, entropy};
use super::neurons::dead_fraction;
use crate::error::EngineError;
use crate::kernels::reduce::Reductions;
use crate::model::hook::HookPoint;

/// The metrics by their series.
pub(super) fn metrics(inspector: &Inspector<'_>) -> Result<Vec<(String, f64)>, EngineError> {
    let cache = inspector.cache(&InspectionText::default())?;
    let (blocks, queries) = (0..inspector.model().layers, cache.text.tokens.len());
    let rows = cache.pattern_rows(inspector, blocks.clone())?;
    let neurons = || blocks.clone().map(|block| cache.at(HookPoint::MlpPost(block)));
    let allowed = AllowedScores::new(inspector, queries);
    let scores = blocks.clone().map(|block| {
        let scores = allowed.of(cache.attn_scores(block));
        let [heads, queries, keys] = scores.dims();
        scores.reshape([heads * queries, keys])
    });
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
        let dead = dead_fraction(&found.channels[block], outputs[block].rms);
        metrics.push((format!("{}{block}", name::DEAD_NEURONS), dead));
    }
    Ok(metrics)
}
