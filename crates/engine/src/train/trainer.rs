//! One optimizer step, in order: micro-batches, forward and backward, loss and gradient norm, clipping, learning rate, update.
//! [`super::session`] handles everything between two steps.

use std::time::Instant;

use burn::tensor::Tensor;
use wire::control::live::LiveHyperparameters;
use wire::hyperparameters::recipe::Precision;
use wire::inspect::statistics::Moments;
use wire::inspect::statistics::TensorStats;
use wire::run::operators::{Operator, Phase};
use wire::run::plan::RunPlan;

use crate::data::batch::Batch;
use crate::data::dataset::Dataset;
use crate::data::repeats::Repeats;
use crate::device::operator_times::{self, OperatorTimes};
use crate::device::replicas::Replicas;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::model::gradient::{self, Gradient, GradientArgs};
use crate::model::params::{self, ParamSpec, Weights};
use crate::optim::gpu_stats::{Before, GpuStats};
use crate::optim::loss_scale::{LossScale, SavedLossScale};
use crate::optim::noise_scale::PartNorms;
use crate::optim::optimizer::{self, State};
use crate::optim::stats;
use crate::optim::step_hyperparameters::StepHyperparameters;

/// A model in training on its device: weights, moments, dataset, and the current hyperparameters.
pub struct Trainer {
    /// Plan of the run.
    pub plan: RunPlan,
    /// Current hyperparameters. A step reads its optimizer, schedules and mix here, never in the plan.
    pub live: LiveHyperparameters,
    /// Token shards.
    pub data: Dataset,
    pub device: EngineDevice,
    /// Threads that split a micro-batch; `None` on a GPU.
    pub replicas: Option<Replicas>,
    /// Parameters, in the model's order.
    pub specs: Vec<ParamSpec>,
    /// Weights, moments, and the number of steps done.
    pub state: State,
    /// Statistics that a GPU has not returned yet; `None` on the CPU, which computes them during the step.
    pub gpu_stats: Option<GpuStats>,
    /// Loss scaling; `None` unless products have float16 factors.
    pub loss_scale: Option<LossScale>,
    layout: Weights,
}

/// Results of a step.
pub struct StepReport {
    /// The step, counted from 0.
    pub step: u64,
    /// Loss and gradient norm.
    pub scalars: Scalars,
    /// Statistics of every parameter and their time, ms; on the CPU, every `stats_every` steps.
    pub stats: Option<(Vec<TensorStats>, f64)>,
    /// Norms of the gradients of replicas and micro-batches, every `stats_every` steps; `None` if there is only one.
    pub part_norms: Option<PartNorms>,
    /// Time of the phases.
    pub times: StepTimes,
    /// Times of the operators; of a step on a GPU, those of the host.
    pub operators: OperatorTimes,
}

/// Mean loss in nats per token, and global gradient norm before clipping.
pub enum Scalars {
    /// Values of a step on the CPU.
    Host {
        /// Mean loss, nats per token.
        loss: f64,
        /// Gradient norm.
        norm: f64,
    },
    /// Tensors of a step on a GPU, `[1]` each; read back some steps later, so that the GPU is never idle.
    Device {
        /// Mean loss, nats per token.
        loss: Tensor<1>,
        /// Gradient norm.
        norm: Tensor<1>,
        /// The factor of the loss in this step; `None` without loss scaling.
        loss_scale: Option<Tensor<1>>,
    },
}

/// Time of a step by phase, ms.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// Reading the tokens.
    pub batch: f64,
    /// Forward and backward.
    pub gradient: f64,
    /// Gradient norm, clipping, update, and statistics.
    pub optimizer: f64,
}

/// What a step reports: its values, or the first one that is not finite.
pub enum StepOutcome {
    /// The weights were updated.
    Taken(StepReport),
    /// The loss or the gradient norm is not finite, and nothing was changed. Only the CPU detects this in the step itself.
    NonFinite {
        /// Mean loss, nats per token.
        loss: f64,
        /// Gradient norm.
        norm: f64,
    },
}

