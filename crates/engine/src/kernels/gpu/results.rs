//! Reads the results of kernels from their output words: partial sums are unscaled and added in 64 bits, extrema are decoded from
//! order-preserving words.

use bytemuck::{Pod, Zeroable};
use wire::inspect::result::Histogram;
use wire::inspect::statistics::Moments;

use super::Span;
use crate::kernels::reduce::{ChannelStats, Grid, ReductionResults, Reductions, RowStats, Tile};

/// Words of a partial of `moments.wgsl`.
pub(super) const MOMENTS_WORDS: usize = size_of::<Partial>() / size_of::<u32>();
/// Words of a partial of `histogram.wgsl`.
pub(super) const HISTOGRAM_WORDS: usize = 2 * Histogram::BINS + 2;
/// Words of a tile of `tiles.wgsl`.
pub(super) const TILE_WORDS: usize = 4;
/// Words of a row of `rows.wgsl`.
pub(super) const ROW_WORDS: usize = 4;
/// Words of a column of `channels.wgsl`.
pub(super) const CHANNEL_WORDS: usize = 4;

/// `Partial` of `moments.wgsl`. Sums are scaled by 2^75, 1 and 2^-75; `min` and `max` are order-preserving words.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Partial {
    sums: [f32; 3],
    squares: [f32; 3],
    min: u32,
    max: u32,
    count: u32,
    non_finite: u32,
}

/// Reads the results from the words of a transfer.
pub(super) fn read(words: &[u32], spans: &Reductions<Span>) -> ReductionResults {
    let words_of = |span: &Span| words.get(span.first_word..span.first_word + span.words).unwrap_or_default();
    ReductionResults {
        moments: spans.moments.iter().map(|span| moments(bytemuck::cast_slice(words_of(span)))).collect(),
        histograms: spans.histograms.iter().map(|span| histogram(words_of(span))).collect(),
        tiles: spans.tiles.iter().map(|(span, grid)| tiles(words_of(span), *grid)).collect(),
        rows: spans.rows.iter().map(|span| words_of(span).as_chunks().0.iter().map(row).collect()).collect(),
        channels: spans.channels.iter().map(|span| channels(words_of(span), span.width)).collect(),
    }
}

/// Adds the partials of one tensor, unscaled, in 64 bits.
fn moments(partials: &[Partial]) -> Moments {
    let scale = 2f64.powi(75);
    let add = |of: fn(&Partial) -> [f32; 3], small: f64, large: f64| {
        partials.iter().map(of).map(|[s, m, l]| f64::from(s) * small + f64::from(m) + f64::from(l) * large).sum::<f64>()
    };
    let (count, non_finite) = partials.iter().fold((0u64, 0u64), |(count, non_finite), part| {
        (count + u64::from(part.count), non_finite + u64::from(part.non_finite))
    });
    if count == 0 {
        return Moments { non_finite, ..Moments::default() };
    }
    let (sum, squares) =
        (add(|part| part.sums, 1.0 / scale, scale), add(|part| part.squares, 1.0 / (scale * scale), scale * scale));
    let min = partials.iter().map(|part| part.min).min().unwrap_or_default();
    let max = partials.iter().map(|part| part.max).max().unwrap_or_default();
    let n = count as f64;
    let (min, max) = (f64::from(float(min)), f64::from(float(max)));
    Moments { count, non_finite, mean: sum / n, rms: (squares / n).sqrt(), min, max }
}

fn histogram(words: &[u32]) -> Histogram {
    let mut sums = [0u64; HISTOGRAM_WORDS];
    for part in words.chunks_exact(HISTOGRAM_WORDS) {
        sums.iter_mut().zip(part).for_each(|(sum, count)| *sum += u64::from(*count));
    }
    let (negative, rest) = sums.split_at(Histogram::BINS);
    let (positive, rest) = rest.split_at(Histogram::BINS);
    Histogram { negative: negative.to_vec(), zeros: rest[0], positive: positive.to_vec(), non_finite: rest[1] }
}

fn tiles(words: &[u32], grid: Grid) -> Vec<Tile> {
    let len = |len: usize, tiles: usize, tile: usize| (tile + 1) * len / tiles - tile * len / tiles;
    let tile = |(index, [mean, min, max, count]): (usize, &[u32; TILE_WORDS])| {
        let (i, j) = (index / grid.tile_columns, index % grid.tile_columns);
        let elements = len(grid.rows, grid.tile_rows, i) * len(grid.columns, grid.tile_columns, j);
        match count {
            0 => Tile { mean: f32::NAN, min: f32::NAN, max: f32::NAN },
            _ => Tile {
                mean: (f64::from(f32::from_bits(*mean)) * elements as f64 / f64::from(*count)) as f32,
                min: float(*min),
                max: float(*max),
            },
        }
    };
    words.as_chunks().0.iter().enumerate().map(tile).collect()
}

fn row([entropy, min, max, non_finite]: &[u32; ROW_WORDS]) -> RowStats {
    let non_finite = u64::from(*non_finite);
    if min > max {
        return RowStats { non_finite, ..RowStats::default() };
    }
    RowStats { entropy: f32::from_bits(*entropy).into(), min: float(*min), max: float(*max), non_finite }
}

fn channels(words: &[u32], width: usize) -> Vec<ChannelStats> {
    let channel = |[rms, min, max, non_finite]: &[u32; CHANNEL_WORDS]| {
        let non_finite = u64::from(*non_finite);
        if min > max {
            return ChannelStats { non_finite, ..ChannelStats::default() };
        }
        ChannelStats { rms: f32::from_bits(*rms).into(), min: float(*min), max: float(*max), non_finite }
    };
    match words {
        [] => vec![ChannelStats::default(); width],
        words => words.as_chunks().0.iter().map(channel).collect(),
    }
}

/// Decodes an order-preserving word.
fn float(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered })
}
