//! What is seen inside a model ([`Sight`]), and the small pictures that it is made of. All of it is small: fields are reduced where
//! they lie and quantised to a byte a cell. What can be asked is [`crate::look`]'s.

use serde::{Deserialize, Serialize};

use crate::frame::{Moments, TensorStats};
use crate::look::Window;

/// A rectangle of numbers, a byte each: 0 is a value that is not finite (or outside the picture), 1 to 255 run evenly from `low` to `high`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Field {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Value of byte 1.
    pub low: f32,
    /// Value of byte 255.
    pub high: f32,
    /// Row by row.
    pub cells: Vec<u8>,
}

impl Field {
    /// Quantises values, row by row; `low` and `high` are the extremes of the finite ones.
    pub fn of(rows: usize, columns: usize, values: &[f32]) -> Self {
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        Self::within(rows, columns, values, low, high)
    }

    /// Quantises values to given bounds; what lies outside is drawn at the bound.
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

/// How often values of each size occur, by powers of two: bin i of either side holds `2^(i + LOWEST) <= |x| < 2^(i + 1 + LOWEST)`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// Negative values by size, smallest first; [`Histogram::BINS`] of them. The first and the last bin hold all beyond them.
    pub negative: Vec<u64>,
    /// Exact zeros.
    pub zeros: u64,
    /// Positive values by size, smallest first.
    pub positive: Vec<u64>,
    /// NaN and infinite values.
    pub bad: u64,
}

impl Histogram {
    /// Bins of each side.
    pub const BINS: usize = 32;
    /// Exponent of the first bin.
    pub const LOWEST: i32 = -24;
}

/// One head over a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeadStats {
    /// Mean entropy of its rows over the most they could have (`ln keys`), from 0 to 1; the first row is left out.
    pub entropy: f32,
    /// Mean distance it reads back, tokens; the first row, which has no choice, is left out of this and the next too.
    pub distance: f32,
    /// Mean weight on the token just before.
    pub previous: f32,
    /// Mean weight on the token after an earlier occurrence of the present one (Olsson et al. 2022), over the places that have one; NaN
    /// where no place has.
    pub induction: f32,
    /// Largest logit, `q.k / sqrt(d_head)`, among allowed pairs.
    pub top_logit: f32,
}

/// One part of the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartSight {
    /// `embedding`, `block.0.attention`, `block.0.mlp`, `norm`, `head`.
    pub name: String,
    /// Root mean square of what the part says: what it adds to the residual stream; of the logits for `head`.
    pub rms: f32,
    /// Root mean square of the residual stream after it; 0 for `head`.
    pub stream_rms: f32,
    /// Values of its output that are not finite.
    pub bad: u64,
    /// Share of units which no token made active: MLPs only. GELU: none above 1e-3; SwiGLU: none beyond it on either side.
    pub dead: Option<f32>,
    /// Its heads: attention only.
    pub heads: Vec<HeadStats>,
}

/// One place of the lens, after one part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LensCell {
    /// The likeliest tokens with their probabilities, likeliest first; at most 3.
    pub top: Vec<(u32, f32)>,
    /// Probability of the right next token; NaN for the last place of a text of one's own.
    pub right: f32,
    /// Its rank, from 1; 0 where it is unknown.
    pub rank: u32,
}

/// A token on the plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// Which.
    pub token: u32,
    /// As text.
    pub text: String,
    /// Along the first principal component.
    pub x: f32,
    /// Along the second.
    pub y: f32,
    /// Its nearest by cosine, nearest first: places in the list of points, and the cosines.
    pub near: Vec<(u32, f32)>,
}

/// A matrix in little.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thumbnail {
    /// Path in the model.
    pub tensor: String,
    /// Its shape, `[rows, columns]`.
    pub shape: [u32; 2],
    /// Means of tiles.
    pub mean: Field,
    /// Moments of all of it.
    pub moments: Moments,
    /// Sizes of its values.
    pub histogram: Histogram,
    /// `|W|_F^2 / |W|_2^2`: how many directions carry it; NaN where it is all zero.
    pub stable_rank: f32,
}

/// A text that makes a unit fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Context {
    /// Number of the held-out window.
    pub window: u32,
    /// Tokens.
    pub tokens: Vec<String>,
    /// The unit at each.
    pub activations: Vec<f32>,
    /// Where it is largest.
    pub at: u32,
}

/// One row of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchRow {
    /// The text it comes from.
    pub corpus: String,
    /// Its place in the batch.
    pub row: u32,
    /// Tokens that were to be said: the targets.
    pub tokens: Vec<String>,
    /// Loss of each, nats.
    pub losses: Vec<f32>,
    /// Mean of these.
    pub mean: f32,
}