impl Trainer {
    /// A trainer of this state.
    ///
    /// # Errors
    /// The device has no instructions for the precision of the plan, or cannot start a thread.
    pub fn new(
        plan: RunPlan,
        live: LiveHyperparameters,
        data: Dataset,
        device: EngineDevice,
        specs: Vec<ParamSpec>,
        state: State,
    ) -> Result<Self, EngineError> {
        let precision = plan.recipe.compute.precision;
        device.require_format(precision)?;
        let replicas = match device.is_cpu() {
            true => Some(Replicas::limited(plan.recipe.batch.replicas, device.threads.clone())?),
            false => None,
        };
        let gpu_stats = device.setup.as_ref().map(GpuStats::new);
        let layout = Weights::new(&specs, vec![]);
        let is_scaled = precision == Precision::Float16;
        let loss_scale = is_scaled.then(|| LossScale::new(SavedLossScale::default(), &device.burn));
        Ok(Self { plan, live, data, device, replicas, specs, state, gpu_stats, loss_scale, layout })
    }

    /// Runs one optimizer step.
    ///
    /// # Errors
    /// The device was lost, or a replica panicked.
    pub fn step(&mut self) -> Result<StepOutcome, EngineError> {
        let (outcome, operators) = operator_times::collect(|| self.compute_step());
        Ok(match outcome? {
            StepOutcome::Taken(report) => StepOutcome::Taken(StepReport { operators, ..report }),
            refused => refused,
        })
    }

    fn compute_step(&mut self) -> Result<StepOutcome, EngineError> {
        let step = self.state.steps;
        let mut times = StepTimes::default();

        // The micro-batches of this step: a pure function of seed, step and mix.
        let batches = timed(&mut times.batch, || self.micro_batches(step));

        // Forward and backward of each; their gradients are summed in a fixed order.
        let wants_stats = is_due(step, self.plan.recipe.intervals.stats_every);
        let (gradient, part_norms) = timed(&mut times.gradient, || self.gradient(step, batches, wants_stats))?;

        // Mean loss and global gradient norm. If one of them is not finite, nothing is changed.
        let began = Instant::now();
        let scalars = self.scalars(&gradient)?;
        if let Scalars::Host { loss, norm } = scalars
            && !(loss.is_finite() && norm.is_finite())
        {
            return Ok(StepOutcome::NonFinite { loss, norm });
        }

        // The schedule gives the learning rate of this step; the rest are live hyperparameters.
        let learning_rate = self.live.schedule.learning_rate(step);
        let hyperparameters = StepHyperparameters::new(&self.live.optimizer, learning_rate);

        // Clip the gradient, update moments and weights.
        let stats = self.update(gradient, &scalars, hyperparameters, wants_stats)?;
        times.optimizer = millis(began);
        let operators = OperatorTimes::default();
        Ok(StepOutcome::Taken(StepReport { step, scalars, stats, part_norms, times, operators }))
    }

    fn micro_batches(&self, step: u64) -> Vec<Batch> {
        let (size, seq) = (self.plan.recipe.batch.size, self.plan.recipe.model.seq);
        let mix = self.live.mix.at(step);
        // Skipped batches shift the batch index of all later steps.
        let index = step + self.live.skipped;
        let batch = |micro_batch| self.data.train_batch(self.plan.seed, index, micro_batch, size, seq, &mix);
        let all = (0..self.live.accumulation.at(step)).map(batch);
        operator_times::timed(Phase::Batch, Operator::Batch, || all.collect())
    }

    fn gradient(
        &self,
        step: u64,
        batches: Vec<Batch>,
        wants_stats: bool,
    ) -> Result<(Gradient, Option<PartNorms>), EngineError> {
        let mut args = GradientArgs::of_step(&self.plan, &self.live.optimizer, step);
        args.loss_scale = self.loss_scale.as_ref().map(LossScale::factor);
        let (weights, replicas, device) = (self.weights(), self.replicas.as_ref(), &self.device.burn);
        let has_parts = batches.len() > 1 || replicas.is_some_and(|replicas| replicas.count() > 1);
        if !(wants_stats && has_parts) {
            return Ok((gradient::of_step(&args, &weights, batches, replicas, device)?, None));
        }
        let (gradient, parts) = gradient::of_step_with_parts(&args, &weights, batches, replicas, device)?;
        Ok((gradient, PartNorms::new(parts)))
    }

