//! Memory of a training, in bytes. On the CPU it is the sum of the buffers of the engine, whose tests compare; on a GPU it is an upper
//! estimate of what burn's graph keeps for the backward pass.
//!
//! Counts are numbers of 32-bit floats; those of an imported plan, which may have any size, end at the largest number.

use crate::device::DeviceKind;
use crate::hyperparameters::recipe::{Batch, Compute, Precision};
use crate::model::{Mlp, ModelPlan};
use crate::number::product;

/// What a training allocates besides: runtime, dataset, statistics. Measured with nanoGPT's CPU recipe (docs/LAB_LOG.md).
const PROCESS_BYTES: u64 = 110_000_000;

/// Rows of a chunk of logits: at least so many that reading and writing the gradient of a large head once for each chunk costs little,
const MIN_CHUNK: usize = 256;
/// and more while a chunk has at most this many logits, which a second-level cache holds.
const CACHED_LOGITS: usize = 1 << 16;
/// Rows of a tile of the MLP: its hidden activations are still in a second-level cache when the next operator reads them.
const MLP_TILE: usize = 128;
/// Tiles are used if a matrix of the MLP has at most this many values: a larger one would be read from memory again for each tile.
const CACHED_WEIGHTS: usize = 1 << 17;
/// Queries of a tile of attention.
pub const ATTENTION_TILE: usize = 64;

fn sum(parts: &[u64]) -> u64 {
    parts.iter().copied().fold(0, u64::saturating_add)
}

impl ModelPlan {
    /// Memory of a training on a device of this kind, bytes.
    pub fn training_bytes(&self, kind: DeviceKind, batch: &Batch, compute: &Compute) -> u64 {
        let values =
            if kind == DeviceKind::Cpu { self.cpu_values(batch, compute) } else { self.gpu_values(batch, compute) };
        values.saturating_mul(4).saturating_add(PROCESS_BYTES)
    }

    /// Weights, two moments, gradients, and the buffers of each replica. With several micro-batches, one more gradient holds their sum.
    fn cpu_values(&self, batch: &Batch, compute: &Compute) -> u64 {
        let replicas = batch.replicas.max(1);
        let rows = batch.size.div_ceil(replicas).saturating_mul(self.seq);
        let gradients = (replicas as u64).saturating_add((batch.accumulation > 1).into());
        let buffers = self.gradient_values(rows, compute).saturating_add(self.loss_values(rows));
        let parameters = self.parameters().saturating_mul(gradients.saturating_add(3));
        parameters.saturating_add(buffers.saturating_mul(replicas as u64))
    }

    /// Weights, two moments, a gradient, the activations for the backward pass, and the logits with their gradient. When activations are
    /// computed again, those of one block with their gradients, and the inputs of all. After backward, the statistics of a step hold the old
    /// weights and the update too.
    fn gpu_values(&self, batch: &Batch, compute: &Compute) -> u64 {
        let kept = sum(&[product([16, self.d_model]), product([5, self.d_ff]), product([3, self.heads, self.seq])]);
        // With 16-bit products, a rounded copy of the factors and products of a block, of the logits and of the weights.
        let (rounded, logits, weights) = match compute.precision {
            Precision::Float32 => (0, 0, 0),
            _ => {
                (sum(&[product([4, self.d_model]), product([2, self.d_ff])]), self.vocab as u64, self.parameters() / 2)
            }
        };
        let of_block = kept.saturating_add(rounded);
        let of_blocks = match compute.recompute {
            true => of_block.saturating_mul(2).saturating_add(product([self.layers, self.d_model])),
            false => product([self.layers]).saturating_mul(of_block),
        };
        let of_token = sum(&[of_blocks, product([4, self.d_model]), product([4, self.vocab]), logits]);
        let activations = product([batch.size, self.seq]).saturating_mul(of_token);
        let parameters = self.parameters();
        let in_backward = sum(&[parameters.saturating_mul(4), weights, activations]);
        in_backward.max(parameters.saturating_mul(6))
    }

    /// Buffers of a replica of the CPU step, for `rows` tokens.
    pub fn gradient_values(&self, rows: usize, compute: &Compute) -> u64 {
        let (stream, keys) = (product([rows, self.d_model]), product([rows, self.kv_heads, self.d_head()]));
        let blocks = if compute.recompute { 1 } else { self.layers };
        // Recomputed: the input of each block, one stream between attention and MLP, and the output.
        let streams = if compute.recompute {
            product([self.layers]).saturating_add(2)
        } else {
            product([2, self.layers]).saturating_add(1)
        };
        let masks = if self.dropout > 0.0 { product([2, blocks]).saturating_add(2) } else { 0 };
        sum(&[
            self.common_values(rows),
            self.block_values(rows).saturating_mul(blocks as u64),
            stream.saturating_mul(sum(&[streams, masks, 4])),
            keys.saturating_mul(2),
            product([self.mlp_tile_rows(rows), self.d_ff]),
        ])
    }

    /// Buffers of a replica for losses without gradients, for `rows` tokens: one block, whose input and output change places.
    pub fn loss_values(&self, rows: usize) -> u64 {
        sum(&[self.common_values(rows), self.block_values(rows), product([3, rows, self.d_model])])
    }

    /// The last norm, a chunk of logits, and two tiles of attention.
    fn common_values(&self, rows: usize) -> u64 {
        sum(&[
            product([rows, self.d_model]),
            product([2, rows]),
            product([self.logit_chunk_rows(rows), self.vocab]),
            self.vocab as u64,
            product([2, ATTENTION_TILE.min(self.seq), self.seq]),
        ])
    }

    /// What forward keeps of a block: the outputs of two norms, query, mixed values, key, value, and the MLP's activations.
    fn block_values(&self, rows: usize) -> u64 {
        let heads =
            if self.qk_norm { sum(&[product([2, self.heads]), self.kv_heads as u64]) } else { self.heads as u64 };
        let hidden = if self.mlp == Mlp::Swiglu { 3 } else { 2 };
        let of_row = sum(&[
            product([4, self.d_model]),
            product([2, self.kv_heads, self.d_head()]),
            4, // mean and scale of two norms
            heads,
            product([hidden, self.d_ff]),
        ]);
        of_row.saturating_mul(rows as u64)
    }

    /// Rows of logits that the CPU computes at once, of `rows`.
    pub fn logit_chunk_rows(&self, rows: usize) -> usize {
        (CACHED_LOGITS / self.vocab.max(1)).max(MIN_CHUNK).min(rows)
    }

    /// Rows of the MLP whose activations the CPU computes at once, of `rows`.
    pub fn mlp_tile_rows(&self, rows: usize) -> usize {
        if self.d_model.saturating_mul(self.d_ff) > CACHED_WEIGHTS { rows } else { MLP_TILE.min(rows) }
    }
}
