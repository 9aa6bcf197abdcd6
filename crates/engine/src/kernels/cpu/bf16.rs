//! Products of matrices whose factors are rounded to bfloat16, with 32-bit sums, on one thread.
//!
//! Formula: `out = round(a) round(b)` or `out += round(a) round(b)`; `round` is to the nearest, ties to even, and keeps NaN and infinity.
//!
//! Layout: both factors are packed in blocks. A *panel* is 32 rows of `a` or 32 columns of `b`; a *pair* is two values that follow each other
//! along the sum, in one 32-bit word, as the instructions read them. For each [`DEPTH`] values of the sum, a panel of `a` has two tiles of
//! `[16 rows][16 pairs]`, and a panel of `b` two tiles of `[16 pairs][16 columns]`. Places outside a matrix are zero.
//!
//! Reference: 32-bit products of factors that were rounded before, which processors without instructions for bfloat16 use.
//! [`amx`] has tiles of the processor (Intel since Sapphire Rapids), [`avx512`] products of pairs (AMD since Zen 4). They add in other
//! orders, so their sums differ in the last digits, and they take subnormal numbers as zero.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod pack;

use std::cell::RefCell;
use std::sync::LazyLock;

use super::products::{self, Matrix};

/// Rows or columns of a tile, and pairs in it.
const TILE: usize = 16;
/// Rows or columns of a panel.
const PANEL: usize = 2 * TILE;
/// Values of the sum in a tile.
const DEPTH: usize = 2 * TILE;
/// Words of a panel for [`DEPTH`] values of the sum.
const CHUNK: usize = PANEL * TILE;

/// Values of the sum in a block.
const BLOCK_DEPTH: usize = 1024;
/// Columns of `b` in a block, whose 1 MB stays in the second-level cache while all rows of `a` pass.
const BLOCK_COLUMNS: usize = 512;
/// Rows of `a` in a block.
const BLOCK_ROWS: usize = 128;

/// The instructions that compute a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Those of 32-bit floats.
    Float32,
}

/// The fastest that this processor and system have.
static FASTEST: LazyLock<Instructions> = LazyLock::new(|| {
    let is_fast = |instructions: &Instructions| match instructions {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => avx512::is_fast(),
        _ => true,
    };
    available().into_iter().find(is_fast).unwrap_or(Instructions::Float32)
});

/// All that this processor and system have.
fn available() -> Vec<Instructions> {
    let mut all = vec![];
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    all.extend(amx::is_available().then_some(Instructions::Amx));
    #[cfg(target_arch = "x86_64")]
    all.extend(avx512::is_available().then_some(Instructions::Avx512));
    all.push(Instructions::Float32);
    all
}

impl Instructions {
    /// The fastest that this processor and system have.
    pub(crate) fn fastest() -> Self {
        *FASTEST
    }

    /// Name, for people; `None` if the processor has no instructions for bfloat16.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => Some("AMX"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Some("AVX-512 BF16"),
            Self::Float32 => None,
        }
    }
}

thread_local! {
    /// Packed blocks of `a` and `b`, allocated once for each thread. A word has a pair, or a rounded value.
    static PACKED: RefCell<[Vec<u32>; 2]> = const { RefCell::new([vec![], vec![]]) };
}

/// `out = round(a) round(b)`, or `out += round(a) round(b)`.
///
/// # Panics
/// The shapes do not match, or rows and columns of a matrix are both apart.
pub(crate) fn multiply(out: Matrix<&mut [f32]>, is_added: bool, a: Matrix<&[f32]>, b: Matrix<&[f32]>) {
    multiply_by(Instructions::fastest(), out, is_added, a, b);
}

fn multiply_by(by: Instructions, out: Matrix<&mut [f32]>, is_added: bool, a: Matrix<&[f32]>, b: Matrix<&[f32]>) {
    assert_eq!((a.shape[0], b.shape), (out.shape[0], [a.shape[1], out.shape[1]]), "shapes of a product");
    if out.strides[1] != 1 {
        // The transposed product has its columns side by side.
        return multiply_by(by, out.transposed(), is_added, b.transposed(), a.transposed());
    }
    PACKED.with_borrow_mut(|[packed_a, packed_b]| {
        let word = if by == Instructions::Float32 { 1 } else { 2 };
        packed_a.resize(BLOCK_ROWS * BLOCK_DEPTH / word, 0);
        packed_b.resize(BLOCK_COLUMNS * BLOCK_DEPTH / word, 0);
        Product { by, out, a, b, packed_a, packed_b }.compute(is_added);
    });
}

