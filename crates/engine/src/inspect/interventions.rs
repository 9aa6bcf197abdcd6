//! The effect of interventions: components of the model scaled or ablated in a forward pass, without a change of the weights.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use wire::control::intervention::{Component, Intervention};
use wire::inspect::request::{INTERVENTION_TOKENS, InspectionText};
use wire::inspect::result::InspectionResult;

use super::Inspector;
use super::text::{TokenizedText, mean};
use crate::device::read;
use crate::error::{EngineError, InspectError};
use crate::model::decoder::Decoder;
use crate::model::gradient;
use crate::model::hook::{Hook, HookPoint};
use crate::model::sample::{self, SampleArgs, TokenContext, Truncation};

const COMPLETION_TOKENS: usize = 32;

pub(super) fn inspect(
    inspector: &Inspector<'_>,
    text: &InspectionText,
    interventions: &[Intervention],
) -> Result<InspectionResult, EngineError> {
    let text = super::text::read(inspector, text)?;
    interventions.iter().try_for_each(|one| check(inspector, one.component, text.tokens.len()))?;
    let factors = Factors::new(inspector, interventions, 0);
    let (before, after) = (losses(inspector, &text, &NoHook)?, losses(inspector, &text, &factors)?);
    let (valid_before, valid_after) = (valid_loss(inspector, &NoHook)?, valid_loss(inspector, &factors)?);
    // The completion continues the last tokens of the text, as many as leave enough of the context for it.
    let room = COMPLETION_TOKENS.min(inspector.model().seq / 2).max(1);
    let from = (text.tokens.len() + room).saturating_sub(inspector.model().seq);
    let (completion_before, completion_after) = (
        complete(inspector, &text.tokens[from..], room, &NoHook)?,
        complete(inspector, &text.tokens[from..], room, &Factors::new(inspector, interventions, from))?,
    );
    let tokens = inspector.pieces(&text.tokens);
    Ok(InspectionResult::Interventions {
        tokens,
        before,
        after,
        valid_before,
        valid_after,
        completion_before,
        completion_after,
    })
}

fn check(inspector: &Inspector<'_>, component: Component, tokens: usize) -> Result<(), InspectError> {
    match component {
        Component::Position { at } if at as usize >= tokens => Err(InspectError::NoPosition { at, tokens }),
        component => Ok(inspector.model().component(component)?),
    }
}

/// A hook that changes nothing.
struct NoHook;

impl Hook for NoHook {
    fn activation(&self, _point: HookPoint, x: Tensor<3>) -> Tensor<3> {
        x
    }
}

/// The factors of interventions at the hook points of a pass.
struct Factors {
    /// Broadcast over the activation: `[1, 1, 1]` or `[1, 1, width]`.
    factors: HashMap<HookPoint, Tensor<3>>,
    /// Factors of the token embeddings by position, up to the last one that is changed.
    positions: Vec<f32>,
    device: Device,
}

impl Factors {
    /// The factors for a text without its first `left_out` tokens.
    fn new(inspector: &Inspector<'_>, interventions: &[Intervention], left_out: usize) -> Self {
        let (model, device) = (inspector.model(), inspector.subject.device.burn.clone());
        let (mut rows, mut positions) = (HashMap::<HookPoint, Vec<f32>>::new(), vec![]);
        for Intervention { component, factor } in interventions {
            let (point, width, range) = match *component {
                Component::Attention { layer } => (HookPoint::AttnOut(layer as usize), 1, 0..1),
                Component::Mlp { layer } => (HookPoint::MlpOut(layer as usize), 1, 0..1),
                Component::Head { layer, head } => {
                    let (from, width) = (head as usize * model.d_head(), model.d_head());
                    (HookPoint::Z(layer as usize), model.d_model, from..from + width)
                }
                Component::Neuron { layer, neuron } => {
                    (HookPoint::MlpPost(layer as usize), model.d_ff, neuron as usize..neuron as usize + 1)
                }
                Component::Position { at } => {
                    let Some(at) = (at as usize).checked_sub(left_out) else { continue };
                    positions.resize(positions.len().max(at + 1), 1.0);
                    positions[at] *= factor;
                    continue;
                }
            };
            let row = rows.entry(point).or_insert_with(|| vec![1.0; width]);
            row[range].iter_mut().for_each(|value| *value *= factor);
        }
        let upload = |(point, row): (HookPoint, Vec<f32>)| {
            let width = row.len();
            (point, Tensor::from_data(TensorData::new(row, [1, 1, width]), &device))
        };
        Self { factors: rows.into_iter().map(upload).collect(), positions, device }
    }

    /// Scales the token embeddings from a position on.
    fn embeddings(&self, first: usize, x: Tensor<3>) -> Tensor<3> {
        if first >= self.positions.len() {
            return x;
        }
        let seq = x.dims()[1];
        let factors: Vec<f32> = (first..first + seq).map(|at| self.positions.get(at).copied().unwrap_or(1.0)).collect();
        x * Tensor::<3>::from_data(TensorData::new(factors, [1, seq, 1]), &self.device)
    }
}

impl Hook for Factors {
    fn activation(&self, point: HookPoint, x: Tensor<3>) -> Tensor<3> {
        match (point, self.factors.get(&point)) {
            (HookPoint::Embed { first }, _) => self.embeddings(first, x),
            (_, Some(factor)) => x * factor.clone(),
            (_, None) => x,
        }
    }
}

fn losses(inspector: &Inspector<'_>, text: &TokenizedText, hook: &dyn Hook) -> Result<Vec<f32>, EngineError> {
    let decoder = Decoder::hooked(inspector.model(), &inspector.weights, hook);
    let targets = text.targets(inspector).reshape([1, text.tokens.len()]);
    Ok(text.known(read(decoder.token_nats(text.input(inspector), targets))?))
}

/// Mean loss over the first validation windows.
fn valid_loss(inspector: &Inspector<'_>, hook: &dyn Hook) -> Result<f32, EngineError> {
    let (data, seq, mix) = (inspector.subject.data, inspector.max_tokens(), inspector.mix());
    let windows = data.valid_window_count(seq, &mix).min(INTERVENTION_TOKENS / seq).max(1);
    let Some(batch) = data.valid_batch(0, windows, seq, &mix) else { return Ok(f32::NAN) };
    let tokens = |ids: &[i32]| gradient::tokens(ids, batch.size, batch.seq, &inspector.subject.device.burn);
    let decoder = Decoder::hooked(inspector.model(), &inspector.weights, hook);
    Ok(mean(&read(decoder.token_nats(tokens(&batch.inputs), tokens(&batch.targets)))?))
}

/// Greedy completion, until the end-of-text token.
fn complete(inspector: &Inspector<'_>, tokens: &[u32], room: usize, hook: &dyn Hook) -> Result<String, EngineError> {
    let (model, tokenizer) = (inspector.model(), inspector.subject.data.tokenizer());
    let (start, ends) = (tokenizer.start(), tokenizer.ends());
    let context = TokenContext::new(model, &inspector.weights, tokens, start, &inspector.subject.device.burn);
    let mut context = context.hooked(model, &inspector.weights, hook);
    let args = SampleArgs { tokens: room as u32, temperature: 0.0, seed: 0, start, ends };
    let mut completion = vec![];
    sample::generate(&mut context, args, Truncation::NONE, |sampled| {
        completion.extend(Some(sampled.token).filter(|token| !ends.contains(token)));
        true
    })?;
    Ok(tokenizer.decode(&completion))
}
