//! Training time of a plan on a device: the work of each operator ([`StepWork`]) at the speed that the device was measured with, and evaluations
//! and samples at their intervals. Checkpoints are written beside the training, and inspections are not planned, so neither counts.
//!
//! An operator takes as long as the slower of its two parts, arithmetic and memory traffic (the roofline model, Williams et al. 2009). The tensors
//! of norms and activations of a small batch stay in a core's caches, so these operators have a speed of their own.

use crate::data::corpus::CorpusInfo;
use crate::data::tokenizer::Tokenizer;
use crate::device::{DeviceInfo, OperatorRates};
use crate::evaluation::most_windows;
use crate::hyperparameters::recipe::{Batch, MAX_SAMPLE_TOKENS};
use crate::run::operators::{Operator, OperatorTime, Phase, StepWork, Work};
use crate::run::plan::{MixPart, RunPlan};

/// Bytes of text of a token of a byte-pair encoding, before the dataset is tokenized: English text has 3 (1,024 tokens) to 4.5 (GPT-2).
const BYTES_PER_TOKEN: f64 = 3.5;
/// Passes over the parameters that the statistics of weights and gradients need, besides one for the gradient of each replica.
const STATISTICS_PASSES: f64 = 2.0;
/// A forward pass has one of the three products of each weight in a step.
const FORWARD_FRACTION: f64 = 1.0 / 3.0;

impl RunPlan {
    /// Training time, seconds; `None` if the speed of the device is unknown. A dataset that is not among `corpora` counts as a large one in the
    /// last evaluation.
    pub(super) fn training_secs(&self, device: &DeviceInfo, corpora: &[CorpusInfo]) -> Option<f64> {
        let step = StepSecs::new(self, device)?;
        let first = self.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
        let intervals = self.live().intervals;
        let due = |every: u64| match every {
            0 => 0.0,
            every => (self.steps.saturating_sub(1) / every).saturating_sub(first / every) as f64,
        };
        let batches = due(intervals.eval_every) * periodic_batches(self) + last_batches(self, corpora);
        let samples = if intervals.sample_every > 0 { due(intervals.sample_every) + 1.0 } else { 0.0 };
        let steps = self.steps.saturating_sub(first) as f64;
        Some(steps * step.whole + batches * step.forward + samples * step.sample)
    }
}

/// Batches of an evaluation at an interval: under the mix, and of each of several datasets.
fn periodic_batches(plan: &RunPlan) -> f64 {
    let passes = if plan.mix.len() > 1 { plan.mix.len() + 1 } else { 1 };
    plan.recipe.intervals.eval_batches.max(1) as f64 * passes as f64
}

/// Batches of the last evaluation.
fn last_batches(plan: &RunPlan, corpora: &[CorpusInfo]) -> f64 {
    let size = plan.recipe.batch.size.max(1);
    let split = |part: &MixPart| {
        let info = corpora.iter().find(|info| info.id == part.corpus);
        info.map_or(usize::MAX, |info| (valid_tokens(info, plan) / plan.recipe.model.seq.max(1) as f64) as usize)
    };
    let splits: Vec<usize> = plan.mix.iter().map(split).collect();
    let periodic = size.saturating_mul(plan.recipe.intervals.eval_batches.max(1) as usize);
    let most = most_windows(&splits).max(periodic);
    splits.iter().map(|split| (*split).min(most) as f64 / size as f64).sum()
}

/// Tokens of the validation split; an estimate if the dataset is not tokenized yet.
fn valid_tokens(info: &CorpusInfo, plan: &RunPlan) -> f64 {
    if let Some(made) = info.datasets.iter().find(|made| made.tokenizer == plan.tokenizer) {
        return made.valid_tokens as f64;
    }
    let tokens = match plan.tokenizer {
        Tokenizer::Char => info.chars as f64,
        Tokenizer::Byte => info.text_bytes as f64,
        _ => info.text_bytes as f64 / BYTES_PER_TOKEN,
    };
    (tokens + info.documents as f64) * info.valid_share
}

