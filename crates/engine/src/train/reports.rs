//! What a run says of itself: the values of a step, looks at weights and gradients, and what happened. On a GPU values are read back
//! some steps late, so that its queue does not run dry.

use burn::tensor::Tensor;
use wire::event::{Author, Event};
use wire::frame::{Frame, TensorStats};
use wire::link::Report;
use wire::run::RunState;
use wire::series::{Row, name};

use super::{Phases, Reporter, Training, is_due, now_ms};
use crate::device::read;
use crate::error::EngineError;

impl Training {
    pub(super) fn row(&self, step: u64, phases: &Phases, step_ms: f64) -> Row {
        let per_pass = self.plan.tokens_per_pass();
        let tokens = self.dials.passes.at(step) * per_pass;
        let other = (step_ms - phases.batch - phases.gradient - phases.optimizer).max(0.0);
        let mut values = vec![
            (name::TOKENS, self.dials.tokens_before(step + 1, per_pass) as f64),
            (name::SECS, self.secs),
            (name::RATE, self.dials.schedule.rate(step)),
            (name::TOKENS_PER_SEC, tokens as f64 / (step_ms / 1000.0)),
            (name::STEP_MS, step_ms),
            (name::BATCH_MS, phases.batch),
            (name::GRADIENT_MS, phases.gradient),
            (name::OPTIMIZER_MS, phases.optimizer),
            (name::OTHER_MS, other),
        ];
        if is_due(step, 10) {
            values.push((name::PROCESS_BYTES, process_bytes()));
            if !self.device.is_cpu() {
                values.push((name::DEVICE_BYTES, self.device.bytes_in_use() as f64));
            }
        }
        let mut values: Vec<_> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if is_due(step, 10) {
            let texts = self.plan.mix.iter().zip(&self.epochs);
            values.extend(texts.map(|(part, epochs)| (format!("{}{}", name::EPOCHS, part.corpus), *epochs)));
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
        out.look(Frame::Tensors { step, tensors, cost_ms });
    }

    /// Reads the losses of the last steps back from a GPU; a bad one is found here, a few steps late.
    pub(super) fn read_unread(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            return self.read_looks(true, out);
        }
        let (rows, scalars): (Vec<_>, Vec<_>) =
            unread.into_iter().map(|unread| (unread.row, unread.loss_and_norm)).unzip();
        let values = read(Tensor::cat(scalars, 0))?;
        for (row, pair) in rows.into_iter().zip(values.chunks(2)) {
            let (loss, norm) = (f64::from(pair[0]), f64::from(pair[1]));
            if !(loss.is_finite() && norm.is_finite() || self.is_held) {
                self.hold_on_bad_number(loss, norm, out);
            }
            self.loss_train = Some(loss).filter(|loss| loss.is_finite());
            out.row(with_scalars(row, loss, norm));
        }
        // What was started before those steps' losses has arrived with them.
        self.read_looks(true, out)
    }

    /// Reports the looks at weights and gradients that have come from a GPU, each under its own step; waits for all where `is_last`.
    pub(super) fn read_looks(&mut self, is_last: bool, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let Some(stats) = &mut self.gpu_stats else { return Ok(()) };
        for look in stats.arrived(&self.specs, is_last)? {
            self.report_stats(look.step, look.tensors, look.cost_ms, out);
        }
        Ok(())
    }

    pub(super) fn line(&self, event: Event, state: Option<RunState>) -> Report {
        Report {
            segment: self.segment,
            step: self.step(),
            at_ms: now_ms(),
            author: Author::Lab,
            command_id: None,
            reason: None,
            event,
            state,
        }
    }

    /// Says what happened by itself; what was told before the worker ended is not told twice.
    pub(super) fn tell(&self, out: &mut dyn Reporter, event: Event, state: Option<RunState>) {
        if state.is_some() || !self.replay.knows(&event, self.segment, self.step()) {
            out.report(self.line(event, state));
        }
    }

    /// Counts how often each text has been read, from the first step on: a pure function of the dials.
    pub(super) fn count_epochs(&mut self) {
        self.epochs = vec![0.0; self.plan.mix.len()];
        (0..self.step()).for_each(|step| self.read_texts(step));
    }

    pub(super) fn read_texts(&mut self, step: u64) {
        let tokens = (self.dials.passes.at(step) * self.plan.tokens_per_pass()) as f64;
        let shares = self.dials.mix.at(step);
        for (part, (epochs, share)) in self.epochs.iter_mut().zip(shares).enumerate() {
            *epochs += tokens * share / self.data.train_tokens(part).max(1) as f64;
        }
    }

    /// Whether a bound of the plan is reached; said once, just before the end. What is only repeated has been paid for before.
    pub(super) fn is_budget_used(&self, out: &mut dyn Reporter) -> bool {
        if self.replay.catching_up(self.step()).is_some() {
            return false;
        }
        let budget = &self.plan.recipe.budget;
        let tokens = self.dials.tokens_before(self.step(), self.plan.tokens_per_pass());
        let loss = self.loss_valid.filter(|loss| budget.loss > 0.0 && *loss <= budget.loss);
        let what = if budget.tokens > 0 && tokens >= budget.tokens {
            format!("{tokens} of {} tokens", budget.tokens)
        } else if budget.secs > 0.0 && self.secs >= budget.secs {
            format!("{:.0} of {:.0} seconds at work", self.secs, budget.secs)
        } else if let Some(loss) = loss {
            format!("validation loss {loss:.3}, {} nats were wanted", budget.loss)
        } else {
            return false;
        };
        self.tell(out, Event::BudgetReached { what }, None);
        true
    }
}

pub(super) fn with_scalars(mut row: Row, loss: f64, norm: f64) -> Row {
    row.values.push((name::TRAIN.to_owned(), loss));
    row.values.push((name::GRAD_NORM.to_owned(), norm));
    row
}

/// Resident memory of this process, bytes; 0 where the system does not say.
fn process_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}