/// What is seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// [`crate::look::Look::Map`].
    Map {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// Mean loss over them, nats; NaN for a text of one token.
        loss: f32,
        /// Every part, in the order in which they work.
        parts: Vec<PartSight>,
    },
    /// [`crate::look::Look::Attention`].
    Attention {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// One for each head: `[query, key]`, from 0 to 1.
        patterns: Vec<Field>,
        /// One for each head.
        heads: Vec<HeadStats>,
    },
    /// [`crate::look::Look::Lens`].
    Lens {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// Loss of saying the next token at each place, nats; NaN where there is none.
        losses: Vec<f32>,
        /// Names of the depths: `embedding`, `block.0`, ..; what is read after the last block is what the model says.
        depths: Vec<String>,
        /// For each depth a cell for each place.
        cells: Vec<Vec<LensCell>>,
        /// The tokens named in cells, as text.
        words: Vec<(u32, String)>,
    },
    /// [`crate::look::Look::Units`].
    Units {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// `[unit, token]`: at most 512 units, the ones with the largest activations of either sign first. A unit is a row of `down`: with
        /// SwiGLU `silu(gate) * up`.
        activations: Field,
        /// Which unit each row is.
        units: Vec<u32>,
        /// Units in all.
        of: u32,
        /// Share of units that no token made active.
        dead: f32,
        /// Share of pre-activations of size 4 or more: there GELU and SiLU are all but straight or all but silent.
        saturated: f32,
        /// Sizes of the activations.
        histogram: Histogram,
    },
    /// [`crate::look::Look::Unit`].
    Unit {
        /// Strongest first.
        contexts: Vec<Context>,
        /// Sizes of its activations over all contexts read.
        histogram: Histogram,
        /// Tokens read to find them.
        read: u64,
    },
    /// [`crate::look::Look::Gallery`].
    Gallery {
        /// All matrices, in the model's order.
        matrices: Vec<Thumbnail>,
    },
    /// [`crate::look::Look::Matrix`].
    Matrix {
        /// Shape of the whole parameter, `[rows, columns]`; a vector is one row.
        shape: [u32; 2],
        /// The part shown.
        window: Window,
        /// Means of tiles; single values where there are no more cells than that.
        mean: Field,
        /// Smallest of each tile.
        min: Field,
        /// Largest of each tile.
        max: Field,
        /// Moments of the part.
        moments: Moments,
        /// Sizes of its values.
        histogram: Histogram,
    },
    /// [`crate::look::Look::Embedding`].
    Embedding {
        /// At most 512 tokens, the commonest of the text.
        points: Vec<Point>,
        /// Shares of the variance that the two axes hold.
        explained: [f32; 2],
        /// Norm of the embedding's Fourier component at each frequency 0 .. p / 2 over the numbers 0 .. p - 1, in an orthonormal basis, where
        /// the text is arithmetic modulo p and each number is one token (Nanda et al. 2023); else empty.
        spectrum: Vec<f32>,
    },
    /// [`crate::look::Look::Batch`].
    Batch {
        /// Most surprising first; at most 64.
        rows: Vec<BatchRow>,
        /// Rows in all.
        of: u32,
        /// Parameters and the norm of this batch's gradient in each, before clipping, largest first; with the step's own dropout.
        gradients: Vec<(String, f32)>,
    },
    /// [`crate::look::Look::Hands`].
    Hands {
        /// Tokens read, as text.
        tokens: Vec<String>,
        /// Loss of each next token as the model is, nats.
        before: Vec<f32>,
        /// The same with the changes.
        after: Vec<f32>,
        /// Mean loss over held-out text as the model is, nats.
        valid_before: f32,
        /// The same with the changes.
        valid_after: f32,
        /// What the model goes on with, likeliest token each time.
        said_before: String,
        /// The same with the changes.
        said_after: String,
    },
    /// [`crate::look::Look::Tensors`].
    Tensors {
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
    fn a_field_gives_its_values_back_to_a_254th() {
        let values = [-1.0, 0.0, 0.5, f32::NAN, 3.0, f32::INFINITY];
        let field = Field::of(2, 3, &values);
        for (place, value) in values.iter().enumerate() {
            match field.value(place / 3, place % 3) {
                Some(read) => assert!((read - value).abs() <= 4.0 / 508.0 + 1e-6, "{read} for {value}"),
                None => assert!(!value.is_finite()),
            }
        }
        assert_eq!(Field::of(1, 2, &[2.0, 2.0]).value(0, 1), Some(2.0));
        assert_eq!(Field::of(0, 0, &[]).value(0, 0), None);
    }
}