/// Times of the parts of a training, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSecs {
    /// An optimizer step.
    pub whole: f64,
    /// The losses of one batch without gradients.
    pub forward: f64,
    /// Writing one sample, with the number of tokens of the plan.
    pub sample: f64,
}

impl StepSecs {
    /// The times of a plan on a device; `None` if its speed is unknown.
    pub fn new(plan: &RunPlan, device: &DeviceInfo) -> Option<Self> {
        match &device.rates {
            Some(rates) => Some(Roofline::new(plan, device, rates).secs(plan)),
            None if device.flops_per_sec > 0.0 => Some(Self::by_flops(plan, device.flops_per_sec)),
            None => None,
        }
    }

    /// All operators at one speed.
    fn by_flops(plan: &RunPlan, flops_per_sec: f64) -> Self {
        let token = plan.recipe.model.flops_per_token() / flops_per_sec;
        let forward = token * FORWARD_FRACTION;
        Self {
            whole: token * plan.tokens_per_step() as f64,
            forward: forward * plan.tokens_per_micro_batch() as f64,
            sample: forward * sample_tokens(plan),
        }
    }
}

fn sample_tokens(plan: &RunPlan) -> f64 {
    f64::from(plan.recipe.intervals.sample_tokens.min(MAX_SAMPLE_TOKENS))
}

/// The operators of a plan at the speeds of a device.
struct Roofline<'a> {
    work: StepWork<'a>,
    rates: &'a OperatorRates,
    /// Part of the sequences that the core with the most computes.
    core_fraction: f64,
    cores: f64,
}

impl<'a> Roofline<'a> {
    fn new(plan: &'a RunPlan, device: &DeviceInfo, rates: &'a OperatorRates) -> Self {
        let cores = device.cores.max(1) as usize;
        Self {
            work: StepWork::new(plan),
            rates,
            core_fraction: core_fraction(&plan.recipe.batch, cores),
            cores: cores.min(plan.recipe.batch.replicas.max(1)) as f64,
        }
    }

    fn secs(&self, plan: &RunPlan) -> StepSecs {
        let sum =
            |phase: Phase| Operator::ALL.into_iter().map(|operator| self.operator_secs(phase, operator)).sum::<f64>();
        let forward = sum(Phase::Forward);
        let recomputed = if plan.recipe.compute.recompute { self.block_secs() } else { 0.0 };
        let weights = 4.0 * plan.recipe.model.parameters() as f64 / self.rates.memory_bytes_per_sec;
        let statistics = match plan.recipe.intervals.stats_every {
            0 => 0.0,
            every => weights * (STATISTICS_PASSES + plan.recipe.batch.replicas as f64) / every as f64,
        };
        StepSecs {
            whole: forward + recomputed + sum(Phase::Backward) + sum(Phase::Optimizer) + statistics,
            forward: forward / plan.recipe.batch.accumulation.max(1) as f64,
            // A token of a sample reads all weights, and computes little with each.
            sample: weights * sample_tokens(plan),
        }
    }

    /// Forward of the blocks: what backward computes again if activations are not kept.
    fn block_secs(&self) -> f64 {
        let of_block = |operator: &Operator| !matches!(operator, Operator::Embedding | Operator::Head);
        let operators = Operator::ALL.into_iter().filter(of_block);
        operators.map(|operator| self.operator_secs(Phase::Forward, operator)).sum()
    }

    fn operator_secs(&self, phase: Phase, operator: Operator) -> f64 {
        let (work, rates) = (self.work.of(phase, operator), self.rates);
        let product_secs = |fraction: f64| {
            (work.flops * fraction / rates.product_flops_per_sec).max(work.bytes / rates.memory_bytes_per_sec)
        };
        match Class::of(operator) {
            Class::Product => product_secs(self.core_fraction),
            Class::Attention => work.flops * self.core_fraction / rates.attention_flops_per_sec,
            Class::Elementwise => work.bytes * self.core_fraction / rates.elementwise_bytes_per_sec,
            // Muon's update consists of products, AdamW's of memory traffic.
            Class::Parameters => product_secs(1.0 / self.cores),
        }
    }
}

