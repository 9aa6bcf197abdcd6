//! Online data mixing: after each evaluation, datasets with a higher validation loss get more weight.
//!
//! ```text
//! u_i = (p_i - f) / (1 - k f)                       the weights p of k datasets without the floor f
//! R_i = s ln u_i + (1 - s) a L_i                    the smoothed reward: strength a, smoothing s, loss L_i in nats per token
//! p_i' = f + (1 - k f) exp(R_i) / sum_j exp(R_j)    Exp3's exponential weights with exploration f
//! ```
//!
//! Source: Albalak et al. 2023, Efficient Online Data Mixing For Language Model Pre-Training (arXiv 2312.02406): Exp3 (Auer et al. 2002) with the loss
//! as the reward and a moving average of it. There a step observes the training loss of the datasets that it draws, so the reward is divided by the
//! weight; an evaluation observes the loss of each dataset, so nothing is divided. The weights themselves hold the moving average: the next
//! weights are a pure function of the current ones and the losses, so a run resumes without further state.

use wire::hyperparameters::recipe::Mixing;

/// Minimum of a weight without the floor, so that a dataset can gain weight again.
const LEAST: f64 = 1e-6;

/// The weights after an evaluation with these losses, which sum to 1; `None` if a loss is not finite or there are fewer than 2 datasets.
pub fn next_weights(weights: &[f64], losses: &[f64], mixing: &Mixing) -> Option<Vec<f64>> {
    let count = weights.len();
    if count < 2 || losses.len() != count || losses.iter().any(|loss| !loss.is_finite()) {
        return None;
    }
    let floor = mixing.floor.min(1.0 / count as f64);
    let free = 1.0 - count as f64 * floor;
    let reward = |(weight, loss): (&f64, &f64)| {
        let own = ((weight - floor) / free.max(LEAST)).max(LEAST);
        mixing.smoothing * own.ln() + (1.0 - mixing.smoothing) * mixing.strength * loss
    };
    let rewards: Vec<f64> = weights.iter().zip(losses).map(reward).collect();
    let largest = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = rewards.iter().map(|reward| (reward - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    Some(powers.iter().map(|power| floor + free * power / total).collect())
}

#[cfg(test)]
mod tests {
    use wire::hyperparameters::recipe::MixingRule;

    use super::*;

    fn mixing(floor: f64, strength: f64, smoothing: f64) -> Mixing {
        Mixing { rule: MixingRule::Odm, floor, strength, smoothing }
    }

    #[test]
    fn weights_follow_the_losses_to_the_closed_form() {
        let mixing = mixing(0.1, 2.0, 0.5);
        let losses = [2.0, 1.0, 1.5];
        let mut weights = vec![0.2, 0.5, 0.3];
        for _ in 0..60 {
            weights = next_weights(&weights, &losses, &mixing).unwrap();
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && weights.iter().all(|weight| *weight >= 0.1));
        }
        // With constant losses the average of the rewards is the reward: u is proportional to exp(a L).
        let powers = losses.map(|loss| (2.0_f64 * loss).exp());
        let total: f64 = powers.iter().sum();
        for (weight, power) in weights.iter().zip(powers) {
            assert!((weight - (0.1 + 0.7 * power / total)).abs() < 1e-9, "{weights:?}");
        }
    }

    #[test]
    fn a_dataset_at_the_floor_returns_and_losses_that_are_not_finite_change_nothing() {
        let mixing = mixing(0.05, 1.0, 0.5);
        let next = next_weights(&[0.95, 0.05], &[1.0, 4.0], &mixing).unwrap();
        assert!(next[1] > 0.05 && next[0] < 0.95, "{next:?}");
        assert_eq!(next_weights(&[0.5, 0.5], &[1.0, f64::NAN], &mixing), None);
        assert_eq!(next_weights(&[1.0], &[1.0], &mixing), None, "one dataset");
        let equal = next_weights(&[0.5, 0.5], &[1.0, 1.0], &mixing).unwrap();
        assert_eq!(equal, [0.5, 0.5]);
    }
}
