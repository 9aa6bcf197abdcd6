//! The batch size that the gradient noise scale suggests.
//!
//! At a batch of B tokens, a step makes 1 / (1 + S / B) of the progress of a step with an unlimited batch, with the noise scale S = tr(Σ) / |G|².
//! B = S needs twice the fewest steps and twice the fewest tokens. S grows while the loss falls, so the second half of the run counts: the
//! mean of ln S there, with a t interval from 10 consecutive parts, because neighbouring values are averages over the same steps.
//!
//! Source: McCandlish et al. 2018 (arXiv 1812.06162), equations 2.8 and 2.11. `engine::optim::noise_scale` measures S.

use serde::{Deserialize, Serialize};

use super::{Estimate, Refusal};
use crate::statistics::distribution::t_quantile;
use crate::statistics::sample::{mean, variance};

/// Parts of the second half.
const PARTS: usize = 10;
/// Fewest measurements in the second half.
const FEWEST: usize = 40;
/// Largest quotient of the ends of the interval.
const WIDEST: f64 = 10.0;

/// What the noise scale says about the batch size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = SuggestedBatchSize))]
pub struct BatchSize {
    /// Noise scale over the second half of the run, tokens: the batch that balances steps and tokens.
    pub noise_scale: Estimate,
    /// Tokens of a step of this run.
    pub batch_tokens: f64,
    /// Progress of a step of this run, as a fraction of that of a step with an unlimited batch.
    pub progress: f64,
}

/// The batch size that the noise scales of a run, in tokens and in the order of their steps, suggest.
///
/// # Errors
/// Fewer than 40 measurements in the second half, or an interval whose ends differ by more than a factor of 10.
pub fn batch_size(noise_scales: &[f64], batch_tokens: f64) -> Result<BatchSize, Refusal> {
    let logs: Vec<f64> =
        noise_scales.iter().filter(|scale| scale.is_finite() && **scale > 0.0).map(|scale| scale.ln()).collect();
    let half = &logs[logs.len() / 2..];
    if half.len() < FEWEST {
        return Err(Refusal::TooFew {
            what: "measurements of the noise scale in the second half of the run",
            found: half.len(),
            needed: FEWEST,
        });
    }
    let parts: Vec<f64> = half.chunks_exact(half.len() / PARTS).take(PARTS).map(mean).collect();
    let center = mean(&parts);
    let margin = t_quantile(0.975, PARTS as f64 - 1.0) * (variance(&parts) / PARTS as f64).sqrt();
    let noise_scale = Estimate { value: center.exp(), low: (center - margin).exp(), high: (center + margin).exp() };
    if !(noise_scale.high / noise_scale.low <= WIDEST) {
        let Estimate { low, high, .. } = noise_scale;
        return Err(Refusal::TooWide { what: "the noise scale", low, high, remedy: "train longer" });
    }
    Ok(BatchSize { noise_scale, batch_tokens, progress: 1.0 / (1.0 + noise_scale.value / batch_tokens) })
}
