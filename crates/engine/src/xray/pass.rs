//! One pass over a text, with all that stood at its points: handles to small tensors, where they lie.

use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::{Tensor, activation};

use super::Eye;
use super::passage::Read;
use crate::decoder::{Decoder, Point, Scope};
use crate::device::read;
use crate::error::EngineError;

/// What a pass left.
pub(super) struct Pass {
    /// The text.
    pub(super) text: Read,
    points: HashMap<Point, Tensor<2>>,
    attention: Vec<Attention>,
}

/// A block's attention over the text.
pub(super) struct Attention {
    /// `q.k / sqrt(d_head)` of all pairs, allowed or not: `[heads, seq, seq]`.
    pub(super) logits: Tensor<3>,
    /// Shares, 0 where a key comes later: `[heads, seq, seq]`.
    pub(super) shares: Tensor<3>,
}

/// Keeps what it is shown.
#[derive(Default)]
struct Recorder {
    points: RefCell<HashMap<Point, Tensor<2>>>,
    attention: RefCell<Vec<Attention>>,
}

impl Scope for Recorder {
    fn see(&self, point: Point, x: Tensor<3>) -> Tensor<3> {
        self.points.borrow_mut().insert(point, x.clone().squeeze_dim::<2>(0));
        x
    }

    fn see_attention(&self, _layer: usize, logits: Tensor<4>, shares: Tensor<4>) {
        self.attention
            .borrow_mut()
            .push(Attention { logits: logits.squeeze_dim::<3>(0), shares: shares.squeeze_dim::<3>(0) });
    }
}

impl Pass {
    /// Reads a text.
    pub(super) fn over(eye: &Eye<'_>, text: Read) -> Self {
        let recorder = Recorder::default();
        Decoder::watched(eye.model(), &eye.weights, &recorder).residual(text.rows(eye), None);
        Self { text, points: recorder.points.into_inner(), attention: recorder.attention.into_inner() }
    }

    /// What stood at a point.
    ///
    /// # Shapes
    /// `[seq, width]`.
    pub(super) fn at(&self, point: Point) -> Tensor<2> {
        self.points[&point].clone() // the decoder shows every point of every block that the model has
    }

    /// A block's attention.
    pub(super) fn attention(&self, layer: usize) -> &Attention {
        &self.attention[layer] // likewise
    }

    /// What the model says at each place.
    ///
    /// # Shapes
    /// `[seq, vocab]`.
    pub(super) fn logits(&self, eye: &Eye<'_>) -> Tensor<2> {
        Decoder::new(eye.model(), &eye.weights).head(self.at(Point::Norm))
    }

    /// Loss of the next token at each place, nats; NaN where there is none.
    pub(super) fn losses(&self, eye: &Eye<'_>, logits: Tensor<2>) -> Result<Vec<f32>, EngineError> {
        let [seq, _] = logits.dims();
        let nats = -activation::log_softmax(logits, 1).gather(1, self.text.targets(eye)); // [seq, 1]
        Ok(self.text.known(read(nats.reshape([seq]))?))
    }
}