struct Product<'a> {
    by: Instructions,
    /// Columns are side by side.
    out: Matrix<&'a mut [f32]>,
    a: Matrix<&'a [f32]>,
    b: Matrix<&'a [f32]>,
    packed_a: &'a mut [u32],
    packed_b: &'a mut [u32],
}

/// Parts of `size` of a length: where each begins, and how long it is.
fn parts(len: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(size).map(move |from| (from, size.min(len - from)))
}

impl Product<'_> {
    fn compute(mut self, is_added: bool) {
        let ([rows, columns], depth) = (self.out.shape, self.a.shape[1]);
        if depth == 0 && !is_added {
            (0..rows).for_each(|row| self.out.row(row).fill(0.0));
        }
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        let _tiles = (self.by == Instructions::Amx).then(amx::Tiles::configure);
        for (column, width) in parts(columns, BLOCK_COLUMNS) {
            for (from, deep) in parts(depth, BLOCK_DEPTH) {
                let of_b = self.b.rows(from, deep).transposed().rows(column, width);
                self.pack_b(of_b);
                for (row, height) in parts(rows, BLOCK_ROWS) {
                    let of_a = self.a.rows(row, height).transposed().rows(from, deep).transposed();
                    self.block(of_a, [row, column], width, is_added || from > 0);
                }
            }
        }
    }

    /// `b`: transposed.
    fn pack_b(&mut self, b: Matrix<&[f32]>) {
        match self.by {
            Instructions::Float32 => pack::rounded(b, bytemuck::cast_slice_mut(self.packed_b)),
            _ => pack::columns(b, self.packed_b),
        }
    }

    /// The product of rows of `a` and the packed columns of `b`.
    fn block(&mut self, a: Matrix<&[f32]>, [row, column]: [usize; 2], width: usize, is_added: bool) {
        let [height, deep] = a.shape;
        if self.by != Instructions::Float32 {
            pack::rows(a, self.packed_a);
            return self.panels([row, height], [column, width], deep.div_ceil(DEPTH), is_added);
        }
        let [of_a, of_b] = [&mut *self.packed_a, &mut *self.packed_b].map(bytemuck::cast_slice_mut::<u32, f32>);
        pack::rounded(a, of_a);
        let a = Matrix::dense(&of_a[..height * deep], deep);
        let b = Matrix::dense(&of_b[..width * deep], deep).transposed();
        let strides = self.out.strides;
        let values = &mut self.out.values[row * strides[0] + column..];
        products::multiply(Matrix { values, shape: [height, width], strides }, is_added, a, b);
    }

    /// The products of all packed panels.
    fn panels(&mut self, [row, height]: [usize; 2], [column, width]: [usize; 2], chunks: usize, is_added: bool) {
        for ((down, tall), a) in parts(height, PANEL).zip(self.packed_a.chunks_exact(chunks * CHUNK)) {
            for ((right, wide), b) in parts(width, PANEL).zip(self.packed_b.chunks_exact(chunks * CHUNK)) {
                let stride = self.out.strides[0];
                let out = &mut self.out.values[(row + down) * stride + column + right..];
                if [tall, wide] == [PANEL; 2] {
                    panel(self.by, a, b, out, stride, is_added);
                    continue;
                }
                let mut whole = [0.0; PANEL * PANEL];
                panel(self.by, a, b, &mut whole, PANEL, false);
                for (row, from) in whole.chunks_exact(PANEL).take(tall).enumerate() {
                    let to = &mut out[row * stride..][..wide];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = if is_added { *to + from } else { *from });
                }
            }
        }
    }
}

