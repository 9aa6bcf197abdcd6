//! Evaluations and samples: at their intervals, on request, and at the end of the run.

use std::time::Instant;

use wire::control::checkpoint::Cause;
use wire::control::command::{Command, ScheduleChange};
use wire::control::event::Event;
use wire::evaluation::{DatasetLosses, WindowLosses, most_windows};
use wire::hyperparameters::mix::MixPoint;
use wire::hyperparameters::recipe::{MAX_SAMPLE_TOKENS, MixingRule};
use wire::run::RunState;
use wire::series::{Row, name};
use wire::transport::link::Report;

use super::checkpoint_writer::Requester;
use super::{Reporter, Session};
use crate::data::batch::{Batch, in_fixed_order};
use crate::data::online_mixing;
use crate::error::EngineError;
use crate::model::evaluate::{self, Losses};
use crate::model::sample;
use crate::train::trainer::is_due;

/// Temperature of a sample if the command gives none.
const DEFAULT_TEMPERATURE: f64 = 0.8;

impl Session {
    /// Runs the evaluation, sample and checkpoint that are due after a step.
    pub(super) fn after_step(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let done = self.steps();
        if done == 0 || done >= self.trainer.live.steps || self.is_paused {
            return Ok(());
        }
        let mut is_best = false;
        if is_due(done, self.trainer.live.intervals.eval_every) {
            let before = self.best_valid;
            let event = self.evaluate_now(out)?;
            self.emit(out, event, None);
            self.mix_online(out);
            is_best = before.is_none_or(|before| self.best_valid.is_some_and(|best| best < before));
        }
        if is_due(done, self.trainer.live.intervals.sample_every) {
            let event = self.sample_now(None, None, None)?;
            self.emit(out, event, None);
        }
        // The periodic checkpoint is first: of the checkpoints for the lowest loss only the best is kept.
        self.checkpoint_if_due(out)?;
        if is_best && self.trainer.plan.recipe.retention.best && self.may_checkpoint() {
            self.checkpoint(Cause::Best, Requester::system())?;
        }
        Ok(())
    }

    /// Evaluates the loss under the current mix and, with several datasets, the loss of each.
    pub(super) fn evaluate_now(&mut self, out: &mut dyn Reporter) -> Result<Event, EngineError> {
        self.read_steps(out)?;
        let mix = self.trainer.live.mix.at(self.steps().saturating_sub(1));
        let losses = self.losses_of(self.valid_batches(&mix), out)?;
        let datasets = match self.trainer.plan.mix.len() {
            1 => vec![self.dataset_losses(0, losses.windows.clone(), None)],
            _ => self.evaluate_datasets(out)?,
        };
        Ok(self.evaluated(losses.mean(), datasets, false, out))
    }

    /// Online data mixing: the weights of the datasets from this step on, by the losses of the evaluation, as a change of the journal.
    fn mix_online(&mut self, out: &mut dyn Reporter) {
        let (mixing, step) = (&self.trainer.plan.recipe.mixing, self.steps());
        // A change that was reported before the worker ended is in the journal, which is replayed.
        if mixing.rule == MixingRule::Static || self.replay.changes_mix_at(step) {
            return;
        }
        let weights = self.trainer.live.mix.at(step);
        let Some(weights) = online_mixing::next_weights(&weights, &self.valid_by_dataset, mixing) else { return };
        let schedule = ScheduleChange::Mix { points: vec![MixPoint { step, weights }] };
        let command = Command::SetSchedule { schedule, reason: None };
        if let Ok(Some(event)) = self.trainer.live.change(&command, step) {
            self.apply_change(&event, step);
            let reason = Some("Online data mixing, by the losses of this evaluation".to_owned());
            out.report(Report { reason, ..self.report(event, None) });
        }
    }

    fn valid_batches(&self, mix: &[f64]) -> Vec<Batch> {
        let (size, seq) = (self.trainer.plan.recipe.batch.size, self.trainer.plan.recipe.model.seq);
        (0..self.trainer.plan.recipe.intervals.eval_batches.max(1))
            .map_while(|index| self.trainer.data.valid_batch(index, size, seq, mix))
            .collect()
    }