/// What bounds the time of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A product with weights: arithmetic, or for few tokens the weights, which are read from memory.
    Product,
    Attention,
    /// Reads and writes the activations of some tokens once.
    Elementwise,
    /// Reads and writes values of all parameters: memory bandwidth.
    Parameters,
}

impl Class {
    fn of(operator: Operator) -> Self {
        match operator {
            Operator::Qkv | Operator::AttentionOutput | Operator::Mlp | Operator::Head => Self::Product,
            Operator::Attention => Self::Attention,
            Operator::Batch
            | Operator::Embedding
            | Operator::Dropout
            | Operator::Norm
            | Operator::Rotary
            | Operator::Activation => Self::Elementwise,
            Operator::GradientSum | Operator::GradientNorm | Operator::Update => Self::Parameters,
        }
    }
}

impl OperatorRates {
    /// The rates that explain a measured gradient: `work` took `secs`, of which the operators took `times`, on `cores` cores. The time outside of
    /// all operators, such as waiting for the slowest core, is spread over them. `None` if a time is missing.
    pub fn of_gradient(
        work: &StepWork,
        times: &[OperatorTime],
        secs: f64,
        cores: usize,
        memory_bytes_per_sec: f64,
    ) -> Option<Self> {
        let in_operators: f64 = times.iter().map(|time| time.ms / 1000.0).sum();
        let rate = |class: Class, amount: fn(Work) -> f64| {
            let of_class = || times.iter().filter(|time| Class::of(time.operator) == class);
            let done: f64 = of_class().map(|time| amount(work.of(time.phase, time.operator))).sum();
            let taken: f64 = of_class().map(|time| time.ms / 1000.0).sum();
            let rate = done / cores.max(1) as f64 / (taken * secs / in_operators);
            (rate.is_finite() && rate > 0.0).then_some(rate)
        };
        Some(Self {
            product_flops_per_sec: rate(Class::Product, |work| work.flops)?,
            attention_flops_per_sec: rate(Class::Attention, |work| work.flops)?,
            elementwise_bytes_per_sec: rate(Class::Elementwise, |work| work.bytes)?,
            memory_bytes_per_sec,
        })
    }
}

