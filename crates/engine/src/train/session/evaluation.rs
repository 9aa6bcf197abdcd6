//! Evaluations and samples: at their intervals, on request, and at the end of the run.

use std::time::Instant;

use wire::control::checkpoint::Cause;
use wire::control::event::Event;
use wire::hyperparameters::recipe::MAX_SAMPLE_TOKENS;
use wire::run::RunState;
use wire::series::{Row, name};

use super::checkpoint_writer::Requester;
use super::{Reporter, Session};
use crate::data::batch::Batch;
use crate::error::EngineError;
use crate::model::{evaluate, sample};
use crate::train::trainer::is_due;

/// Maximum number of windows of the last evaluation: the whole validation split of a small dataset, a part of a large one.
const FINAL_WINDOWS: usize = 4096;

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
            is_best = before.is_none_or(|before| self.best_valid.is_some_and(|best| best < before));
        }
        if is_due(done, self.trainer.live.intervals.sample_every) {
            let event = self.sample_now(None, None, None)?;
            self.emit(out, event, None);
        }
        // The periodic checkpoint is first: of the checkpoints for the lowest loss only the best is kept.
        self.checkpoint_if_due()?;
        if is_best && self.trainer.plan.recipe.retention.best && self.may_checkpoint() {
            self.checkpoint(Cause::Best, Requester::system())?;
        }
        Ok(())
    }

    /// Evaluates the loss under the current mix and, with several datasets, the loss of each.
    pub(super) fn evaluate_now(&mut self, out: &mut dyn Reporter) -> Result<Event, EngineError> {
        let mix = self.trainer.live.mix.at(self.steps().saturating_sub(1));
        let batches = self.valid_batches(&mix);
        let event = self.evaluate(batches, out)?;
        if self.trainer.plan.mix.len() > 1 {
            self.evaluate_datasets(out)?;
        }
        Ok(event)
    }

    pub(super) fn valid_batches(&self, mix: &[f64]) -> Vec<Batch> {
        let (size, seq) = (self.trainer.plan.recipe.batch.size, self.trainer.plan.recipe.model.seq);
        (0..self.trainer.plan.recipe.intervals.eval_batches.max(1))
            .map_while(|index| self.trainer.data.valid_batch(index, size, seq, mix))
            .collect()
    }

    pub(super) fn evaluate_datasets(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let mut values = vec![];
        for part in 0..self.trainer.plan.mix.len() {
            let alone: Vec<f64> =
                (0..self.trainer.plan.mix.len()).map(|other| f64::from(u8::from(other == part))).collect();
            let batches = self.valid_batches(&alone);
            if let Some(loss) = self.loss_of(batches, out)? {
                values.push((format!("{}{}", name::VALID_OF, self.trainer.plan.mix[part].corpus), loss));
            }
        }
        out.row(Row { segment: self.segment, step: self.steps().saturating_sub(1), values });
        Ok(())
    }

    /// Mean loss over batches. Reports how many are done: a large model takes minutes for the last evaluation.
    pub(super) fn loss_of(&mut self, batches: Vec<Batch>, out: &mut dyn Reporter) -> Result<Option<f64>, EngineError> {
        let began = Instant::now();
        let count = batches.len();
        let counted = (1..).zip(batches).map(|(number, batch)| {
            out.activity(Some(format!("evaluating: batch {number} of {count}")));
            batch
        });
        let model = &self.trainer.plan.recipe.model;
        let loss = evaluate::mean_loss(
            model,
            &self.trainer.weights(),
            counted,
            self.trainer.replicas.as_ref(),
            &self.trainer.device.burn,
        );
        out.activity(None);
        self.secs += began.elapsed().as_secs_f64();
        loss
    }

    pub(super) fn evaluate(&mut self, batches: Vec<Batch>, out: &mut dyn Reporter) -> Result<Event, EngineError> {
        self.read_steps(out)?;
        let loss = self.loss_of(batches, out)?;
        let loss_nats = loss.unwrap_or(f64::NAN);
        let bits_per_byte = loss_nats / (self.trainer.data.info().bytes_per_token * std::f64::consts::LN_2);
        if !loss_nats.is_finite() {
            return Ok(Event::NonFinite { what: "validation loss".into() });
        }
        // The series counts the step whose update gave these weights.
        let step = self.steps().saturating_sub(1);
        // A weight edit is not a step: only the event reports the loss right after it.
        if !self.is_edited_here() {
            out.row(Row { segment: self.segment, step, values: vec![(name::VALID.to_owned(), loss_nats)] });
        }
        self.loss_valid = Some(loss_nats);
        self.best_valid = Some(self.best_valid.map_or(loss_nats, |best| best.min(loss_nats)));
        Ok(Event::Evaluated { loss_nats, bits_per_byte })
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

    /// Ends the run: an evaluation of the whole validation split, a sample, a snapshot, and a checkpoint.
    pub(super) fn finish(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let (size, seq) = (self.trainer.plan.recipe.batch.size, self.trainer.plan.recipe.model.seq);
        let all = self.trainer.data.valid_all(size, seq).take(FINAL_WINDOWS.div_ceil(size)).collect();
        let event = self.evaluate(all, out)?;
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
