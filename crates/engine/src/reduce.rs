//! Reductions of matrices where they lie: moments, histograms, tiles, rows of attention, channels. Whoever looks lists its wishes and gets all
//! answers together: on a graphics card by our own kernels in one transfer ([`crate::taps`]), on the processor by the kernels' twins here.

use burn::backend::Flex;
use burn::tensor::Tensor;
use wire::frame::Moments;
use wire::sight::Histogram;

use crate::error::EngineError;
use crate::stats;
use crate::taps::{Tap, Taps};

/// What is to be worked out, of tensors of a kind: each list is answered in its own order.
#[derive(Debug, Clone)]
pub struct Wishes<T> {
    /// Count, mean, rms, extrema.
    pub moments: Vec<T>,
    /// How often values of each size occur.
    pub histograms: Vec<T>,
    /// A matrix in little.
    pub tiles: Vec<(T, Grid)>,
    /// Each row of a matrix of shares: entropy and extrema.
    pub rows: Vec<T>,
    /// Each column of a matrix: rms and extrema.
    pub channels: Vec<T>,
}

impl<T> Default for Wishes<T> {
    fn default() -> Self {
        Self { moments: vec![], histograms: vec![], tiles: vec![], rows: vec![], channels: vec![] }
    }
}

/// Answers to [`Wishes`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// One for each tensor.
    pub moments: Vec<Moments>,
    /// One for each tensor.
    pub histograms: Vec<Histogram>,
    /// For each matrix its tiles, row by row.
    pub tiles: Vec<Vec<Tile>>,
    /// For each matrix its rows.
    pub rows: Vec<Vec<RowStats>>,
    /// For each matrix its columns.
    pub channels: Vec<Vec<ChannelStats>>,
}

/// A part of a matrix, cut into tiles: tile (i, j) holds the rows from `i * rows / tile_rows` up to `(i + 1) * rows / tile_rows` of the part,
/// and its columns likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First row of the part.
    pub row: usize,
    /// First column of the part.
    pub column: usize,
    /// Rows of the part.
    pub rows: usize,
    /// Columns of the part.
    pub columns: usize,
    /// Tiles downwards; at most `rows`.
    pub tile_rows: usize,
    /// Tiles across; at most `columns`.
    pub tile_columns: usize,
}

impl Grid {
    /// A whole matrix in at most `most` tiles either way.
    pub fn whole(rows: usize, columns: usize, most: usize) -> Self {
        Self { row: 0, column: 0, rows, columns, tile_rows: rows.min(most), tile_columns: columns.min(most) }
    }

