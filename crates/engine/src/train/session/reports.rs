//! The reports of a run: the values of each step, statistics of weights and gradients, and events. On a GPU, values are read back some
//! steps later, so that the GPU is never idle.

use burn::tensor::Tensor;
use wire::control::author::Author;
use wire::control::event::Event;
use wire::inspect::statistics::TensorStats;
use wire::inspect::update::InspectionUpdate;
use wire::number::grouped;
use wire::run::RunState;
use wire::run::operators::series;
use wire::series::{Row, name};
use wire::transport::link::Report;

use super::{Reporter, Session, UnreadStep, now_ms};
use crate::data::repeats::Repeats;
use crate::device::operator_times::OperatorTimes;
use crate::device::{process_bytes, read};
use crate::error::EngineError;
use crate::optim::noise_scale::PartNorms;
use crate::train::trainer::{StepTimes, is_due};

impl Session {
    /// The values of a step, without its loss and gradient norm.
    pub(super) fn row(&self, step: u64, times: &StepTimes, operators: &OperatorTimes, step_ms: f64) -> Row {
        let per_micro_batch = self.trainer.plan.tokens_per_micro_batch();
        let tokens = self.trainer.live.accumulation.at(step) * per_micro_batch;
        let other = (step_ms - times.batch - times.gradient - times.optimizer).max(0.0);
        let mut values = vec![
            (name::TOKENS, self.trainer.live.tokens_before(step + 1, per_micro_batch) as f64),
            (name::SECS, self.secs),
            (name::LEARNING_RATE, self.trainer.live.schedule.learning_rate(step)),
            (name::TOKENS_PER_SEC, tokens as f64 / (step_ms / 1000.0)),
            (name::STEP_MS, step_ms),
            (name::BATCH_MS, times.batch),
            (name::GRADIENT_MS, times.gradient),
            (name::OPTIMIZER_MS, times.optimizer),
            (name::OTHER_MS, other),
        ];
        if is_due(step, 10) {
            values.push((name::PROCESS_BYTES, process_bytes()));
            if !self.trainer.device.is_cpu() {
                values.push((name::DEVICE_BYTES, self.trainer.device.bytes_in_use() as f64));
            }
        }
        let mut values: Vec<_> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if is_due(step, 10) {
            let datasets = self.trainer.plan.mix.iter().zip(&self.epochs);
            values.extend(datasets.map(|(part, epochs)| (format!("{}{}", name::EPOCHS, part.corpus), *epochs)));
            if self.trainer.plan.mix.len() > 1 {
                let weights = self.trainer.plan.mix.iter().zip(self.trainer.live.mix.at(step));
                values.extend(weights.map(|(part, weight)| (format!("{}{}", name::MIX_WEIGHT, part.corpus), weight)));
            }
            values.push((name::DUPLICATE_WINDOWS.to_owned(), self.repeats.count() as f64));
            if self.trainer.device.is_cpu() {
                let times = operators.per_step(1.0);
                values.extend(times.into_iter().map(|time| (series(time.phase, time.operator), time.ms)));
            }
        }
        Row { segment: self.segment, step, values }
    }

    pub(super) fn report_stats(&mut self, step: u64, tensors: Vec<TensorStats>, cost_ms: f64, out: &mut dyn Reporter) {
        let value = |prefix: &str, tensor: &TensorStats, value: f64| (format!("{prefix}{}", tensor.name), value);
        let values = tensors.iter().flat_map(|tensor| {
            [
                value(name::UPDATE_RATIO, tensor, tensor.update_ratio),
                value(name::GRADIENT_RMS, tensor, tensor.gradient.rms),
                value(name::WEIGHT_RMS, tensor, tensor.weight.rms),
            ]
        });
        out.row(Row { segment: self.segment, step, values: values.collect() });
        self.newest_stats = Some((step, tensors.clone()));
        out.inspection(InspectionUpdate::ParameterStats { step, tensors, cost_ms });
    }

