//! Reductions of matrices: moments, histograms, tiles, rows of attention, channels. This file has their types and the reference
//! implementations on the CPU; [`crate::kernels::gpu`] computes the same with WGSL kernels.

use burn::tensor::Tensor;
use wire::inspect::result::Histogram;
use wire::inspect::statistics::Moments;

use crate::device::with_host_values;
use crate::error::EngineError;
use crate::kernels::moments::moments;

/// Requested reductions of tensors of type `T`. The results of each list are in its order.
#[derive(Debug, Clone)]
pub struct Reductions<T> {
    /// Count, mean, rms, extrema.
    pub moments: Vec<T>,
    /// Counts of values by magnitude.
    pub histograms: Vec<T>,
    /// A matrix as a grid of tiles.
    pub tiles: Vec<(T, Grid)>,
    /// Each row of a matrix of probabilities: entropy and extrema.
    pub rows: Vec<T>,
    /// Each column of a matrix: RMS and extrema.
    pub channels: Vec<T>,
}

impl<T> Default for Reductions<T> {
    fn default() -> Self {
        Self { moments: vec![], histograms: vec![], tiles: vec![], rows: vec![], channels: vec![] }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReductionResults {
    /// Moments of each tensor.
    pub moments: Vec<Moments>,
    /// Histogram of each tensor.
    pub histograms: Vec<Histogram>,
    /// Tiles of each matrix, row by row.
    pub tiles: Vec<Vec<Tile>>,
    /// Statistics of the rows of each matrix.
    pub rows: Vec<Vec<RowStats>>,
    /// Statistics of the columns of each matrix.
    pub channels: Vec<Vec<ChannelStats>>,
}

/// A rectangle of a matrix in tiles: tile (i, j) covers the rows from `i * rows / tile_rows` up to `(i + 1) * rows / tile_rows` of the rectangle,
/// and its columns likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First row of the rectangle.
    pub row: usize,
    /// First column of the rectangle.
    pub column: usize,
    /// Rows of the rectangle.
    pub rows: usize,
    /// Columns of the rectangle.
    pub columns: usize,
    /// Rows of tiles; at most `rows`.
    pub tile_rows: usize,
    /// Columns of tiles; at most `columns`.
    pub tile_columns: usize,
}

impl Grid {
    /// A whole matrix in at most `max` by `max` tiles.
    pub fn whole(rows: usize, columns: usize, max: usize) -> Self {
        Self { row: 0, column: 0, rows, columns, tile_rows: rows.min(max), tile_columns: columns.min(max) }
    }

    /// Total number of tiles.
    pub fn len(&self) -> usize {
        self.tile_rows * self.tile_columns
    }

    /// Whether the grid has no tile.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Statistics of the finite values of a tile; NaN if it has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tile {
    pub mean: f32,
    pub min: f32,
    pub max: f32,
}

/// Statistics of a row of probabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowStats {
    /// `-sum p ln p` over the finite values above 0, nats.
    pub entropy: f64,
    /// Minimum of the finite values; 0 if there are none.
    pub min: f32,
    /// Maximum of the finite values; 0 if there are none.
    pub max: f32,
    /// Values that are not finite.
    pub non_finite: u64,
}

/// Statistics of a column of a matrix.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChannelStats {
    /// Root mean square of the finite values; 0 if there are none.
    pub rms: f64,
    /// Minimum of the finite values; 0 if there are none.
    pub min: f32,
    /// Maximum of the finite values; 0 if there are none.
    pub max: f32,
    /// Values that are not finite.
    pub non_finite: u64,
}

impl<T> Reductions<T> {
    /// The same reductions with `f` applied to each tensor.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn map<U>(self, mut f: impl FnMut(T) -> Result<U, EngineError>) -> Result<Reductions<U>, EngineError> {
        let mut all = |list: Vec<T>| list.into_iter().map(&mut f).collect::<Result<Vec<U>, EngineError>>();
        let (moments, histograms) = (all(self.moments)?, all(self.histograms)?);
        let (rows, channels) = (all(self.rows)?, all(self.channels)?);
        let tiles =
            self.tiles.into_iter().map(|(tensor, grid)| Ok((f(tensor)?, grid))).collect::<Result<_, EngineError>>()?;
        Ok(Reductions { moments, histograms, tiles, rows, channels })
    }
}

