//! What a measured training predicts for other numbers of threads: the speed, and the part of a step that only one thread computes.
//!
//! The prediction follows how a step is divided: the sequences of a micro-batch over the replicas, the replicas over the threads, the sum of
//! gradients and the optimizer over ranges of parameters ([`partition`]). A phase lasts as long as its slowest thread. Assumed is that
//!
//! - a replica needs the same time for each sequence, and besides it to read all weights and write all gradients, at the measured bandwidth;
//! - what the measured step took longer than its slowest thread is computed by the calling thread alone, in the same time for any number of
//!   threads: reading the batch, starting and waiting for threads, statistics, reports;
//! - every core is as fast as those measured, whatever the others do;
//! - what is bound by memory is either as fast on each thread as measured, or the measured threads use all of the bandwidth already. Machines
//!   are between these two.

use serde::{Deserialize, Serialize};
use wire::hyperparameters::recipe::{Batch, OptimizerKind, Recipe};
use wire::run::operators::{Operator, OperatorTime, Phase, StepWork};

use crate::device::partition::{self, Work};
use crate::model::params;
use crate::optim::cpu;

/// A measured training.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// What was trained; `batch.replicas` is the number of replicas.
    pub recipe: &'a Recipe,
    /// Threads that computed the replicas.
    pub threads: usize,
    /// Mean time of a step, ms.
    pub step_ms: f64,
    /// Times of the operators, means over the threads.
    pub operators: &'a [OperatorTime],
}

/// The prediction for a number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    pub threads: usize,
    pub replicas: usize,
    /// If the bandwidth of memory per thread stays as measured.
    pub tokens_per_sec: f64,
    /// If the threads share the bandwidth of the measured ones.
    pub shared_tokens_per_sec: f64,
    /// Fraction of the step in which one thread computes and the others wait.
    pub serial_share: f64,
    /// Speed divided by the number of threads and by the predicted speed of one thread.
    pub efficiency: f64,
}

/// Predicts the speed for each number of threads. With `replicas` their number is fixed; otherwise there is one for each thread, as far as
/// the sequences suffice.
pub fn predict(measured: &Measured, replicas: Option<usize>, threads: &[usize]) -> Vec<Scaling> {
    let costs = Costs::of(measured);
    let Batch { size, accumulation, .. } = measured.recipe.batch;
    let tokens = (size * accumulation * measured.recipe.model.seq) as f64;
    let step = |threads: usize, is_shared: bool| {
        let replicas = replicas.unwrap_or(threads).clamp(1, size.max(1));
        costs.step(&with_replicas(measured.recipe, replicas), threads.min(replicas), is_shared)
    };
    let one = step(1, false).total();
    let scaling = |&threads: &usize| {
        let own = step(threads, false);
        Scaling {
            threads,
            replicas: replicas.unwrap_or(threads).clamp(1, size.max(1)),
            tokens_per_sec: tokens / own.total() * 1000.0,
            shared_tokens_per_sec: tokens / step(threads, true).total() * 1000.0,
            serial_share: own.serial / own.total(),
            efficiency: one / own.total() / threads as f64,
        }
    };
    threads.iter().map(scaling).collect()
}

fn with_replicas(recipe: &Recipe, replicas: usize) -> Recipe {
    Recipe { batch: Batch { replicas, ..recipe.batch.clone() }, ..recipe.clone() }
}

/// The parts of a step, ms.
struct StepMs {
    /// Forward, backward, sum of gradients and update: of the slowest thread of each.
    parallel: f64,
    /// What the calling thread computes alone.
    serial: f64,
}

impl StepMs {
    fn total(&self) -> f64 {
        self.parallel + self.serial
    }
}

/// The costs of a measured training on one thread, ms.
struct Costs {
    /// Threads of the measurement.
    threads: usize,
    /// Forward and backward of a sequence, without what a replica does once.
    sequence: f64,
    /// A byte that is read or written: that of the sum of gradients, or of their norm if there is no sum.
    byte: f64,
    /// The update of a value, as [`Work`] counts it.
    update: f64,
    /// What the calling thread computes alone, besides the norm.
    serial: f64,
}

