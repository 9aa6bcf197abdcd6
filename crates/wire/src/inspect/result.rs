//! The results of inspections. All of them are small: tensors are reduced on their device, and heat maps are quantised to a byte per
//! cell. The requests are in [`super::request`].

use serde::{Deserialize, Serialize};

use super::request::Window;
use super::statistics::{Moments, TensorStats};

/// A quantised matrix, one byte per cell: 0 is a value that is not finite (or a cell outside the matrix), 1 to 255 are spread evenly from
/// `low` to `high`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeatMap {
    pub rows: u32,
    pub columns: u32,
    /// Value of byte 1.
    pub low: f32,
    /// Value of byte 255.
    pub high: f32,
    /// Cells, row by row.
    pub cells: Vec<u8>,
}

impl HeatMap {
    /// Quantises values, row by row; `low` and `high` are the extremes of the finite ones.
    pub fn of(rows: usize, columns: usize, values: &[f32]) -> Self {
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        Self::within(rows, columns, values, low, high)
    }

    /// Quantises values to given bounds; values outside become the bound.
    pub fn within(rows: usize, columns: usize, values: &[f32], low: f32, high: f32) -> Self {
        let span = f64::from(high) - f64::from(low);
        let cell = |value: &f32| match value.is_finite() {
            false => 0,
            true if span <= 0.0 => 1,
            true => 1 + ((f64::from(*value) - f64::from(low)) / span * 254.0).clamp(0.0, 254.0).round() as u8,
        };
        Self { rows: rows as u32, columns: columns as u32, low, high, cells: values.iter().map(cell).collect() }
    }

    /// The value of a cell, to a 254th of the span.
    pub fn value(&self, row: usize, column: usize) -> Option<f32> {
        let inside = row < self.rows as usize && column < self.columns as usize;
        let cell = inside.then(|| self.cells.get(row * self.columns as usize + column)).flatten()?;
        let share = f32::from(cell.checked_sub(1)?) / 254.0;
        Some(self.low + (self.high - self.low) * share)
    }
}

/// Counts of values by magnitude, by powers of two: bin i of either side counts `2^(i + LOWEST) <= |x| < 2^(i + 1 + LOWEST)`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// Negative values by size, smallest first; [`Histogram::BINS`] of them. The first and the last bin include all values beyond them.
    pub negative: Vec<u64>,
    /// Exact zeros.
    pub zeros: u64,
    /// Positive values by size, smallest first.
    pub positive: Vec<u64>,
    /// NaN and infinite values.
    pub non_finite: u64,
}

impl Histogram {
    /// Bins of each side.
    pub const BINS: usize = 32;
    /// Exponent of the first bin.
    pub const LOWEST: i32 = -24;
}

/// Statistics of one attention head over a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeadStats {
    /// Its attention entropy ([`crate::series::definition::ATTENTION_ENTROPY`]) as a fraction of [`HeadStats::uniform_entropy`], from 0 to 1;
    /// [`HeadStats::entropy_nats`] has it in nats. Older snapshots have the mean of the fractions of the rows instead.
    pub entropy: f32,
    /// Mean distance to the attended token, in tokens; the first row, which attends only to itself, is left out here and below.
    pub distance: f32,
    /// Mean weight on the previous token.
    pub previous: f32,
    /// Mean weight on the token after an earlier occurrence of the current one (Olsson et al. 2022), over the positions that have one;
    /// NaN if no position has one.
    pub induction: f32,
    /// Its largest attention score ([`crate::series::definition::ATTENTION_SCORE`]). Older snapshots have the largest signed score.
    pub top_logit: f32,
}

impl HeadStats {
    /// The attention entropy of a head that attends to all tokens of a text equally, in nats: the mean of ln(number of keys) over all queries
    /// except the first; 0 for a text of one token.
    pub fn uniform_entropy(tokens: usize) -> f64 {
        let sum: f64 = (2..=tokens).map(|keys| (keys as f64).ln()).sum();
        sum / (tokens as f64 - 1.0).max(1.0)
    }

