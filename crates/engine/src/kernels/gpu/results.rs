//! The results of kernels read from their output words: partial sums are unscaled and added in 64 bits, floats come from order-preserving
//! words.

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

/// `Partial` of `moments.wgsl`. Sums are scaled by 2^75, 1 and 2^-75.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Partial {
    sums: [f32; 3],
    squares: [f32; 3],
    least: u32,
    greatest: u32,
    count: u32,
    non_finite: u32,
}

/// The results in the words of a transfer.
pub(super) fn read(words: &[u32], spans: &Reductions<Span>) -> ReductionResults {
    let of = |span: &Span| words.get(span.first_word..span.first_word + span.words).unwrap_or_default();
    ReductionResults {
        moments: spans.moments.iter().map(|span| moments(bytemuck::cast_slice(of(span)))).collect(),
        histograms: spans.histograms.iter().map(|span| histogram(of(span))).collect(),
        tiles: spans.tiles.iter().map(|(span, grid)| tiles(of(span), *grid)).collect(),
        rows: spans.rows.iter().map(|span| of(span).as_chunks().0.iter().map(row).collect()).collect(),
        channels: spans.channels.iter().map(|span| channels(of(span), span.width)).collect(),
    }
}

/// Partials of one tensor, unscaled and added in 64 bits.
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
    let least = partials.iter().map(|part| part.least).min().unwrap_or_default();
    let greatest = partials.iter().map(|part| part.greatest).max().unwrap_or_default();
    let n = count as f64;
    let (min, max) = (f64::from(float(least)), f64::from(float(greatest)));
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
    let tile = |(place, [mean, least, greatest, count]): (usize, &[u32; TILE_WORDS])| {
        let (i, j) = (place / grid.tile_columns, place % grid.tile_columns);
        let elements = len(grid.rows, grid.tile_rows, i) * len(grid.columns, grid.tile_columns, j);
        match count {
            0 => Tile { mean: f32::NAN, min: f32::NAN, max: f32::NAN },
            _ => Tile {
                mean: (f64::from(f32::from_bits(*mean)) * elements as f64 / f64::from(*count)) as f32,
                min: float(*least),
                max: float(*greatest),
            },
        }
    };
    words.as_chunks().0.iter().enumerate().map(tile).collect()
}

fn row([entropy, least, greatest, non_finite]: &[u32; ROW_WORDS]) -> RowStats {
    let non_finite = u64::from(*non_finite);
    if least > greatest {
        return RowStats { non_finite, ..RowStats::default() };
    }
    RowStats { entropy: f32::from_bits(*entropy).into(), min: float(*least), max: float(*greatest), non_finite }
}

fn channels(words: &[u32], width: usize) -> Vec<ChannelStats> {
    let channel = |[rms, least, greatest, non_finite]: &[u32; CHANNEL_WORDS]| {
        let non_finite = u64::from(*non_finite);
        if least > greatest {
            return ChannelStats { non_finite, ..ChannelStats::default() };
        }
        ChannelStats { rms: f32::from_bits(*rms).into(), min: float(*least), max: float(*greatest), non_finite }
    };
    match words {
        [] => vec![ChannelStats::default(); width],
        words => words.as_chunks().0.iter().map(channel).collect(),
    }
}

/// The float of an ordered word.
fn float(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered })
}
