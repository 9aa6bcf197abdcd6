//! Learning-rate range test: the learning rate rises exponentially over a short run; where does the loss fall fastest, and where does it rise?
//!
//! The loss is smoothed by an exponential mean with bias correction (0.95, at most a tenth of the run). The run diverges where the smoothed loss
//! is above its minimum by a fifth of what it had fallen. The steepest learning rate is where the smoothed loss falls fastest per ln(learning
//! rate) before the minimum, by lines over a tenth of the run. Suggested is the smaller of that and a tenth of the learning rate of divergence.
//!
//! Sources: Smith 2015 (arXiv 1506.01186); the smoothing and "steepest" of fastai's `lr_find`.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::statistics::line::Line;

/// Fewest points.
const FEWEST: usize = 30;
/// Fewest octaves that the learning rate rises by.
const OCTAVES: f64 = 4.0;

/// Learning rates that a range test finds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = LearningRateRangeTest))]
pub struct RangeTest {
    /// Where the loss falls fastest.
    pub steepest: f64,
    /// Where the smoothed loss is least.
    pub lowest: f64,
    /// From where on the loss rises; `None` if it does not in the range.
    pub diverges: Option<f64>,
    /// A peak learning rate to start from.
    pub suggested: f64,
}

/// The range test of (learning rate, training loss) at consecutive steps.
///
/// # Errors
/// Fewer than 30 steps, a learning rate that does not rise by a factor of 16, or a loss that never falls.
pub fn range_test(points: &[(f64, f64)]) -> Result<RangeTest, Refusal> {
    let rising: Vec<(f64, f64)> =
        points.iter().copied().filter(|(rate, loss)| *rate > 0.0 && loss.is_finite()).collect();
    if rising.len() < FEWEST {
        return Err(Refusal::TooFew { what: "steps", found: rising.len(), needed: FEWEST });
    }
    let none = |what: &str, remedy: &'static str| Err(Refusal::NoOptimum { what: what.to_owned(), remedy });
    let is_rising = rising.windows(2).all(|pair| pair[1].0 >= pair[0].0);
    if !is_rising || (rising[rising.len() - 1].0 / rising[0].0).log2() < OCTAVES {
        return none(
            "the learning rate does not rise by a factor of 16",
            "give the run a schedule that rises exponentially",
        );
    }
    let smoothed = smoothed(&rising);
    let (bottom, least) = smoothed
        .iter()
        .enumerate()
        .fold((0, f64::INFINITY), |best, (at, (_, loss))| if *loss < best.1 { (at, *loss) } else { best });
    let width = (rising.len() / 10).max(5);
    let slope = |from: usize| {
        Line::fit(smoothed[from..from + width].iter().copied()).map(|line| (line.slope, from + width / 2))
    };
    let slopes = (0..=bottom.saturating_sub(width)).filter(|from| from + width <= smoothed.len()).filter_map(slope);
    let steepest = slopes.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(slope, _)| *slope < 0.0);
    let Some((_, steepest)) = steepest.filter(|_| bottom > width) else {
        return none("the loss does not fall", "start the schedule from a smaller learning rate");
    };
    let fallen = smoothed[0].1 - least;
    let diverges = smoothed[bottom..].iter().find(|(_, loss)| *loss > least + 0.2 * fallen).map(|(log, _)| log.exp());
    let rate = |at: usize| smoothed[at].0.exp();
    let suggested = diverges.map_or(rate(steepest), |diverges| rate(steepest).min(0.1 * diverges));
    Ok(RangeTest { steepest: rate(steepest), lowest: rate(bottom), diverges, suggested })
}

/// ln(learning rate) and smoothed loss of (learning rate, loss) at consecutive steps.
pub(super) fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep = (1.0 - 10.0 / points.len() as f64).clamp(0.5, 0.95);
    let mut mean = 0.0;
    let mut weight = 0.0;
    let mut next = |(rate, loss): &(f64, f64)| {
        mean = keep * mean + (1.0 - keep) * loss;
        weight = keep * weight + (1.0 - keep);
        (rate.ln(), mean / weight)
    };
    points.iter().map(&mut next).collect()
}
