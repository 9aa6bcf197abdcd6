//! Products of matrices in the precision of a plan: 32-bit factors by [`products`], rounded ones by [`bf16`].

use wire::hyperparameters::recipe::Precision;

use super::bf16;
use super::products::{self, Matrix};

/// `out = a b`, or `out += a b`, with factors of this precision.
///
/// # Panics
/// The panics of [`products::multiply`] and [`bf16::multiply`].
pub(crate) fn multiply_in(
    precision: Precision,
    out: Matrix<&mut [f32]>,
    is_added: bool,
    a: Matrix<&[f32]>,
    b: Matrix<&[f32]>,
) {
    match precision {
        Precision::Bfloat16 => bf16::multiply(out, is_added, a, b),
        // No plan trains with float16 on a CPU.
        Precision::Float32 | Precision::Float16 => products::multiply(out, is_added, a, b),
    }
}
