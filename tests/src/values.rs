//! The values that a training of a small model reports: four layers, four heads, statistics of every parameter and metrics for diagnosis every 10
//! steps, an evaluation every 100. The loss follows a power law with noise, so that the rules find a healthy run.

use std::f64::consts::TAU;

use testing::Random;
use wire::series::name;

/// Loss of a model that knows nothing, ln 65, and the loss that the curve approaches, nats/token.
const FIRST_LOSS: f64 = 4.174;
const LAST_LOSS: f64 = 1.2;
/// Steps between statistics of parameters, and between evaluations.
const STATS_EVERY: u64 = 10;
const EVAL_EVERY: u64 = 100;
const LAYERS: usize = 4;
const HEADS: usize = 4;
/// Parameters of each layer.
const OF_LAYER: [&str; 8] = [
    "attention.norm",
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.out",
    "mlp.norm",
    "mlp.up",
    "mlp.down",
];

/// The values of a step of worker `worker`: a pure function of both, so that equal numbers give equal values.
pub fn of_step(worker: usize, step: u64) -> Vec<(String, f64)> {
    let mut random = Random::new((worker as u64) << 40 | step);
    let usual_norm = 0.3 + 1.2 * (1.0 + step as f64 / 50.0).powf(-0.5);
    let learning_rate = 1e-3 * (1.0 + step as f64 / 100.0).powf(-0.3);
    let loss = expected_loss(step) + 0.06 * normal(&mut random);
    let step_ms = 40.0 * (0.04 * normal(&mut random)).exp();
    let of_step = [
        (name::TRAIN, loss),
        (name::LEARNING_RATE, learning_rate),
        (name::GRAD_NORM, usual_norm * (0.25 * normal(&mut random)).exp()),
        (name::TOKENS, (step + 1) as f64 * 768.0),
        (name::SECS, (step + 1) as f64 * 0.04),
        (name::TOKENS_PER_SEC, 768e3 / step_ms),
        (name::STEP_MS, step_ms),
        (name::BATCH_MS, 0.02 * step_ms),
        (name::GRADIENT_MS, 0.9 * step_ms),
        (name::OPTIMIZER_MS, 0.07 * step_ms),
        (name::OTHER_MS, 0.01 * step_ms),
    ];
    let mut values: Vec<(String, f64)> = of_step.map(|(name, value)| (name.to_owned(), value)).to_vec();
    if step.is_multiple_of(STATS_EVERY) {
        values.push((format!("{}walk", name::EPOCHS), step as f64 / 10_000.0));
        values.push((name::DUPLICATE_WINDOWS.to_owned(), 0.0));
        add_parameters(&mut values, &mut random, learning_rate, usual_norm);
        add_attention(&mut values, &mut random);
    }
    if (step + 1).is_multiple_of(EVAL_EVERY) {
        let valid = expected_loss(step) + 0.02 + 0.005 * normal(&mut random);
        values.push((name::VALID.to_owned(), valid));
        values.push((format!("{}walk", name::VALID_OF), valid));
    }
    values
}

fn add_parameters(values: &mut Vec<(String, f64)>, random: &mut Random, learning_rate: f64, usual_norm: f64) {
    let of_layers = (0..LAYERS).flat_map(|layer| OF_LAYER.map(|part| format!("block.{layer}.{part}")));
    let others = ["embedding.token", "embedding.position", "norm"].map(str::to_owned);
    for parameter in of_layers.chain(others) {
        let vary = (0.1 * normal(random)).exp();
        values.push((format!("{}{parameter}", name::UPDATE_RATIO), 1.5 * learning_rate * vary));
        values.push((format!("{}{parameter}", name::GRADIENT_RMS), 1e-3 * usual_norm * vary));
        values.push((format!("{}{parameter}", name::WEIGHT_RMS), 0.02));
    }
}

fn add_attention(values: &mut Vec<(String, f64)>, random: &mut Random) {
    for layer in 0..LAYERS {
        for head in 0..HEADS {
            let entropy = 2.5 * (0.02 * normal(random)).exp();
            values.push((format!("{}{layer}.{head}", name::ATTENTION_ENTROPY), entropy));
        }
        values.push((format!("{}{layer}", name::ATTENTION_LOGIT), 5.0));
        values.push((format!("{}{layer}", name::DEAD_NEURONS), 0.01));
    }
}

fn expected_loss(step: u64) -> f64 {
    LAST_LOSS + (FIRST_LOSS - LAST_LOSS) * (1.0 + step as f64 / 30.0).powf(-0.6)
}

/// A standard normal value (Box, Muller).
fn normal(random: &mut Random) -> f64 {
    (-2.0 * (1.0 - random.uniform()).ln()).sqrt() * (TAU * random.uniform()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_steps_have_equal_values_and_each_series_once() {
        for step in [0, 7, 99, 100] {
            let values = of_step(3, step);
            assert_eq!(values, of_step(3, step));
            let names: std::collections::BTreeSet<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.len(), values.len());
            assert!(values.iter().all(|(_, value)| value.is_finite()), "{values:?}");
        }
        assert_eq!([1, 0, 99].map(|step| of_step(0, step).len()), [11, 11 + 2 + 35 * 3 + 16 + 8, 13]);
    }
}