impl Costs {
    fn of(measured: &Measured) -> Self {
        let Measured { recipe, threads, step_ms, operators } = *measured;
        let threads = threads.clamp(1, recipe.batch.replicas.max(1));
        // Times are means over the threads, but that of the norm, which the calling thread computes.
        let of = |is_wanted: &dyn Fn(&OperatorTime) -> bool| -> f64 {
            let times = operators.iter().filter(|time| is_wanted(time));
            times.map(|time| time.ms).sum::<f64>() * threads as f64
        };
        let over_memory = |time: &OperatorTime| matches!(time.operator, Operator::GradientSum | Operator::GradientNorm);
        let byte = of(&over_memory) / (sum_bytes(recipe) + norm_bytes(recipe));
        let is_gradient = |time: &OperatorTime| matches!(time.phase, Phase::Forward | Phase::Backward);
        let gradient = of(&|time| is_gradient(time) && !over_memory(time));
        let micro_batches = recipe.batch.accumulation as f64;
        let of_replicas = micro_batches * recipe.batch.replicas as f64 * replica_bytes(recipe) * byte;
        let sequence = ((gradient - of_replicas) / (micro_batches * recipe.batch.size as f64)).max(0.0);
        let values: usize = slowest_shares(recipe, 1)[1];
        let update = of(&|time| time.operator == Operator::Update) / values as f64;
        let costs = Self { threads, sequence, byte, update, serial: 0.0 };
        let serial = (step_ms - costs.step(recipe, threads, false).total()).max(0.0);
        Self { serial, ..costs }
    }

    /// A step with the replicas of this recipe.
    fn step(&self, recipe: &Recipe, threads: usize, is_shared: bool) -> StepMs {
        // How many times as long the same bytes take, while all threads read and write.
        let slower = if is_shared { (threads as f64 / self.threads as f64).max(1.0) } else { 1.0 };
        let (sequences, replicas) = slowest(&recipe.batch, threads);
        let replica = replica_bytes(recipe) * self.byte * slower;
        let gradient = sequences as f64 * self.sequence + replicas as f64 * replica;
        let [values, update] = slowest_shares(recipe, threads).map(|values| values as f64);
        let sum = sum_bytes(recipe) * values / recipe.model.parameters() as f64 * self.byte * slower;
        // Muon multiplies matrices in the caches.
        let by_memory = if recipe.optimizer.kind == OptimizerKind::Adamw { slower } else { 1.0 };
        StepMs {
            parallel: recipe.batch.accumulation as f64 * gradient + sum + update * self.update * by_memory,
            serial: self.serial + norm_bytes(recipe) * self.byte,
        }
    }
}

/// The sequences of a micro-batch, and the replicas, of the thread with most of them.
fn slowest(batch: &Batch, threads: usize) -> (usize, usize) {
    let (size, count) = (batch.size, batch.replicas.max(1));
    let of = |thread: usize| {
        let replicas = (thread..count).step_by(threads);
        let sequences = replicas.clone().map(|replica| size * (replica + 1) / count - size * replica / count);
        (sequences.sum(), replicas.count())
    };
    (0..threads).map(of).max().unwrap_or_default()
}

/// The work of the thread with the largest share: of the sum of gradients, and of the update.
fn slowest_shares(recipe: &Recipe, threads: usize) -> [usize; 2] {
    let specs = params::layout(&recipe.model);
    let sum: Vec<Work> = specs.iter().map(|spec| Work::Blocks(spec.len())).collect();
    [sum, cpu::work(&specs, recipe.optimizer.kind)].map(|work| {
        let shares = partition::shares(&work, threads);
        shares.iter().map(|share| share.cost).max().unwrap_or_default().max(1)
    })
}

fn sum_bytes(recipe: &Recipe) -> f64 {
    StepWork::of_recipe(recipe).of(Phase::Backward, Operator::GradientSum).bytes
}

fn norm_bytes(recipe: &Recipe) -> f64 {
    StepWork::of_recipe(recipe).of(Phase::Optimizer, Operator::GradientNorm).bytes
}

