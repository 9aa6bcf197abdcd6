//! The activations of one forward pass over a text, like TransformerLens' `ActivationCache`: handles to small tensors, on their device.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use burn::tensor::{Tensor, activation};

use super::Inspector;
use super::text::TokenizedText;
use crate::device::read;
use crate::error::EngineError;
use crate::kernels::reduce::{Reductions, RowStats};
use crate::model::decoder::Decoder;
use crate::model::hook::{Hook, HookPoint};

/// The activations at every hook point over one text.
pub(super) struct ActivationCache {
    pub(super) text: TokenizedText,
    activations: HashMap<HookPoint, Tensor<2>>,
    attention: HashMap<HookPoint, Tensor<3>>,
    /// Statistics of the rows of the patterns, by block; several inspections of a snapshot read them.
    rows: RefCell<HashMap<usize, Rc<[RowStats]>>>,
}

/// Stores the activations of a pass over one sequence.
#[derive(Default)]
struct Recorder {
    activations: RefCell<HashMap<HookPoint, Tensor<2>>>,
    attention: RefCell<HashMap<HookPoint, Tensor<3>>>,
}

impl Hook for Recorder {
    fn activation(&self, point: HookPoint, x: Tensor<3>) -> Tensor<3> {
        self.activations.borrow_mut().insert(point, x.clone().squeeze_dim::<2>(0));
        x
    }

    fn attention(&self, point: HookPoint, x: &Tensor<4>) {
        self.attention.borrow_mut().insert(point, x.clone().squeeze_dim::<3>(0));
    }
}

impl ActivationCache {
    /// Runs the model over a text.
    pub(super) fn new(inspector: &Inspector<'_>, text: TokenizedText) -> Self {
        let recorder = Recorder::default();
        Decoder::hooked(inspector.model(), &inspector.weights, &recorder).residual(text.input(inspector), None);
        let (activations, attention) = (recorder.activations.into_inner(), recorder.attention.into_inner());
        Self { text, activations, attention, rows: RefCell::default() }
    }

    /// The activation at a hook point.
    ///
    /// # Shapes
    /// `[seq, width]`.
    pub(super) fn at(&self, point: HookPoint) -> Tensor<2> {
        self.activations[&point].clone() // a pass calls the hook at every point of every block
    }

    /// Attention scores `q.k / sqrt(d_head)` of all pairs, allowed or not.
    ///
    /// # Shapes
    /// `[heads, query, key]`.
    pub(super) fn attn_scores(&self, layer: usize) -> Tensor<3> {
        self.attention[&HookPoint::AttnScores(layer)].clone()
    }

    /// Attention pattern; 0 for keys after the query.
    ///
    /// # Shapes
    /// `[heads, query, key]`.
    pub(super) fn pattern(&self, layer: usize) -> Tensor<3> {
        self.attention[&HookPoint::Pattern(layer)].clone()
    }

    /// Statistics of the rows of the attention patterns of some blocks, `[head, query]` of each block; computed together, and once.
    pub(super) fn pattern_rows(
        &self,
        inspector: &Inspector<'_>,
        blocks: Range<usize>,
    ) -> Result<Vec<Rc<[RowStats]>>, EngineError> {
        let missing: Vec<usize> = blocks.clone().filter(|block| !self.rows.borrow().contains_key(block)).collect();
        if !missing.is_empty() {
            let matrix = |block: &usize| {
                let [heads, queries, keys] = self.pattern(*block).dims();
                self.pattern(*block).reshape([heads * queries, keys])
            };
            let rows = missing.iter().map(matrix).collect();
            let found = inspector.reduce(Reductions { rows, ..Reductions::default() })?.rows;
            self.rows.borrow_mut().extend(missing.into_iter().zip(found.into_iter().map(Rc::from)));
        }
        let rows = self.rows.borrow();
        Ok(blocks.filter_map(|block| rows.get(&block).cloned()).collect())
    }

    /// Logits at each position.
    ///
    /// # Shapes
    /// `[seq, vocab]`.
    pub(super) fn logits(&self, inspector: &Inspector<'_>) -> Tensor<2> {
        Decoder::new(inspector.model(), &inspector.weights).head(self.at(HookPoint::FinalNorm))
    }

    /// Loss of the next token at each position, nats; NaN if the next token is unknown.
    pub(super) fn losses(&self, inspector: &Inspector<'_>, logits: Tensor<2>) -> Result<Vec<f32>, EngineError> {
        let [seq, _] = logits.dims();
        let nats = -activation::log_softmax(logits, 1).gather(1, self.text.targets(inspector)); // [seq, 1]
        Ok(self.text.known(read(nats.reshape([seq]))?))
    }
}