/// Part of the sequences that the core with the most computes: above `1 / cores` if replicas or sequences cannot be split evenly.
fn core_fraction(batch: &Batch, cores: usize) -> f64 {
    let replicas = batch.replicas.max(1);
    let of_core = replicas.div_ceil(cores) as f64 * batch.size.div_ceil(replicas) as f64;
    (of_core / batch.size.max(1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::tests::{lab, plan_of, rates};

    #[test]
    fn the_core_with_the_most_sequences_decides() {
        let check = |size: usize, replicas: usize, cores: usize, expected: f64| {
            let batch = Batch { size, accumulation: 1, replicas };
            assert_eq!(core_fraction(&batch, cores), expected, "{size} sequences, {replicas} replicas, {cores} cores");
        };
        check(12, 2, 2, 0.5);
        check(12, 1, 2, 1.0);
        check(5, 2, 2, 0.6);
        check(12, 3, 2, 8.0 / 12.0);
        check(12, 12, 32, 1.0 / 12.0);
    }

    #[test]
    fn the_rates_of_a_measured_gradient_give_its_time() {
        let plan = plan_of(r#"{"corpus":"tales","overrides":{"intervals.stats_every":0}}"#);
        let work = StepWork::of_gradient(&plan.recipe.model, plan.tokens_per_micro_batch() as usize, 2);
        let phases = [Phase::Forward, Phase::Backward];
        let each = phases.into_iter().flat_map(|phase| Operator::ALL.map(|operator| (phase, operator)));
        let occurring = each.filter(|(phase, operator)| work.of(*phase, *operator).bytes > 0.0);
        let times: Vec<OperatorTime> = occurring
            .zip(1..)
            .map(|((phase, operator), ms)| OperatorTime { phase, operator, ms: f64::from(ms) })
            .collect();
        let in_operators: f64 = times.iter().map(|time| time.ms / 1000.0).sum();
        let rates = OperatorRates::of_gradient(&work, &times, 1.25 * in_operators, 2, 1e12).unwrap();
        let device = DeviceInfo { rates: Some(rates), ..lab().1.remove(0) };
        let optimizer: f64 = [Operator::GradientSum, Operator::GradientNorm, Operator::Update]
            .into_iter()
            .flat_map(|operator| {
                Phase::ALL.map(|phase| Roofline::new(&plan, &device, &rates).operator_secs(phase, operator))
            })
            .sum();
        let sums = times.iter().find(|time| time.operator == Operator::GradientSum).unwrap();
        let found = StepSecs::new(&plan, &device).unwrap().whole - optimizer;
        assert!((found / 1.25 / (in_operators - sums.ms / 1000.0) - 1.0).abs() < 1e-9, "{found} {in_operators}");
        assert_eq!(OperatorRates::of_gradient(&work, &times[..2], 1.0, 2, 1e10), None, "no attention was measured");
    }

    #[test]
    fn evaluations_and_samples_count_as_often_as_the_run_makes_them() {
        let (corpora, devices) = lab();
        let device = DeviceInfo { rates: Some(rates()), ..devices[0].clone() };
        let secs = |intervals: &str| {
            let plan = plan_of(&format!(
                r#"{{"corpus":"tales","steps":200,"overrides":{{"intervals.stats_every":0,{intervals}}}}}"#
            ));
            let step = StepSecs::new(&plan, &device).unwrap();
            let found = plan.training_secs(&device, &corpora).unwrap();
            (found - 200.0 * step.whole, step)
        };
        let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
        // The validation split has 0.1 * (1,000,000 characters + 1,000 ends of documents), in windows of 64 tokens and batches of 12.
        let last = |step: StepSecs| 1564.0 / 12.0 * step.forward;
        let (found, step) = secs(r#""intervals.eval_every":0,"intervals.sample_every":0"#);
        close(found, last(step));
        // After steps 50, 100 and 150, and at the end.
        let (found, step) = secs(r#""intervals.eval_every":50,"intervals.eval_batches":7,"intervals.sample_every":0"#);
        close(found, 3.0 * 7.0 * step.forward + last(step));
        let (found, step) = secs(r#""intervals.eval_every":0,"intervals.sample_every":50,"intervals.sample_tokens":9"#);
        close(found, 4.0 * step.sample + last(step));
    }

    #[test]
    fn a_step_is_bound_by_products_in_a_long_batch_and_by_memory_in_a_short_one() {
        let device = |rates: OperatorRates| DeviceInfo { rates: Some(rates), ..lab().1.remove(0) };
        let step = |size: usize, seq: usize, rates: OperatorRates| {
            let sizes = format!(r#""batch.size":{size},"batch.accumulation":1,"model.seq":{seq}"#);
            let plan = plan_of(&format!(r#"{{"corpus":"tales","preset":"gpt2","overrides":{{{sizes}}}}}"#));
            StepSecs::new(&plan, &device(rates)).unwrap().whole
        };
        let twice_products = OperatorRates { product_flops_per_sec: 2.0 * rates().product_flops_per_sec, ..rates() };
        let twice_memory = OperatorRates { memory_bytes_per_sec: 2.0 * rates().memory_bytes_per_sec, ..rates() };
        for (size, seq, is_long) in [(64, 64, true), (2, 16, false)] {
            let gains = [twice_products, twice_memory].map(|faster| step(size, seq, rates()) / step(size, seq, faster));
            assert_eq!(gains[0] > gains[1], is_long, "{size} sequences of {seq} tokens: {gains:?}");
        }
        let recomputed = plan_of(r#"{"corpus":"tales","overrides":{"compute.recompute":true}}"#);
        let kept = plan_of(r#"{"corpus":"tales"}"#);
        let secs = |plan: &RunPlan| StepSecs::new(plan, &device(rates())).unwrap().whole;
        let ratio = secs(&recomputed) / secs(&kept);
        assert!((1.2..1.34).contains(&ratio), "backward computes the blocks again: {ratio}");
    }
}