    /// Tiles in all.
    pub fn len(&self) -> usize {
        self.tile_rows * self.tile_columns
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The finite values of a tile; NaN where it has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tile {
    /// Their mean.
    pub mean: f32,
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

/// A row of shares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowStats {
    /// `-sum p ln p` over the finite shares above 0, nats.
    pub entropy: f64,
    /// Smallest finite share; 0 for none.
    pub min: f32,
    /// Largest; 0 for none.
    pub max: f32,
    /// Shares that are not finite.
    pub bad: u64,
}

/// A column of a matrix.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChannelStats {
    /// Root mean square of the finite values; 0 for none.
    pub rms: f64,
    /// Smallest; 0 for none.
    pub min: f32,
    /// Largest; 0 for none.
    pub max: f32,
    /// Values that are not finite.
    pub bad: u64,
}

/// Works everything out: by kernels where there are `taps`, else on the processor.
///
/// # Errors
/// A device that has gone away.
pub fn reduce(wishes: Wishes<Tensor<2>>, taps: Option<&Taps>) -> Result<Answers, EngineError> {
    match taps {
        Some(taps) => taps.start(&wishes.map(Tap::new)?)?.wait(),
        None => Ok(on_cpu(&wishes)),
    }
}

impl<T> Wishes<T> {
    /// The same wishes of other things.
    ///
    /// # Errors
    /// The first that `f` gives.
    pub fn map<U>(self, mut f: impl FnMut(T) -> Result<U, EngineError>) -> Result<Wishes<U>, EngineError> {
        let mut all = |list: Vec<T>| list.into_iter().map(&mut f).collect::<Result<Vec<U>, EngineError>>();
        let (moments, histograms) = (all(self.moments)?, all(self.histograms)?);
        let (rows, channels) = (all(self.rows)?, all(self.channels)?);
        let tiles =
            self.tiles.into_iter().map(|(tensor, grid)| Ok((f(tensor)?, grid))).collect::<Result<_, EngineError>>()?;
        Ok(Wishes { moments, histograms, tiles, rows, channels })
    }
}

fn on_cpu(wishes: &Wishes<Tensor<2>>) -> Answers {
    fn each<R>(list: &[Tensor<2>], f: impl Fn(&[f32], usize) -> R) -> Vec<R> {
        list.iter().map(|tensor| with_values(tensor, |values| f(values, tensor.dims()[1]))).collect()
    }
    Answers {
        moments: each(&wishes.moments, |values, _| stats::moments(values)),
        histograms: each(&wishes.histograms, |values, _| histogram(values)),
        tiles: wishes
            .tiles
            .iter()
            .map(|(tensor, grid)| with_values(tensor, |values| tiles(values, tensor.dims()[1], *grid)))
            .collect(),
        rows: each(&wishes.rows, rows),
        channels: each(&wishes.channels, channels),
    }
}

/// The values of a CPU matrix, row by row; copied only where they do not lie so.
pub fn with_values<R>(tensor: &Tensor<2>, work: impl FnOnce(&[f32]) -> R) -> R {
    let held = tensor.clone().try_into_primitive::<Flex>().expect("only CPU tensors are read in place");
    let held = if held.as_slice::<f32>().is_some() { held } else { held.to_contiguous() };
    work(held.as_slice::<f32>().unwrap_or_default())
}

/// Sizes by powers of two, read from the floats' own exponents: exact on every machine. Twin of `histogram.wgsl`.
pub fn histogram(values: &[f32]) -> Histogram {
    let mut bins = [[0u64; Histogram::BINS]; 2];
    let (mut zeros, mut bad) = (0, 0);
    for value in values {
        let bits = value.to_bits();
        let exponent = (bits >> 23) & 0xff;
        if bits << 1 == 0 {
            zeros += 1;
        } else if exponent == 0xff {
            bad += 1;
        } else {
            let bin = (exponent as i32 - 127 - Histogram::LOWEST).clamp(0, Histogram::BINS as i32 - 1);
            bins[(bits >> 31) as usize][bin as usize] += 1;
        }
    }
    let [positive, negative] = bins;
    Histogram { negative: negative.to_vec(), zeros, positive: positive.to_vec(), bad }
}

/// Mean and extrema of each tile of a matrix that has `width` columns. Twin of `tiles.wgsl`.
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

/// Entropy and extrema of each row. Twin of `rows.wgsl`.
pub fn rows(values: &[f32], width: usize) -> Vec<RowStats> {
    values.chunks_exact(width.max(1)).map(row).collect()
}

fn row(shares: &[f32]) -> RowStats {
    let mut found = RowStats { min: f32::INFINITY, max: f32::NEG_INFINITY, ..RowStats::default() };
    for share in shares {
        if !share.is_finite() {
            found.bad += 1;
            continue;
        }
        (found.min, found.max) = (found.min.min(*share), found.max.max(*share));
        if *share > 0.0 {
            found.entropy -= f64::from(*share) * f64::from(*share).ln();
        }
    }
    if found.min > found.max { RowStats { bad: found.bad, ..RowStats::default() } } else { found }
}

/// Rms and extrema of each column. Twin of `channels.wgsl`.
pub fn channels(values: &[f32], width: usize) -> Vec<ChannelStats> {
    let mut found = vec![(0f64, 0u64, f32::INFINITY, f32::NEG_INFINITY, 0u64); width];
    for row in values.chunks_exact(width.max(1)) {
        for ((squares, count, min, max, bad), value) in found.iter_mut().zip(row) {
            if value.is_finite() {
                *squares += f64::from(*value) * f64::from(*value);
                *count += 1;
                (*min, *max) = ((*min).min(*value), (*max).max(*value));
            } else {
                *bad += 1;
            }
        }
    }
    let one = |(squares, count, min, max, bad): (f64, u64, f32, f32, u64)| match count {
        0 => ChannelStats { bad, ..ChannelStats::default() },
        _ => ChannelStats { rms: (squares / count as f64).sqrt(), min, max, bad },
    };
    found.into_iter().map(one).collect()
}
