//! Hands inside: parts of the model made louder, softer or silent, and what that changes. The weights stay as they are.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use wire::edit::{Edit, Part};
use wire::look::Passage;
use wire::sight::Sight;

use super::Eye;
use super::passage::{Read, mean};
use crate::decoder::{Decoder, Point, Scope};
use crate::device::read;
use crate::error::EngineError;
use crate::gradient;
use crate::look_error::LookError;
use crate::sample::{self, Cut, Draw, Reader};

/// Tokens that the model goes on with.
const SAID: usize = 32;
/// Held-out tokens that the loss is measured on, at most.
const HELD_TOKENS: usize = 2048;

pub(super) fn see(eye: &Eye<'_>, passage: &Passage, edits: &[Edit]) -> Result<Sight, EngineError> {
    let text = super::passage::read(eye, passage)?;
    edits.iter().try_for_each(|edit| check(eye, edit.part, text.tokens.len()))?;
    let hands = Hands::new(eye, edits, 0);
    let (before, after) = (losses(eye, &text, &Off)?, losses(eye, &text, &hands)?);
    let (valid_before, valid_after) = (held_loss(eye, &Off)?, held_loss(eye, &hands)?);
    // What is said goes on from the newest tokens that leave room for it in the context.
    let room = SAID.min(eye.model().seq / 2).max(1);
    let from = (text.tokens.len() + room).saturating_sub(eye.model().seq);
    let (said_before, said_after) = (
        said(eye, &text.tokens[from..], room, &Off)?,
        said(eye, &text.tokens[from..], room, &Hands::new(eye, edits, from))?,
    );
    let tokens = eye.pieces(&text.tokens);
    Ok(Sight::Hands { tokens, before, after, valid_before, valid_after, said_before, said_after })
}

fn check(eye: &Eye<'_>, part: Part, tokens: usize) -> Result<(), LookError> {
    match part {
        Part::Position { at } if at as usize >= tokens => Err(LookError::NoPlace { at, tokens }),
        part => Ok(eye.model().part(part)?),
    }
}

/// No hands.
struct Off;

impl Scope for Off {
    fn see(&self, _point: Point, x: Tensor<3>) -> Tensor<3> {
        x
    }
}

/// Factors at the points of a pass.
struct Hands {
    /// Broadcast over what stands at a point: `[1, 1, 1]` or `[1, 1, width]`.
    factors: HashMap<Point, Tensor<3>>,
    /// Of the tokens' embeddings, place by place, as far as any is changed.
    places: Vec<f32>,
    device: Device,
}

impl Hands {
    /// Hands on a text of which the first tokens are left out.
    fn new(eye: &Eye<'_>, edits: &[Edit], left_out: usize) -> Self {
        let (model, device) = (eye.model(), eye.scene.device.burn.clone());
        let (mut rows, mut places) = (HashMap::<Point, Vec<f32>>::new(), vec![]);
        for Edit { part, factor } in edits {
            let (point, width, range) = match *part {
                Part::Attention { layer } => (Point::Attention(layer as usize), 1, 0..1),
                Part::Mlp { layer } => (Point::Mlp(layer as usize), 1, 0..1),
                Part::Head { layer, head } => {
                    let (from, width) = (head as usize * model.d_head(), model.d_head());
                    (Point::Heads(layer as usize), model.d_model, from..from + width)
                }
                Part::Unit { layer, unit } => {
                    (Point::Units(layer as usize), model.d_ff, unit as usize..unit as usize + 1)
                }
                Part::Position { at } => {
                    let Some(at) = (at as usize).checked_sub(left_out) else { continue };
                    places.resize(places.len().max(at + 1), 1.0);
                    places[at] *= factor;
                    continue;
                }
            };
            let row = rows.entry(point).or_insert_with(|| vec![1.0; width]);
            row[range].iter_mut().for_each(|value| *value *= factor);
        }
        let put = |(point, row): (Point, Vec<f32>)| {
            let width = row.len();
            (point, Tensor::from_data(TensorData::new(row, [1, 1, width]), &device))
        };
        Self { factors: rows.into_iter().map(put).collect(), places, device }
    }

    /// Factors of the tokens from a place on.
    fn tokens(&self, first: usize, x: Tensor<3>) -> Tensor<3> {
        if first >= self.places.len() {
            return x;
        }
        let seq = x.dims()[1];
        let factors: Vec<f32> = (first..first + seq).map(|at| self.places.get(at).copied().unwrap_or(1.0)).collect();
        x * Tensor::<3>::from_data(TensorData::new(factors, [1, seq, 1]), &self.device)
    }
}

impl Scope for Hands {
    fn see(&self, point: Point, x: Tensor<3>) -> Tensor<3> {
        match (point, self.factors.get(&point)) {
            (Point::Tokens(first), _) => self.tokens(first, x),
            (_, Some(factor)) => x * factor.clone(),
            (_, None) => x,
        }
    }
}

fn losses(eye: &Eye<'_>, text: &Read, scope: &dyn Scope) -> Result<Vec<f32>, EngineError> {
    let decoder = Decoder::watched(eye.model(), &eye.weights, scope);
    let targets = text.targets(eye).reshape([1, text.tokens.len()]);
    Ok(text.known(read(decoder.token_nats(text.rows(eye), targets))?))
}

/// Mean loss over the first held-out windows.
fn held_loss(eye: &Eye<'_>, scope: &dyn Scope) -> Result<f32, EngineError> {
    let (data, seq, shares) = (eye.scene.data, eye.most_tokens(), eye.shares());
    let windows = data.held_windows(seq, &shares).min(HELD_TOKENS / seq).max(1);
    let Some(batch) = data.valid_batch(0, windows, seq, &shares) else { return Ok(f32::NAN) };
    let tokens = |ids: &[i32]| gradient::tokens(ids, batch.rows, batch.seq, &eye.scene.device.burn);
    let decoder = Decoder::watched(eye.model(), &eye.weights, scope);
    Ok(mean(&read(decoder.token_nats(tokens(&batch.inputs), tokens(&batch.targets)))?))
}

/// The likeliest token each time, until the model ends its text.
fn said(eye: &Eye<'_>, tokens: &[u32], room: usize, scope: &dyn Scope) -> Result<String, EngineError> {
    let (model, tokenizer) = (eye.model(), eye.scene.data.tokenizer());
    let eot = tokenizer.eot();
    let reader = Reader::new(model, &eye.weights, tokens, eot, &eye.scene.device.burn);
    let mut reader = reader.watched(model, &eye.weights, scope);
    let draw = Draw { tokens: room as u32, temperature: 0.0, seed: 0, eot };
    let mut said = vec![];
    sample::generate(&mut reader, draw, Cut::NONE, |drawn| {
        said.extend(Some(drawn.token).filter(|token| Some(*token) != eot));
        true
    })?;
    Ok(tokenizer.decode(&said))
}
