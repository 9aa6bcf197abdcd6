//! Validation losses and samples, on their cadence, on request, and at the end.

use std::time::Instant;

use wire::checkpoint::Cause;
use wire::event::Event;
use wire::run::RunState;
use wire::series::{Row, name};

use super::keeper::Asker;
use super::{Reporter, Training, is_due};
use crate::batch::Batch;
use crate::error::EngineError;
use crate::{evaluate, sample};

/// The last validation reads at most this many windows: all of a small text, a fair part of a large one.
const FINAL_WINDOWS: usize = 4096;

impl Training {
    /// What is due after a step.
    pub(super) fn look_around(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let done = self.step();
        if done == 0 || done >= self.dials.steps || self.is_held {
            return Ok(());
        }
        let mut is_best = false;
        if is_due(done, self.dials.eval_every) {
            let before = self.best_valid;
            let event = self.evaluate_now(out)?;
            self.tell(out, event, None);
            is_best = before.is_some_and(|before| self.best_valid.is_some_and(|best| best < before));
        }
        if is_due(done, self.dials.sample_every) {
            let event = self.sample_now(None, None, None)?;
            self.tell(out, event, None);
        }
        // The cadence comes first: of those taken for being the best only the best is kept.
        self.checkpoint_if_due()?;
        if is_best && self.plan.recipe.keep.best && self.may_keep() {
            self.checkpoint(Cause::Best, Asker::lab())?;
        }
        Ok(())
    }

    /// The loss of the mix as it is now; where there are several texts, of each by itself too.
    pub(super) fn evaluate_now(&mut self, out: &mut dyn Reporter) -> Result<Event, EngineError> {
        let mix = self.dials.mix.at(self.step().saturating_sub(1));
        let batches = self.valid_batches(&mix);
        let event = self.evaluate(batches.into_iter(), out)?;
        if self.plan.mix.len() > 1 {
            self.evaluate_texts(out)?;
        }
        Ok(event)
    }

    pub(super) fn valid_batches(&self, mix: &[f64]) -> Vec<Batch> {
        let (rows, seq) = (self.plan.recipe.batch.rows, self.plan.recipe.model.seq);
        (0..self.plan.recipe.cadence.eval_batches.max(1))
            .map_while(|index| self.data.valid_batch(index, rows, seq, mix))
            .collect()
    }

    pub(super) fn evaluate_texts(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let mut values = vec![];
        for part in 0..self.plan.mix.len() {
            let alone: Vec<f64> = (0..self.plan.mix.len()).map(|other| f64::from(u8::from(other == part))).collect();
            let batches = self.valid_batches(&alone);
            if let Some(loss) = self.loss_of(batches.into_iter())? {
                values.push((format!("{}{}", name::VALID_OF, self.plan.mix[part].corpus), loss));
            }
        }
        out.row(Row { segment: self.segment, step: self.step().saturating_sub(1), values });
        Ok(())
    }

    pub(super) fn loss_of(&mut self, batches: impl Iterator<Item = Batch>) -> Result<Option<f64>, EngineError> {
        let began = Instant::now();
        let model = &self.plan.recipe.model;
        let loss = evaluate::mean_loss(model, &self.weights(), batches, self.cores.as_ref(), &self.device.burn);
        self.secs += began.elapsed().as_secs_f64();
        loss
    }

    pub(super) fn evaluate(
        &mut self,
        batches: impl Iterator<Item = Batch>,
        out: &mut dyn Reporter,
    ) -> Result<Event, EngineError> {
        self.read_unread(out)?;
        let loss = self.loss_of(batches)?;
        let loss_nats = loss.unwrap_or(f64::NAN);
        let bits_per_byte = loss_nats / (self.data.info().bytes_per_token * std::f64::consts::LN_2);
        if !loss_nats.is_finite() {
            return Ok(Event::NonFinite { what: "validation loss".into() });
        }
        // The last trained step is the one whose weights were measured.
        let step = self.step().saturating_sub(1);
        // Hands are of no step: what they do at once is told by the journal alone.
        if !self.has_hands_here() {
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
        let prompt = prompt.unwrap_or(&self.plan.prompt).to_owned();
        let tokenizer = self.data.tokenizer();
        let (ids, _dropped) = tokenizer.encode_known(&prompt);
        let temperature = temperature.unwrap_or(0.8).clamp(0.0, 10.0);
        let draw = sample::Draw {
            tokens: tokens.unwrap_or(self.plan.recipe.cadence.sample_tokens).min(4096),
            temperature,
            seed: self.plan.seed.wrapping_add(self.step()),
            eot: tokenizer.eot(),
        };
        let added = sample::draw(&self.plan.recipe.model, &self.weights(), &ids, draw, &self.device.burn)?;
        let text = tokenizer.decode(&added);
        self.secs += began.elapsed().as_secs_f64();
        Ok(Event::Sampled { prompt, text, temperature })
    }

    /// The last validation takes all held-out text; the last sample shows what was learned.
    pub(super) fn finish(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let (rows, seq) = (self.plan.recipe.batch.rows, self.plan.recipe.model.seq);
        let all: Vec<_> = self.data.valid_all(rows, seq).take(FINAL_WINDOWS.div_ceil(rows)).collect();
        let event = self.evaluate(all.into_iter(), out)?;
        self.tell(out, event, None);
        if self.dials.sample_every > 0 {
            let event = self.sample_now(None, None, None)?;
            self.tell(out, event, None);
        }
        // The last state is kept at whatever step it is.
        self.keep_looks(out)?;
        self.keep_the_end(out)?;
        self.tell(out, Event::Finished, Some(RunState::Finished));
        Ok(())
    }
}