    /// The attention entropy over a text of this many tokens, in nats, as in the series `attention_entropy/`.
    pub fn entropy_nats(&self, tokens: usize) -> f64 {
        f64::from(self.entropy) * Self::uniform_entropy(tokens)
    }
}

/// Statistics of one component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComponentStats {
    /// `embedding`, `block.0.attention`, `block.0.mlp`, `norm`, `head`.
    pub name: String,
    /// Root mean square of its output, which it adds to the residual stream; of the logits for `head`.
    pub rms: f32,
    /// Root mean square of the residual stream after it; 0 for `head`.
    pub stream_rms: f32,
    /// Values of its output that are not finite.
    pub non_finite: u64,
    /// Fraction of dead neurons ([`crate::series::definition::DEAD_NEURONS`]); MLPs only. Older snapshots count the neurons whose outputs are at
    /// most 1e-3.
    pub dead: Option<f32>,
    /// Its heads: attention only.
    pub heads: Vec<HeadStats>,
}

/// The logit lens at one position after one component.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogitLensCell {
    /// The most likely tokens with their probabilities, most likely first; at most 3.
    pub top: Vec<(u32, f32)>,
    /// Probability of the actual next token; NaN at the last position of a prompt.
    pub actual: f32,
    /// Rank of the actual next token, from 1; 0 if it is unknown.
    pub rank: u32,
}

/// A token on the plane of the first two principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmbeddingPoint {
    /// Token id.
    pub token: u32,
    /// Text of the token.
    pub text: String,
    /// First principal component.
    pub x: f32,
    /// Second principal component.
    pub y: f32,
    /// Its nearest tokens by cosine similarity, nearest first: index in the list of points, and the similarity.
    pub near: Vec<(u32, f32)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MatrixSummary {
    /// Path in the model.
    pub tensor: String,
    /// Its shape, `[rows, columns]`.
    pub shape: [u32; 2],
    /// Means of tiles.
    pub mean: HeatMap,
    /// Moments of all values.
    pub moments: Moments,
    /// Histogram of its values.
    pub histogram: Histogram,
    /// `|W|_F^2 / |W|_2^2`: the stable rank; NaN for a zero matrix.
    pub stable_rank: f32,
}

/// A text that activates a neuron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NeuronContext {
    /// Index of the validation window.
    pub window: u32,
    pub tokens: Vec<String>,
    /// Activation at each token.
    pub activations: Vec<f32>,
    /// Index of the largest activation.
    pub at: u32,
}

/// One sequence of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchSequence {
    /// Dataset.
    pub corpus: String,
    /// Index in the batch.
    pub row: u32,
    /// Target tokens.
    pub tokens: Vec<String>,
    /// Loss of each, nats.
    pub losses: Vec<f32>,
    pub mean: f32,
}

