//! Series of a run as a small model has them: a power law with noise, a cosine schedule with warm-up, statistics every 10 steps; and
//! normal random values.

use research::rules::Facts;
use testing::Random;

pub(crate) type Row = (u64, Vec<(String, f64)>);

/// ln of the vocabulary size is the first loss.
pub(crate) const VOCAB: u64 = 65;
/// Expected loss of a model of single tokens, nats/token.
pub(crate) const UNIGRAM: f64 = 3.3;
/// Loss that the curve approaches.
pub(crate) const FLOOR: f64 = 1.2;
pub(crate) const WARMUP: u64 = 100;
const MATRICES: [&str; 6] = [
    "embedding.token",
    "block.0.attention.query",
    "block.0.attention.out",
    "block.0.mlp.up",
    "block.0.mlp.down",
    "block.0.attention.norm",
];

/// Facts of the synthetic runs.
pub(crate) fn facts(steps: u64) -> Facts {
    Facts {
        steps,
        budget_steps: None,
        warmup_steps: WARMUP,
        grad_clip: Some(1.0),
        initial_vocab: Some(VOCAB),
        unigram_nats: Some(UNIGRAM),
        floor_nats: Some(FLOOR),
        has_dropout: false,
    }
}

/// A standard normal value (Box, Muller 1958).
pub(crate) fn normal(random: &mut Random) -> f64 {
    (-2.0 * (1.0 - random.uniform()).ln()).sqrt() * (std::f64::consts::TAU * random.uniform()).cos()
}

/// The expected loss of a step.
pub(crate) fn expected_loss(step: u64) -> f64 {
    FLOOR + ((VOCAB as f64).ln() - FLOOR) * (1.0 + step as f64 / 30.0).powf(-0.6)
}

/// The rows of a healthy run.
pub(crate) fn healthy(seed: u64, steps: u64) -> Vec<Row> {
    let mut random = Random::new(seed);
    (0..steps).map(|step| (step, row(&mut random, step, steps))).collect()
}

fn row(random: &mut Random, step: u64, steps: u64) -> Vec<(String, f64)> {
    let rate = learning_rate(step, steps);
    let usual_norm = 0.3 + 1.2 * (1.0 + step as f64 / 50.0).powf(-0.5);
    let speed = 50_000.0 / (1.0 + 0.04 * normal(random).abs() + if random.below(50) == 0 { 2.0 } else { 0.0 });
    let mut values: Vec<(String, f64)> = [
        ("tokens", (step + 1) as f64 * 768.0),
        ("learning_rate", rate),
        ("tokens_per_sec", speed),
        ("step_ms", 768e3 / speed),
        ("loss.train", expected_loss(step) + if step == 0 { 0.0 } else { 0.06 * normal(random) }),
        ("grad_norm", usual_norm * (0.25 * normal(random)).exp()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    if step % 10 == 0 {
        values.push(("epochs/tales".into(), step as f64 / steps as f64));
        for (index, name) in MATRICES.iter().enumerate() {
            let vary = (0.1 * normal(random)).exp();
            values.push((format!("update_ratio/{name}"), 1.5 * rate * (1.0 + index as f64) * vary));
            values.push((format!("gradient_rms/{name}"), 1e-3 * usual_norm * vary));
            values.push((format!("weight_rms/{name}"), 0.02));
        }
        for head in 0..4 {
            let entropy = 3.0 - 2.0 * (step as f64 / steps as f64) * f64::from(head) / 4.0;
            values.push((format!("attention_entropy/0.{head}"), entropy * (0.02 * normal(random)).exp()));
        }
        values.push(("attention_logit_max/0".into(), 5.0));
        values.push(("dead_neurons/0".into(), 0.01));
        values.push(("duplicate_windows".into(), 0.0));
    }
    if (step + 1) % 100 == 0 {
        let valid = expected_loss(step) + 0.02 + 0.005 * normal(random);
        values.push(("loss.valid".into(), valid));
        values.push(("loss.valid/tales".into(), valid));
    }
    values
}

fn learning_rate(step: u64, steps: u64) -> f64 {
    if step < WARMUP {
        return 1e-3 * (step + 1) as f64 / WARMUP as f64;
    }
    let done = (step - WARMUP) as f64 / (steps - WARMUP) as f64;
    1e-4 + 9e-4 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

/// Changes the values of a series, or of all series below a prefix, from a step on.
pub(crate) fn change(rows: &mut [Row], series: &str, from: u64, change: impl Fn(u64, f64) -> f64) {
    for (step, values) in rows.iter_mut().filter(|(step, _)| *step >= from) {
        let is_meant = |name: &str| name == series || series.ends_with('/') && name.starts_with(series);
        values.iter_mut().filter(|(name, _)| is_meant(name)).for_each(|(_, value)| *value = change(*step, *value));
    }
}
