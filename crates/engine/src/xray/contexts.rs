//! The held-out contexts that make one unit fire most.

use std::cell::RefCell;

use burn::tensor::Tensor;
use wire::edit::Part;
use wire::sight::{Context, Sight};

use super::Eye;
use crate::decoder::{Decoder, Point, Scope};
use crate::device::read;
use crate::error::EngineError;
use crate::gradient;
use crate::look_error::LookError;
use crate::reduce;

/// Tokens read to find them, at most.
const MOST_READ: usize = 4096;
/// Contexts shown.
const SHOWN: usize = 8;

/// Keeps the activations of one unit.
struct Electrode {
    layer: usize,
    unit: usize,
    heard: RefCell<Option<Tensor<3>>>,
}

impl Scope for Electrode {
    fn see(&self, point: Point, x: Tensor<3>) -> Tensor<3> {
        if point == Point::Units(self.layer) {
            *self.heard.borrow_mut() = Some(x.clone().slice_dim(2, self.unit..self.unit + 1)); // [windows, seq, 1]
        }
        x
    }
}

pub(super) fn see(eye: &Eye<'_>, layer: u32, unit: u32) -> Result<Sight, EngineError> {
    eye.model().part(Part::Unit { layer, unit }).map_err(LookError::from)?;
    let (layer, unit) = (layer as usize, unit as usize);
    let (seq, shares) = (eye.most_tokens(), eye.shares());
    let data = eye.scene.data;
    let windows = data.held_windows(seq, &shares).min(MOST_READ / seq).max(1);
    let Some(batch) = data.valid_batch(0, windows, seq, &shares) else {
        return Ok(Sight::Unit { contexts: vec![], histogram: reduce::histogram(&[]), read: 0 });
    };
    let electrode = Electrode { layer, unit, heard: RefCell::default() };
    let tokens = gradient::tokens(&batch.inputs, batch.rows, seq, &eye.scene.device.burn);
    Decoder::watched(eye.model(), &eye.weights, &electrode).residual(tokens, None);
    let heard = electrode.heard.into_inner().map(|heard| read(heard.reshape([batch.rows * seq])));
    let activations = heard.transpose()?.unwrap_or_default();

    let mut contexts: Vec<Context> = (0u32..)
        .zip(activations.chunks(seq).zip(batch.inputs.chunks(seq)))
        .map(|(window, (activations, tokens))| {
            let size = |place: &usize| activations[*place].abs();
            let at = (0..seq).max_by(|a, b| size(a).total_cmp(&size(b)).then(b.cmp(a))).unwrap_or(0);
            let tokens: Vec<u32> = tokens.iter().map(|token| *token as u32).collect();
            Context { window, tokens: eye.pieces(&tokens), activations: activations.to_vec(), at: at as u32 }
        })
        .collect();
    let strength = |context: &Context| context.activations[context.at as usize].abs();
    contexts.sort_by(|a, b| strength(b).total_cmp(&strength(a)).then(a.window.cmp(&b.window)));
    contexts.truncate(SHOWN);
    Ok(Sight::Unit { contexts, histogram: reduce::histogram(&activations), read: activations.len() as u64 })
}