    /// Adds the windows of a step to the count of repeated ones.
    pub fn count_repeats(&self, step: u64, repeats: &mut Repeats) {
        let (size, seq) = (self.plan.recipe.batch.size, self.plan.recipe.model.seq);
        let (mix, index) = (self.live.mix.at(step), step + self.live.skipped_at(step));
        for micro_batch in 0..self.live.accumulation.at(step) {
            let draw = || self.data.train_windows(self.plan.seed, index, micro_batch, size, seq, &mix);
            repeats.add(&self.data, size, seq, draw);
        }
    }

    fn scalars(&self, gradient: &Gradient) -> Result<Scalars, EngineError> {
        Ok(match &self.replicas {
            Some(_) => Scalars::Host {
                loss: f64::from(read(gradient.loss.clone())?[0]),
                norm: optimizer::norm_on_cpu(gradient),
            },
            None => Scalars::Device {
                loss: gradient.loss.clone(),
                norm: optimizer::norm_on_gpu(gradient),
                loss_scale: self.loss_scale.as_ref().map(LossScale::factor),
            },
        })
    }

    /// Clips by the global norm and updates. Returns the statistics on the CPU; a GPU returns them some steps later.
    fn update(
        &mut self,
        gradient: Gradient,
        scalars: &Scalars,
        hyperparameters: StepHyperparameters,
        wants_stats: bool,
    ) -> Result<Option<(Vec<TensorStats>, f64)>, EngineError> {
        match (scalars, &self.replicas) {
            (Scalars::Host { norm, .. }, Some(replicas)) => {
                let mut cost_ms = [0.0; 2];
                let moments: Option<Vec<Moments>> = wants_stats
                    .then(|| timed(&mut cost_ms[0], || gradient.flat.iter().map(stats::of_tensor).collect()));
                let scale = optimizer::clip_scale(*norm, hyperparameters.grad_clip);
                let updates = self.state.step_on_cpu(&self.specs, gradient.flat, scale, hyperparameters, replicas)?;
                let weights = &self.state.weights;
                let on_cpu = |moments: Vec<Moments>| stats::on_cpu(&self.specs, weights, &moments, &updates);
                let stats = moments.map(|moments| timed(&mut cost_ms[1], || on_cpu(moments)));
                Ok(stats.map(|stats| (stats, cost_ms.iter().sum())))
            }
            (Scalars::Device { norm, .. }, _) => {
                let mut scale = optimizer::clip_scale_on_gpu(norm.clone(), hyperparameters.grad_clip);
                if let Some(loss_scale) = &mut self.loss_scale {
                    let is_overflow = norm.clone().is_finite().bool_not();
                    loss_scale.update(is_overflow.clone());
                    // A factor of 0 skips the step.
                    scale = scale.mask_fill(is_overflow, 0.0);
                }
                let step = self.state.steps;
                let before = wants_stats.then(|| Before::new(&self.state.weights, &gradient.flat));
                self.state.step_on_gpu(&self.specs, gradient.flat, scale, hyperparameters);
                if let (Some(stats), Some(before)) = (&mut self.gpu_stats, before) {
                    stats.start(step, before, &self.state.weights)?;
                }
                Ok(None)
            }
            // Scalars are on the host exactly if there are replicas.
            (Scalars::Host { .. }, None) => Ok(None),
        }
    }

    /// Sets the loss scaling to that of a checkpoint, or to its start if the checkpoint has none; without effect in other precisions.
    pub fn restore_loss_scale(&mut self, saved: Option<SavedLossScale>) {
        if let Some(loss_scale) = &mut self.loss_scale {
            *loss_scale = LossScale::new(saved.unwrap_or_default(), &self.device.burn);
        }
    }

    /// The weights by name.
    pub fn weights(&self) -> Weights {
        self.layout.with(self.state.weights.clone())
    }

    /// Parameters of the model.
    pub fn parameters(&self) -> u64 {
        params::count(&self.specs)
    }
}

/// Whether something that happens every `every` steps happens at `step`; 0 turns it off.
pub(super) fn is_due(step: u64, every: u64) -> bool {
    every > 0 && step.is_multiple_of(every)
}

pub(super) fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn timed<T>(elapsed_ms: &mut f64, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let value = work();
    *elapsed_ms = millis(began);
    value
}