/// Computes all reductions on the CPU, with the reference implementations.
pub(crate) fn on_cpu(reductions: &Reductions<Tensor<2>>) -> ReductionResults {
    fn each<R>(list: &[Tensor<2>], f: impl Fn(&[f32], usize) -> R) -> Vec<R> {
        list.iter().map(|tensor| with_host_values(tensor, |values| f(values, tensor.dims()[1]))).collect()
    }
    ReductionResults {
        moments: each(&reductions.moments, |values, _| moments(values)),
        histograms: each(&reductions.histograms, |values, _| histogram(values)),
        tiles: reductions
            .tiles
            .iter()
            .map(|(tensor, grid)| with_host_values(tensor, |values| tiles(values, tensor.dims()[1], *grid)))
            .collect(),
        rows: each(&reductions.rows, rows),
        channels: each(&reductions.channels, channels),
    }
}

/// Counts values by powers of two, read from the exponents of the floats, so that the counts are exact on every machine. Reference of `histogram.wgsl`.
pub fn histogram(values: &[f32]) -> Histogram {
    let mut bins = [[0u64; Histogram::BINS]; 2];
    let (mut zeros, mut non_finite) = (0, 0);
    for value in values {
        let bits = value.to_bits();
        let exponent = (bits >> 23) & 0xff;
        if bits << 1 == 0 {
            zeros += 1;
        } else if exponent == 0xff {
            non_finite += 1;
        } else {
            let bin = (exponent as i32 - 127 - Histogram::LOWEST).clamp(0, Histogram::BINS as i32 - 1);
            bins[(bits >> 31) as usize][bin as usize] += 1;
        }
    }
    let [positive, negative] = bins;
    Histogram { negative: negative.to_vec(), zeros, positive: positive.to_vec(), non_finite }
}

/// Mean and extrema of each tile of a matrix that has `width` columns. Reference of `tiles.wgsl`.
pub fn tiles(values: &[f32], width: usize, grid: Grid) -> Vec<Tile> {
    let edge = |first: usize, len: usize, tiles: usize, tile: usize| first + tile * len / tiles;
    let mut found = Vec::with_capacity(grid.len());
    for i in 0..grid.tile_rows {
        let rows = edge(grid.row, grid.rows, grid.tile_rows, i)..edge(grid.row, grid.rows, grid.tile_rows, i + 1);
        for j in 0..grid.tile_columns {
            let from = edge(grid.column, grid.columns, grid.tile_columns, j);
            let to = edge(grid.column, grid.columns, grid.tile_columns, j + 1);
            let (mut sum, mut count, mut min, mut max) = (0f64, 0u32, f32::INFINITY, f32::NEG_INFINITY);
            let part = rows.clone().flat_map(|row| &values[row * width + from..row * width + to]);
            for value in part.filter(|value| value.is_finite()) {
                sum += f64::from(*value);
                count += 1;
                (min, max) = (min.min(*value), max.max(*value));
            }
            found.push(match count {
                0 => Tile { mean: f32::NAN, min: f32::NAN, max: f32::NAN },
                _ => Tile { mean: (sum / f64::from(count)) as f32, min, max },
            });
        }
    }
    found
}

/// Entropy and extrema of each row. Reference of `rows.wgsl`.
pub fn rows(values: &[f32], width: usize) -> Vec<RowStats> {
    values.chunks_exact(width.max(1)).map(row).collect()
}

fn row(values: &[f32]) -> RowStats {
    let mut found = RowStats { min: f32::INFINITY, max: f32::NEG_INFINITY, ..RowStats::default() };
    for value in values {
        if !value.is_finite() {
            found.non_finite += 1;
            continue;
        }
        (found.min, found.max) = (found.min.min(*value), found.max.max(*value));
        if *value > 0.0 {
            found.entropy -= f64::from(*value) * f64::from(*value).ln();
        }
    }
    if found.min > found.max { RowStats { non_finite: found.non_finite, ..RowStats::default() } } else { found }
}

/// RMS and extrema of each column. Reference of `channels.wgsl`.
pub fn channels(values: &[f32], width: usize) -> Vec<ChannelStats> {
    let mut found = vec![(0f64, 0u64, f32::INFINITY, f32::NEG_INFINITY, 0u64); width];
    for row in values.chunks_exact(width.max(1)) {
        for ((squares, count, min, max, non_finite), value) in found.iter_mut().zip(row) {
            if value.is_finite() {
                *squares += f64::from(*value) * f64::from(*value);
                *count += 1;
                (*min, *max) = ((*min).min(*value), (*max).max(*value));
            } else {
                *non_finite += 1;
            }
        }
    }
    let one = |(squares, count, min, max, non_finite): (f64, u64, f32, f32, u64)| match count {
        0 => ChannelStats { non_finite, ..ChannelStats::default() },
        _ => ChannelStats { rms: (squares / count as f64).sqrt(), min, max, non_finite },
    };
    found.into_iter().map(one).collect()
}