    /// Reads the losses of the last steps back from a GPU. A non-finite loss is detected here, a few steps late.
    pub(super) fn read_steps(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            return self.read_stats(true, out);
        }
        let scalars = unread.iter().map(|unread| unread.scalars.clone()).collect();
        let mut values = read(Tensor::cat(scalars, 0))?.into_iter();
        let mut next = || values.next().unwrap_or(f32::NAN);
        for UnreadStep { mut row, part_norms, has_loss_scale, .. } in unread {
            let (loss, norm) = (f64::from(next()), f64::from(next()));
            let squares = part_norms.map(|norms| (norms, next()));
            let loss_scale = has_loss_scale.then(|| f64::from(next()));
            row.values.extend(loss_scale.map(|factor| (name::LOSS_SCALE.to_owned(), factor)));
            self.loss_train = Some(loss).filter(|loss| loss.is_finite());
            if is_skipped(loss, norm, loss_scale) {
                row.values.push((name::TRAIN.to_owned(), loss));
                out.row(row);
                continue;
            }
            if let Some((norms, squares)) = squares {
                self.measure_noise(&norms, squares, norm, &mut row);
            }
            if !(loss.is_finite() && norm.is_finite() || self.is_paused) {
                self.pause_on_non_finite(loss, norm, out);
            }
            out.row(with_scalars(row, loss, norm));
        }
        // Statistics that were started before these losses have arrived with them.
        self.read_stats(true, out)
    }

    /// Adds the norms of a step's parts to the gradient noise scale, and this to the row.
    pub(super) fn measure_noise(&mut self, norms: &PartNorms, squares: f32, norm: f64, row: &mut Row) {
        self.noise_scale.add(norms, f64::from(squares), norm);
        row.values.extend(self.noise_scale.tokens().map(|tokens| (name::NOISE_SCALE.to_owned(), tokens)));
    }

    /// Reports the statistics that have arrived from a GPU, each under its step; waits for all of them if `is_last`.
    pub(super) fn read_stats(&mut self, is_last: bool, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let Some(stats) = &mut self.trainer.gpu_stats else { return Ok(()) };
        for arrived in stats.arrived(&self.trainer.specs, is_last)? {
            self.report_stats(arrived.step, arrived.tensors, arrived.cost_ms, out);
        }
        Ok(())
    }

    pub(super) fn report(&self, event: Event, state: Option<RunState>) -> Report {
        Report {
            segment: self.segment,
            step: self.steps(),
            at_ms: now_ms(),
            author: Author::System,
            command_id: None,
            reason: None,
            event,
            state,
        }
    }

    /// Reports an event that no command caused, unless it was reported before the worker ended.
    pub(super) fn emit(&self, out: &mut dyn Reporter, event: Event, state: Option<RunState>) {
        if state.is_some() || !self.replay.is_reported(&event, self.segment, self.steps()) {
            out.report(self.report(event, state));
        }
    }

    /// Counts the epochs of each dataset and the repeated windows from the first step on: a pure function of the live hyperparameters.
    pub(super) fn count_data(&mut self) {
        (self.epochs, self.repeats) = (vec![0.0; self.trainer.plan.mix.len()], Repeats::default());
        (0..self.steps()).for_each(|step| self.count_step(step));
    }

    pub(super) fn count_step(&mut self, step: u64) {
        // A fork may read other datasets than its parent, so its windows are those from its checkpoint on.
        if self.trainer.plan.origin.as_ref().is_none_or(|origin| step >= origin.from.checkpoint.step) {
            self.trainer.count_repeats(step, &mut self.repeats);
        }
        let tokens = (self.trainer.live.accumulation.at(step) * self.trainer.plan.tokens_per_micro_batch()) as f64;
        let weights = self.trainer.live.mix.at(step);
        for (dataset, (epochs, weight)) in self.epochs.iter_mut().zip(weights).enumerate() {
            *epochs += tokens * weight / self.trainer.data.train_tokens(dataset).max(1) as f64;
        }
    }

    /// Whether a budget of the plan is exhausted; reported once, just before the end. Steps that are trained again do not count.
    pub(super) fn is_budget_used(&self, out: &mut dyn Reporter) -> bool {
        if self.replay.catching_up(self.steps()).is_some() {
            return false;
        }
        let budget = &self.trainer.plan.recipe.budget;
        let tokens = self.trainer.live.tokens_before(self.steps(), self.trainer.plan.tokens_per_micro_batch());
        let loss = self.loss_valid.filter(|loss| budget.loss > 0.0 && *loss <= budget.loss);
        let what = if budget.tokens > 0 && tokens >= budget.tokens {
            format!("{} of {} tokens", grouped(tokens), grouped(budget.tokens))
        } else if budget.secs > 0.0 && self.secs >= budget.secs {
            format!("{} of {} s of training", grouped(self.secs.round() as u64), grouped(budget.secs.round() as u64))
        } else if let Some(loss) = loss {
            format!("validation loss {loss:.3}, target {} nats/token", budget.loss)
        } else {
            return false;
        };
        self.emit(out, Event::BudgetReached { what }, None);
        true
    }
}

/// Whether loss scaling has skipped a step: its loss is finite and its gradient overflowed. A factor of 1 enlarges no gradient, so that a
/// gradient which overflows with it is a non-finite one.
fn is_skipped(loss: f64, norm: f64, loss_scale: Option<f64>) -> bool {
    loss.is_finite() && !norm.is_finite() && loss_scale.is_some_and(|factor| factor > 1.0)
}

pub(super) fn with_scalars(mut row: Row, loss: f64, norm: f64) -> Row {
    row.values.push((name::TRAIN.to_owned(), loss));
    row.values.push((name::GRAD_NORM.to_owned(), norm));
    row
}