/// `[32, 32]` of the product of two panels, rows `stride` apart.
fn panel(by: Instructions, a: &[u32], b: &[u32], out: &mut [f32], stride: usize, is_added: bool) {
    assert!(a.len() == b.len() && a.len().is_multiple_of(CHUNK) && out.len() >= (PANEL - 1) * stride + PANEL);
    match by {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        Instructions::Amx => amx::panel(a, b, out, stride, is_added),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => avx512::panel(a, b, out, stride, is_added),
        Instructions::Float32 => unreachable!("rounded factors are not packed in panels"),
    }
}

#[cfg(test)]
mod tests {
    use testing::Random;

    use super::*;

    fn rounded(x: f32) -> f32 {
        f32::from_bits(pack::round(x) << 16)
    }

    fn at(matrix: &Matrix<&[f32]>, row: usize, column: usize) -> f32 {
        matrix.values[row * matrix.strides[0] + column * matrix.strides[1]]
    }

    /// A matrix with its rows or its columns side by side, and a gap between them.
    fn random<'a>(random: &mut Random, values: &'a mut Vec<f32>, shape: [usize; 2]) -> Matrix<&'a [f32]> {
        let (is_transposed, gap) = (random.below(2) == 1, random.below(3) as usize);
        let strides = if is_transposed { [1, shape[0] + gap] } else { [shape[1] + gap, 1] };
        values.extend((0..(shape[0] + gap) * (shape[1] + gap) + 1).map(|_| random.below(2001) as f32 / 700.0 - 1.4));
        Matrix { values, shape, strides }
    }

    #[test]
    fn products_equal_sums_of_rounded_factors_with_all_instructions() {
        for seed in testing::seeds(0..40) {
            let of = &mut Random::new(seed);
            let [rows, columns, depth] = [130, 70, 1100].map(|most| 1 + of.below(most) as usize);
            let (mut a, mut b, mut out) = (vec![], vec![], vec![]);
            let a = random(of, &mut a, [rows, depth]);
            let b = random(of, &mut b, [depth, columns]);
            let before = random(of, &mut out, [rows, columns]);
            let is_added = of.below(2) == 1;
            for by in available() {
                let mut values = before.values.to_vec();
                let Matrix { shape, strides, .. } = before;
                multiply_by(by, Matrix { values: &mut values[..], shape, strides }, is_added, a, b);
                let after = Matrix { values: &values[..], ..before };
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    let terms = || (0..depth).map(|k| rounded(at(&a, row, k)) * rounded(at(&b, k, column)));
                    let expected = terms().sum::<f32>() + if is_added { at(&before, row, column) } else { 0.0 };
                    let bound = 1e-5 * (1.0 + terms().map(f32::abs).sum::<f32>());
                    let value = at(&after, row, column);
                    assert!(
                        (value - expected).abs() < bound,
                        "seed {seed}, {by:?}, {row}, {column}: {value}, {expected}"
                    );
                }
                let is_gap = |index: usize| {
                    let [down, right] = before.strides;
                    let (far, near) = (index / down.max(right), index % down.max(right));
                    let [row, column] = if right == 1 { [far, near] } else { [near, far] };
                    row >= rows || column >= columns
                };
                let kept = |index: &usize| values[*index].to_bits() == before.values[*index].to_bits();
                assert!(
                    (0..values.len()).filter(|index| is_gap(*index)).all(|index| kept(&index)),
                    "seed {seed}, {by:?}"
                );
            }
        }
    }

    #[test]
    fn values_that_are_not_finite_stay_so() {
        for special in [f32::NAN, f32::INFINITY, f32::from_bits(0x7fff_ffff)] {
            for by in available() {
                let mut a = vec![1.0; 40];
                a[37] = special;
                let mut out = [0.0; 1];
                let (a, b) = (Matrix::dense(&a[..], 40), Matrix::dense(&[1.0; 40][..], 1));
                multiply_by(by, Matrix::dense(&mut out[..], 1), false, a, b);
                assert_eq!(out[0].is_nan(), special.is_nan(), "{by:?}: {out:?}");
                assert!(!out[0].is_finite(), "{by:?}: {out:?}");
            }
        }
    }
}