/// Bytes that each further replica reads and writes in a micro-batch: weights and gradients.
fn replica_bytes(recipe: &Recipe) -> f64 {
    let of = |replicas: usize| -> f64 {
        let recipe = with_replicas(recipe, replicas);
        let work = StepWork::of_recipe(&recipe);
        let operators = Operator::ALL.into_iter().filter(|operator| *operator != Operator::GradientSum);
        operators
            .map(|operator| work.of(Phase::Forward, operator).bytes + work.of(Phase::Backward, operator).bytes)
            .sum()
    };
    (of(2) - of(1)) / recipe.batch.accumulation as f64
}

#[cfg(test)]
mod tests {
    use wire::run::preset::find;

    use super::*;

    /// 12 sequences of 64 tokens.
    fn recipe(replicas: usize) -> Recipe {
        let mut recipe = find("nanogpt-cpu", None).unwrap().recipe;
        recipe.model.vocab = 65;
        (recipe.batch.size, recipe.batch.accumulation, recipe.batch.replicas) = (12, 1, replicas);
        recipe
    }

    /// Forward, sum of gradients and update, ms as means over the threads.
    fn times(forward: f64, sum: f64, update: f64) -> [OperatorTime; 3] {
        let time = |phase, operator, ms| OperatorTime { phase, operator, ms };
        [
            time(Phase::Forward, Operator::Mlp, forward),
            time(Phase::Backward, Operator::GradientSum, sum),
            time(Phase::Optimizer, Operator::Update, update),
        ]
    }

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} instead of {expected}");
    }

    #[test]
    fn the_measured_number_of_threads_has_the_measured_speed() {
        let (recipe, operators) = (recipe(2), times(12.0, 0.5, 1.0));
        let measured = Measured { recipe: &recipe, threads: 2, step_ms: 15.0, operators: &operators };
        let [two] = predict(&measured, None, &[2])[..] else { panic!("one prediction") };
        near(two.tokens_per_sec, 768.0 / 0.015);
        near(two.shared_tokens_per_sec, two.tokens_per_sec);
        // 1.5 ms besides the operators, less what the larger of the two shares of blocks takes longer.
        assert!((0.099..0.100_001).contains(&two.serial_share), "{two:?}");
    }

    #[test]
    fn sequences_are_divided_whole_and_the_serial_part_stays() {
        let (recipe, operators) = (recipe(2), times(12.0, 0.0, 0.0));
        let measured = Measured { recipe: &recipe, threads: 2, step_ms: 13.0, operators: &operators };
        // 2 ms a sequence, and 1 ms for the calling thread.
        let cases = [(1, 1, 24.0), (2, 2, 12.0), (4, 4, 6.0), (5, 5, 6.0), (8, 8, 4.0), (12, 12, 2.0), (32, 12, 2.0)];
        for (threads, replicas, parallel_ms) in cases {
            let [found] = predict(&measured, None, &[threads])[..] else { panic!("one prediction") };
            assert_eq!((found.threads, found.replicas), (threads, replicas));
            near(found.tokens_per_sec, 768.0 / (parallel_ms + 1.0) * 1000.0);
            near(found.serial_share, 1.0 / (parallel_ms + 1.0));
            near(found.efficiency, 25.0 / (parallel_ms + 1.0) / threads as f64);
            assert_eq!(found.shared_tokens_per_sec, found.tokens_per_sec);
        }
        // Four replicas on three threads: one of them computes two.
        near(predict(&measured, Some(4), &[3])[0].tokens_per_sec, 768.0 / 13.0 * 1000.0);
    }

    #[test]
    fn what_is_bound_by_memory_gains_from_threads_only_if_they_bring_bandwidth() {
        let (recipe, operators) = (recipe(2), times(0.0, 0.0, 8.0));
        let measured = Measured { recipe: &recipe, threads: 2, step_ms: 8.0, operators: &operators };
        let found = predict(&measured, None, &[1, 2, 4, 8]);
        for (scaling, factor) in found.iter().zip([0.5, 1.0, 2.0, 4.0]) {
            // The largest of eight shares of 800,000 values is up to a block larger than the mean.
            let ratio = scaling.tokens_per_sec / (96_000.0 * factor);
            assert!((0.95..1.02).contains(&ratio), "{scaling:?}: {ratio}");
            let ratio = scaling.shared_tokens_per_sec / (96_000.0 * factor.min(1.0));
            assert!((0.95..1.02).contains(&ratio), "{scaling:?}: {ratio}");
        }
    }
}
