//! The training of a simulated run as a pure function of its behaviour, step, batch and learning rate. The loss falls towards a floor at a
//! speed that depends on the learning rate, and a fault makes it worse. The series have the names and sizes of real ones, so the rules of
//! the lab read them as those of a training.

use std::f64::consts::TAU;

use wire::series::name;

/// Steps between evaluations.
pub(super) const EVAL_EVERY: u64 = 50;
/// Steps between checkpoints.
pub(super) const CHECKPOINT_EVERY: u64 = 100;
/// Steps between statistics of parameters.
const STATS_EVERY: u64 = 10;
/// Distance of ln(learning rate) from that of the best one at which the speed is halved.
const RATE_WIDTH: f64 = 1.2;
/// Lasting rise of the loss for each bad batch, and for each step of another spike, nats/token.
const BATCH_DAMAGE: f64 = 0.02;
const SPIKE_DAMAGE: f64 = 0.003;
/// Period of the spikes, and number of steps in each period that spike. They recur, so that the rules also find them some steps later.
const SPIKES: (u64, u64) = (24, 4);
/// Rise of the fraction of dead neurons in a step, its maximum, and its share of the loss, nats/token.
const DYING: f64 = 0.003;
const MOST_DEAD: f64 = 0.9;
const DEAD_LOSS: f64 = 0.8;
/// Tokens of a step, and its time on a healthy device, ms.
const STEP_TOKENS: f64 = 1024.0;
const STEP_MS: f64 = 20.0;
const PARAMETERS: [&str; 2] = ["block.0.mlp.up", "block.0.attention.query"];

/// Constants of a simulated training, and its fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Behaviour {
    /// Learning rate at which the loss falls fastest.
    pub(super) best_rate: f64,
    /// Learning rate above which the loss rises.
    pub(super) largest_rate: f64,
    /// Loss that training approaches, nats/token.
    pub(super) floor: f64,
    /// Fraction of the distance to the floor by which the loss falls in a step at the best learning rate.
    pub(super) speed: f64,
    pub(super) fault: Fault,
}

/// A defect of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    /// Some steps spike from this step on, while the learning rate is above a value.
    Spikes {
        from: u64,
        above: f64,
    },
    /// The batches of these indices spike.
    BadBatches {
        from: u64,
        count: u64,
    },
    /// The validation text is also in the training text.
    Leak,
    /// Neurons die from this step on, while the learning rate is above a value. They stay dead.
    DeadNeurons {
        from: u64,
        above: f64,
    },
    /// From this step on a step takes five times as long.
    Throttled {
        from: u64,
    },
    /// The worker takes no step from this one on, and still answers commands.
    Stuck {
        at: u64,
    },
}

impl Behaviour {
    /// A healthy run.
    pub(super) const USUAL: Self =
        Self { best_rate: 1e-3, largest_rate: 1e-2, floor: 1.2, speed: 0.003, fault: Fault::None };

    /// The run with a fault.
    pub(super) const fn with(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// Whether it takes this step.
    pub(super) fn takes(&self, step: u64) -> bool {
        !matches!(self.fault, Fault::Stuck { at } if step >= at)
    }

    fn efficiency(&self, rate: f64) -> f64 {
        let distance = (rate.max(1e-12) / self.best_rate).ln() / RATE_WIDTH;
        1.0 / (1.0 + distance * distance)
    }

    fn is_spiking(&self, at: At) -> bool {
        match self.fault {
            Fault::Spikes { from, above } => {
                at.step >= from && at.rate > above && (at.step - from) % SPIKES.0 < SPIKES.1
            }
            Fault::BadBatches { from, count } => (from..from + count).contains(&at.batch),
            _ => false,
        }
    }
}

/// A step: its number, the index of its batch, and its learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct At {
    pub(super) step: u64,
    pub(super) batch: u64,
    pub(super) rate: f64,
}

/// The state of a run between two steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// Loss at the first step, nats/token.
    first: f64,
    /// Loss above the floor, nats/token.
    excess: f64,
    /// Lasting rise of the loss by spikes, nats/token.
    damage: f64,
    /// Fraction of dead neurons.
    dead: f64,
}

impl Model {
    /// A model before its first step, with uniform predictions over a vocabulary.
    pub(super) fn new(behaviour: &Behaviour, vocab: usize) -> Self {
        let first = (vocab.max(2) as f64).ln();
        Self { first, excess: (first - behaviour.floor).max(0.1), damage: 0.0, dead: 0.0 }
    }

    /// Trains a step.
    pub(super) fn advance(&mut self, behaviour: &Behaviour, at: At) {
        match at.rate > behaviour.largest_rate {
            true => self.excess = (self.excess * 1.01 + 0.01).min(2.0 * self.first),
            false => self.excess *= 1.0 - behaviour.speed * behaviour.efficiency(at.rate),
        }
        if behaviour.is_spiking(at) {
            let is_batch = matches!(behaviour.fault, Fault::BadBatches { .. });
            self.damage += if is_batch { BATCH_DAMAGE } else { SPIKE_DAMAGE };
        }
        if let Fault::DeadNeurons { from, above } = behaviour.fault
            && at.step >= from
            && at.rate > above
        {
            self.dead = (self.dead + DYING).min(MOST_DEAD);
        }
    }

    /// Validation loss without noise, nats/token.
    pub(super) fn loss(&self, behaviour: &Behaviour) -> f64 {
        behaviour.floor + self.excess + self.damage + DEAD_LOSS * self.dead
    }