    /// Evaluates each dataset alone, and reports its loss.
    fn evaluate_datasets(&mut self, out: &mut dyn Reporter) -> Result<Vec<DatasetLosses>, EngineError> {
        let (mut means, mut datasets) = (vec![], vec![]);
        for part in 0..self.trainer.plan.mix.len() {
            let alone: Vec<f64> =
                (0..self.trainer.plan.mix.len()).map(|other| f64::from(u8::from(other == part))).collect();
            let losses = self.losses_of(self.valid_batches(&alone), out)?;
            means.push(losses.mean());
            datasets.push(self.dataset_losses(part, losses.windows, None));
        }
        self.report_datasets(&means, out);
        self.valid_by_dataset = means.into_iter().map(|mean| mean.unwrap_or(f64::NAN)).collect();
        Ok(datasets)
    }

    /// Reports the loss of each of several datasets.
    fn report_datasets(&self, means: &[Option<f64>], out: &mut dyn Reporter) {
        let parts = self.trainer.plan.mix.iter().zip(means);
        let named = parts.filter_map(|(part, mean)| Some((format!("{}{}", name::VALID_OF, part.corpus), (*mean)?)));
        out.row(Row { segment: self.segment, step: self.steps().saturating_sub(1), values: named.collect() });
    }

    fn dataset_losses(&self, part: usize, mut nats: Vec<f32>, whole: Option<f64>) -> DatasetLosses {
        nats.truncate(most_windows(&self.splits()));
        DatasetLosses { split: self.slots(part) as u64, nats, whole }
    }

    /// Whole validation windows of each dataset.
    fn splits(&self) -> Vec<usize> {
        (0..self.trainer.plan.mix.len()).map(|part| self.slots(part)).collect()
    }

    fn slots(&self, part: usize) -> usize {
        self.trainer.data.valid_slots(part, self.trainer.plan.recipe.model.seq)
    }

    /// The losses of batches. Reports how many are done: a large model takes minutes for the last evaluation.
    fn losses_of(&mut self, batches: Vec<Batch>, out: &mut dyn Reporter) -> Result<Losses, EngineError> {
        let began = Instant::now();
        let count = batches.len();
        let counted = (1..).zip(batches).map(|(number, batch)| {
            out.activity(Some(format!("evaluating: batch {number} of {count}")));
            batch
        });
        let model = &self.trainer.plan.recipe.model;
        let losses = evaluate::losses(
            model,
            &self.trainer.weights(),
            counted,
            self.trainer.replicas.as_ref(),
            &self.trainer.device.burn,
        );
        out.activity(None);
        self.secs += began.elapsed().as_secs_f64();
        losses
    }

    /// Records a validation loss and returns its event.
    fn evaluated(
        &mut self,
        loss: Option<f64>,
        datasets: Vec<DatasetLosses>,
        is_last: bool,
        out: &mut dyn Reporter,
    ) -> Event {
        let loss_nats = loss.unwrap_or(f64::NAN);
        let bits_per_byte = loss_nats / (self.trainer.data.info().bytes_per_token * std::f64::consts::LN_2);
        if !loss_nats.is_finite() {
            return Event::NonFinite { what: "validation loss".into() };
        }
        // The series counts the step whose update gave these weights.
        let step = self.steps().saturating_sub(1);
        // A weight edit is not a step: only the event reports the loss right after it.
        let windows = (!self.is_edited_here()).then(|| {
            out.row(Row { segment: self.segment, step, values: vec![(name::VALID.to_owned(), loss_nats)] });
            let seq = self.trainer.plan.recipe.model.seq as u32;
            Box::new(WindowLosses { seq, is_last, datasets })
        });
        self.measure_metrics(out);
        self.loss_valid = Some(loss_nats);
        self.best_valid = Some(self.best_valid.map_or(loss_nats, |best| best.min(loss_nats)));
        let is_finite = |windows: &WindowLosses| {
            windows.datasets.iter().flat_map(|dataset| &dataset.nats).all(|nats| nats.is_finite())
        };
        Event::Evaluated { loss_nats, bits_per_byte, windows: windows.filter(|windows| is_finite(windows)) }
    }

