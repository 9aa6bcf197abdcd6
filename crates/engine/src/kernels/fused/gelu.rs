//! GELU, tanh form (Hendrycks and Gimpel 2016): `x * sigmoid(2u)` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, one exponential each.

use super::{Fused, Values};
use crate::kernels::cpu::lanes::{exp, fraction, wide_fn};

#[derive(Debug, Clone)]
pub(super) struct Gelu;

const ROOT: f32 = 0.797_884_6; // sqrt(2 / pi)
const CUBE: f32 = 0.044_715;

/// Maximum exponent that is computed. Its gate is negligible already; larger exponents would give subnormal gates.
const CLOSED: f32 = 80.0;

#[inline(always)]
fn gate(x: f32) -> f32 {
    let exponent = -2.0 * ROOT * (x + CUBE * x * x * x);
    fraction(1.0 / (1.0 + exp(if exponent > CLOSED { CLOSED } else { exponent })))
}

wide_fn! {
    fn values(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * gate(x);
        }
    }

    fn gradients(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            let s = gate(x);
            *dx = dy * (s + x * s * (1.0 - s) * 2.0 * ROOT * (1.0 + 3.0 * CUBE * x * x));
        }
    }
}

impl Fused<1> for Gelu {
    fn forward(&self, [x]: [Values; 1]) -> (Values, Vec<Values>) {
        let mut y = vec![0.0; x.get().len()];
        values(x.get(), &mut y);
        (Values::from_vec(y, &x.shape), vec![x])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [x] = kept else { unreachable!("forward keeps x") };
        let mut dx = vec![0.0; x.get().len()];
        gradients(x.get(), gradient.get(), &mut dx);
        [Values::from_vec(dx, &x.shape)]
    }
}
