//! Rounds a block of a factor and packs it into panels; [`super`] has the layout.

use super::super::lanes::wide_fn;
use super::super::products::Matrix;
use super::{CHUNK, DEPTH, PANEL, TILE};

/// The bits of the nearest bfloat16, ties to even. NaN stays NaN.
#[inline(always)]
pub(super) fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    (if x.is_nan() { bits | 0x0040_0000 } else { nearest }) >> 16
}

#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    round(first) | round(second) << 16
}

/// Packs rows of `a`, `[rows, depth]`.
pub(super) fn rows(a: Matrix<&[f32]>, packed: &mut [u32]) {
    match a.strides {
        [_, 1] => pack(a.values, a.strides[0], a.shape, Lines::Along, false, packed),
        [1, _] => pack(a.values, a.strides[1], a.shape, Lines::Across, true, packed),
        _ => panic!("rows and columns of a factor are both apart"),
    }
}

/// Packs columns of `b`, given transposed: `[columns, depth]`.
pub(super) fn columns(b: Matrix<&[f32]>, packed: &mut [u32]) {
    match b.strides {
        [1, _] => pack(b.values, b.strides[1], b.shape, Lines::Across, false, packed),
        [_, 1] => pack(b.values, b.strides[0], b.shape, Lines::Along, true, packed),
        _ => panic!("rows and columns of a factor are both apart"),
    }
}

/// Rounds a matrix `[lines, depth]`, row by row.
pub(super) fn rounded(matrix: Matrix<&[f32]>, to: &mut [f32]) {
    let ([_, depth], [down, right]) = (matrix.shape, matrix.strides);
    for (line, to) in to.chunks_exact_mut(depth.max(1)).take(matrix.shape[0]).enumerate() {
        let from = &matrix.values[line * down..];
        for (to, from) in to.iter_mut().zip(from.iter().step_by(right)) {
            *to = f32::from_bits(round(*from) << 16);
        }
    }
}

/// How the values of a line, a row of `a` or a column of `b`, are in memory.
#[derive(Debug, Clone, Copy)]
enum Lines {
    /// Side by side: value `[line, k]` is at `line * stride + k`.
    Along,
    /// Apart: value `[line, k]` is at `k * stride + line`.
    Across,
}

wide_fn! {
    /// `[lines, depth]` to panels. A tile has the order of memory, or is transposed.
    fn pack(values: &[f32], stride: usize, shape: [usize; 2], lines: Lines, is_transposed: bool, packed: &mut [u32]) {
        let [count, depth] = shape;
        let mut tiles = packed.chunks_exact_mut(TILE * TILE);
        for panel in (0..count).step_by(PANEL) {
            for from in (0..depth).step_by(DEPTH) {
                for line in [panel, panel + TILE] {
                    let to = tiles.next().expect("the block has room for all panels");
                    let size = [count.saturating_sub(line).min(TILE), DEPTH.min(depth - from)];
                    let begin = match lines {
                        Lines::Along => line * stride + from,
                        Lines::Across => from * stride + line,
                    };
                    let values = values.get(begin..).unwrap_or_default();
                    match lines {
                        _ if size[0] == 0 => to.fill(0),
                        Lines::Along => along(values, stride, size, to),
                        Lines::Across => across(values, stride, size, to),
                    }
                    if is_transposed {
                        transpose(to);
                    }
                }
            }
        }
    }
}

/// A tile `[line][pair]`.
#[inline(always)]
fn along(values: &[f32], stride: usize, [lines, depth]: [usize; 2], to: &mut [u32]) {
    if [lines, depth] != [TILE, DEPTH] {
        to.fill(0);
    }
    for (line, to) in to.chunks_exact_mut(TILE).take(lines).enumerate() {
        let from = &values[line * stride..][..depth];
        let (pairs, rest) = from.as_chunks::<2>();
        for (to, [first, second]) in to.iter_mut().zip(pairs) {
            *to = pair(*first, *second);
        }
        if let [last] = rest {
            to[pairs.len()] = round(*last);
        }
    }
}

/// A tile `[pair][line]`.
#[inline(always)]
fn across(values: &[f32], stride: usize, [lines, depth]: [usize; 2], to: &mut [u32]) {
    if [lines, depth] != [TILE, DEPTH] {
        to.fill(0);
    }
    for (at, to) in to.chunks_exact_mut(TILE).take(depth.div_ceil(2)).enumerate() {
        let first = &values[2 * at * stride..][..lines];
        if 2 * at + 1 == depth {
            to.iter_mut().zip(first).for_each(|(to, first)| *to = round(*first));
            continue;
        }
        let second = &values[(2 * at + 1) * stride..][..lines];
        for ((to, first), second) in to.iter_mut().zip(first).zip(second) {
            *to = pair(*first, *second);
        }
    }
}

#[inline(always)]
fn transpose(tile: &mut [u32]) {
    let mut from = [0; TILE * TILE];
    from.copy_from_slice(tile);
    for (row, to) in tile.chunks_exact_mut(TILE).enumerate() {
        for (column, to) in to.iter_mut().enumerate() {
            *to = from[column * TILE + row];
        }
    }
}

const _: () = assert!(CHUNK == 2 * TILE * TILE);

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn rounding_is_to_the_nearest_and_to_even_between_two() {
        let cases = [
            (0x3f80_0000, 0x3f80), // 1
            (0x3f80_7fff, 0x3f80),
            (0x3f80_8000, 0x3f80), // between two: the even one
            (0x3f80_8001, 0x3f81),
            (0x3f81_8000, 0x3f82), // between two: the even one
            (0x7f7f_ffff, 0x7f80), // the largest number rounds to infinity
            (0xff80_0000, 0xff80),
            (0x8000_0000, 0x8000),
        ];
        for (bits, expected) in cases {
            assert_eq!(round(f32::from_bits(bits)), expected, "{bits:x}");
        }
    }
}