    /// The last evaluation: the whole validation split of small datasets, and as many windows of the fixed order of large ones. Of a mix, the
    /// mean over the datasets by their weights in it, as in the other evaluations.
    fn evaluate_last(&mut self, out: &mut dyn Reporter) -> Result<Event, EngineError> {
        self.read_steps(out)?;
        let (size, seq) = (self.trainer.plan.recipe.batch.size, self.trainer.plan.recipe.model.seq);
        let periodic = size.saturating_mul(self.trainer.plan.recipe.intervals.eval_batches.max(1) as usize);
        let splits = self.splits();
        let (mut means, mut datasets) = (vec![], vec![]);
        for (part, split) in splits.iter().copied().enumerate() {
            let count = split.min(most_windows(&splits).max(periodic));
            let batches = self.trainer.data.valid_part(part, count, size, seq).collect();
            let mut losses = self.losses_of(batches, out)?;
            means.push(losses.mean());
            let whole = losses.mean().filter(|_| count == split);
            // The rest of the stream is no window of the fixed order.
            losses.windows.truncate(count);
            datasets.push(self.dataset_losses(part, in_fixed_order(&losses.windows, split), whole));
        }
        if means.len() > 1 {
            self.report_datasets(&means, out);
        }
        let mix = self.trainer.live.mix.at(self.steps().saturating_sub(1));
        Ok(self.evaluated(mean_of_mix(&means, &mix), datasets, true, out))
    }

    pub(super) fn sample_now(
        &mut self,
        prompt: Option<&str>,
        tokens: Option<u32>,
        temperature: Option<f64>,
    ) -> Result<Event, EngineError> {
        let began = Instant::now();
        let prompt = prompt.unwrap_or(&self.trainer.plan.prompt).to_owned();
        let tokenizer = self.trainer.data.tokenizer();
        let (ids, _dropped) = tokenizer.encode_prompt(&prompt);
        let temperature = temperature.unwrap_or(DEFAULT_TEMPERATURE).clamp(0.0, 10.0);
        let args = sample::SampleArgs {
            // A plan of an earlier version may have a larger number.
            tokens: tokens.unwrap_or(self.trainer.plan.recipe.intervals.sample_tokens).min(MAX_SAMPLE_TOKENS),
            temperature,
            seed: self.trainer.plan.seed.wrapping_add(self.steps()),
            start: tokenizer.start(),
            ends: tokenizer.ends(),
        };
        let added = sample::sample(
            &self.trainer.plan.recipe.model,
            &self.trainer.weights(),
            &ids,
            args,
            &self.trainer.device.burn,
        )?;
        let text = tokenizer.decode(&added);
        self.secs += began.elapsed().as_secs_f64();
        Ok(Event::Sampled { prompt, text, temperature })
    }

    /// Ends the run: the last evaluation, a sample, a snapshot, and a checkpoint.
    pub(super) fn finish(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let event = self.evaluate_last(out)?;
        self.emit(out, event, None);
        if self.trainer.live.intervals.sample_every > 0 {
            let event = self.sample_now(None, None, None)?;
            self.emit(out, event, None);
        }
        // The last state always gets a snapshot.
        self.take_snapshot(out)?;
        self.save_last_checkpoint(out)?;
        self.emit(out, Event::Finished, Some(RunState::Finished));
        Ok(())
    }
}

/// The mean of the losses of datasets by their weights; `None` if none of them has both.
fn mean_of_mix(losses: &[Option<f64>], weights: &[f64]) -> Option<f64> {
    let both = losses.iter().zip(weights).filter_map(|(loss, weight)| Some(((*loss)?, *weight)));
    let counted: Vec<(f64, f64)> = both.filter(|(_, weight)| weight.is_finite() && *weight > 0.0).collect();
    match counted[..] {
        [] => None,
        [(loss, _)] => Some(loss),
        _ => {
            let total: f64 = counted.iter().map(|(_, weight)| weight).sum();
            Some(counted.iter().map(|(loss, weight)| loss * weight).sum::<f64>() / total)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_a_mix_weighs_the_datasets_as_the_mix_does() {
        assert_eq!(mean_of_mix(&[Some(2.0), Some(4.0)], &[3.0, 1.0]), Some(2.5));
        assert_eq!(mean_of_mix(&[Some(2.1), Some(4.0)], &[0.7, 0.0]), Some(2.1));
        assert_eq!(mean_of_mix(&[None, Some(4.0)], &[3.0, 1.0]), Some(4.0), "a dataset without validation text");
        assert_eq!(mean_of_mix(&[None, Some(4.0)], &[3.0, 0.0]), None);
    }
}