/// The result of an inspection, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InspectionResult {
    /// [`super::request::Inspection::Overview`].
    Overview {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// Mean loss over them, nats; NaN for a text of one token.
        loss: f32,
        /// Every component, in the order of the forward pass.
        components: Vec<ComponentStats>,
    },
    /// [`super::request::Inspection::Attention`].
    Attention {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// One for each head: `[query, key]`, from 0 to 1.
        patterns: Vec<HeatMap>,
        /// One for each head.
        heads: Vec<HeadStats>,
    },
    /// [`super::request::Inspection::LogitLens`].
    LogitLens {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// Loss of the next token at each position, nats; NaN if there is no next token.
        losses: Vec<f32>,
        /// Names of the depths: `embedding`, `block.0`, ..; the last one is the prediction of the model.
        depths: Vec<String>,
        /// Cells, by depth and position.
        cells: Vec<Vec<LogitLensCell>>,
        /// The tokens named in cells, as text.
        words: Vec<(u32, String)>,
    },
    /// [`super::request::Inspection::Neurons`].
    Neurons {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// `[neuron, token]`: at most 512 neurons, largest absolute activation first. With SwiGLU the activation is `silu(gate) * up`.
        activations: HeatMap,
        /// Neuron of each row.
        neurons: Vec<u32>,
        /// Number of neurons.
        total: u32,
        /// Fraction of dead neurons, as in [`ComponentStats::dead`].
        dead: f32,
        /// Fraction of pre-activations with magnitude 4 or more, where GELU and SiLU are nearly linear or nearly 0.
        saturated: f32,
        /// Histogram of the activations.
        histogram: Histogram,
    },
    /// [`super::request::Inspection::Neuron`].
    Neuron {
        /// Strongest first.
        contexts: Vec<NeuronContext>,
        /// Histogram of its activations over all contexts read.
        histogram: Histogram,
        /// Tokens read to find them.
        read: u64,
    },
    /// [`super::request::Inspection::Weights`].
    Weights {
        /// All matrices, in the model's order.
        matrices: Vec<MatrixSummary>,
    },
    /// [`super::request::Inspection::Matrix`].
    Matrix {
        /// Shape of the whole parameter, `[rows, columns]`; a vector is one row.
        shape: [u32; 2],
        /// The rectangle shown.
        window: Window,
        /// Means of tiles; single values if the rectangle has no more values than the map has cells.
        mean: HeatMap,
        /// Smallest of each tile.
        min: HeatMap,
        /// Largest of each tile.
        max: HeatMap,
        /// Moments of the rectangle.
        moments: Moments,
        /// Histogram of its values.
        histogram: Histogram,
    },
    /// [`super::request::Inspection::Embedding`].
    Embedding {
        /// At most 512 tokens, the most frequent ones of the dataset.
        points: Vec<EmbeddingPoint>,
        /// Fractions of the variance along the two axes.
        explained: [f32; 2],
        /// Norm of the embedding's Fourier component at each frequency 0 .. p / 2 over the numbers 0 .. p - 1, in an orthonormal basis, if
        /// the text is arithmetic modulo p and each number is one token (Nanda et al. 2023); else empty.
        spectrum: Vec<f32>,
    },
    /// [`super::request::Inspection::Batch`].
    Batch {
        /// Highest loss first; at most 64.
        rows: Vec<BatchSequence>,
        /// Number of sequences.
        total: u32,
        /// Parameters and the norm of this batch's gradient in each, before clipping, largest first; with the step's own dropout.
        gradients: Vec<(String, f32)>,
    },
    /// [`super::request::Inspection::Interventions`].
    Interventions {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// Loss of each next token without interventions, nats.
        before: Vec<f32>,
        /// Loss of each next token with interventions, nats.
        after: Vec<f32>,
        /// Mean validation loss without interventions, nats.
        valid_before: f32,
        /// Mean validation loss with interventions, nats.
        valid_after: f32,
        /// Greedy completion without interventions.
        completion_before: String,
        /// Greedy completion with interventions.
        completion_after: String,
    },
    /// [`super::request::Inspection::ParameterStats`].
    ParameterStats {
        /// The step that measured them.
        step: u64,
        /// One for each parameter, in the model's order.
        tensors: Vec<TensorStats>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heat_map_keeps_its_values_to_a_254th() {
        let values = [-1.0, 0.0, 0.5, f32::NAN, 3.0, f32::INFINITY];
        let field = HeatMap::of(2, 3, &values);
        for (place, value) in values.iter().enumerate() {
            match field.value(place / 3, place % 3) {
                Some(read) => assert!((read - value).abs() <= 4.0 / 508.0 + 1e-6, "{read} for {value}"),
                None => assert!(!value.is_finite()),
            }
        }
        assert_eq!(HeatMap::of(1, 2, &[2.0, 2.0]).value(0, 1), Some(2.0));
        assert_eq!(HeatMap::of(0, 0, &[]).value(0, 0), None);
    }
}