    /// The validation loss that an evaluation reports.
    pub(super) fn validation(&self, behaviour: &Behaviour, seed: u64, step: u64) -> f64 {
        let leak = if behaviour.fault == Fault::Leak { 0.7 } else { 1.0 };
        leak * self.loss(behaviour) + 0.002 * normal(seed, step, 9)
    }

    /// The values of the step that was just trained.
    pub(super) fn values(&self, behaviour: &Behaviour, at: At, seed: u64, dataset: &str) -> Vec<(String, f64)> {
        let spike = if behaviour.is_spiking(at) { 1.8 } else { 1.0 };
        let is_high = at.rate > behaviour.largest_rate;
        let norm = 0.2 + 0.6 * (1.0 + at.step as f64 / 50.0).powf(-0.5) + if is_high { 4.0 } else { 0.0 };
        let slow = if matches!(behaviour.fault, Fault::Throttled { from } if at.step >= from) { 5.0 } else { 1.0 };
        let step_ms = slow * STEP_MS * (0.04 * normal(seed, at.step, 1)).exp();
        let of_step = [
            (name::TRAIN, spike * (self.loss(behaviour) + 0.02 * normal(seed, at.step, 2))),
            (name::LEARNING_RATE, at.rate),
            (name::GRAD_NORM, (if spike > 1.0 { 8.0 } else { 1.0 }) * norm * (0.2 * normal(seed, at.step, 3)).exp()),
            (name::TOKENS, (at.step + 1) as f64 * STEP_TOKENS),
            (name::SECS, (at.step + 1) as f64 * STEP_MS / 1000.0),
            (name::TOKENS_PER_SEC, 1000.0 * STEP_TOKENS / step_ms),
            (name::STEP_MS, step_ms),
        ];
        let mut values: Vec<(String, f64)> = of_step.map(|(name, value)| (name.to_owned(), value)).to_vec();
        if at.step.is_multiple_of(STATS_EVERY) {
            let ratio = |parameter: &&str| (format!("{}{parameter}", name::UPDATE_RATIO), 1.5 * at.rate);
            values.extend(PARAMETERS.iter().map(ratio));
            values.push((format!("{}0", name::DEAD_NEURONS), 0.01 + self.dead));
        }
        if (at.step + 1).is_multiple_of(EVAL_EVERY) {
            let valid = self.validation(behaviour, seed, at.step);
            values.push((name::VALID.to_owned(), valid));
            values.push((format!("{}{dataset}", name::VALID_OF), valid));
        }
        values
    }
}

/// The loss after `steps` steps with a learning rate and a batch for each, without noise, nats/token.
pub(super) fn trained(
    behaviour: &Behaviour,
    vocab: usize,
    steps: u64,
    rate: impl Fn(u64) -> f64,
    batch: impl Fn(u64) -> u64,
) -> f64 {
    let mut model = Model::new(behaviour, vocab);
    (0..steps).for_each(|step| model.advance(behaviour, At { step, batch: batch(step), rate: rate(step) }));
    model.loss(behaviour)
}

/// A uniform number from 0 to 1, a pure function of its arguments (SplitMix64).
pub(super) fn uniform(seed: u64, step: u64, stream: u64) -> f64 {
    let place = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ (stream << 56);
    let mut mixed = place.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal number, a pure function of its arguments (Box, Muller).
fn normal(seed: u64, step: u64, stream: u64) -> f64 {
    let (length, angle) = (uniform(seed, step, 2 * stream), uniform(seed, step, 2 * stream + 1));
    (-2.0 * (1.0 - length).ln()).sqrt() * (TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: usize = 30;

    #[test]
    fn the_loss_falls_fastest_at_the_best_learning_rate_and_rises_above_the_largest() {
        let usual = Behaviour::USUAL;
        let loss = |rate: f64| trained(&usual, VOCAB, 800, |_| rate, |step| step);
        assert!(loss(1e-3) < loss(3e-4) && loss(1e-3) < loss(3e-3) && loss(3e-4) < loss(1e-5));
        assert!(loss(2e-2) > (VOCAB as f64).ln(), "it diverges");
    }

    #[test]
    fn damage_stays_and_is_avoided_by_other_batches_or_a_lower_learning_rate() {
        let batches = Behaviour::USUAL.with(Fault::BadBatches { from: 560, count: 20 });
        let loss = |skipped: u64| {
            trained(&batches, VOCAB, 1000, |_| 1e-3, |step| if step < 500 { step } else { step + skipped })
        };
        assert!((loss(0) - loss(100) - 0.4).abs() < 1e-9, "20 steps of 0.02 nats/token");
        let spikes = Behaviour::USUAL.with(Fault::Spikes { from: 400, above: 2.5e-3 });
        let calm = trained(&spikes, VOCAB, 1000, |step| if step < 400 { 4e-3 } else { 1e-3 }, |step| step);
        assert!(trained(&spikes, VOCAB, 1000, |_| 4e-3, |step| step) > calm + 0.2);
    }

    #[test]
    fn equal_steps_have_equal_values_and_all_are_finite() {
        let behaviour = Behaviour::USUAL;
        let model = Model::new(&behaviour, VOCAB);
        let at = At { step: 49, batch: 49, rate: 1e-3 };
        let values = model.values(&behaviour, at, 7, "notes");
        assert_eq!(values, model.values(&behaviour, at, 7, "notes"));
        assert!(values.iter().all(|(_, value)| value.is_finite()), "{values:?}");
        assert!(values.iter().any(|(name, _)| name == name::VALID), "step 49 is evaluated");
    }
}
