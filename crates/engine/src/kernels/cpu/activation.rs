//! Activations of the MLP. Forward computes the neurons and, from the same exponential, their slopes, which take the place of the inputs:
//! backward is then a product, `d_up = d_neurons slope`.
//!
//! - GELU, tanh form (Hendrycks and Gimpel 2016): `f(x) = x s` with `s = sigmoid(2u)`, `u = sqrt(2/pi) (x + 0.044715 x^3)`;
//!   `f'(x) = s + x s (1 - s) 2u'`.
//! - GELU, exact: `f(x) = x P(x)`, `f'(x) = P(x) + x p(x)` with the distribution `P` and the density `p` of the standard normal.
//! - SwiGLU (Shazeer 2020): `neurons = f(gate) up` with `f(x) = x s`, `s = sigmoid(x)`; `d_up = d_neurons f(gate)` and
//!   `d_gate = d_neurons up f'(gate)`, `f'(x) = s (1 + x (1 - s))`.
//!
//! Layout: any; all slices have one length.

use super::lanes::{exp, fraction, wide_fn};

const ROOT: f32 = 0.797_884_6; // sqrt(2 / pi)
const CUBE: f32 = 0.044_715;

/// Maximum exponent that is computed. Its gate is negligible already; larger exponents would give subnormal gates.
const CLOSED: f32 = 80.0;

/// `1 / (1 + e^x)`, zero if it is negligible.
#[inline(always)]
fn gate(x: f32) -> f32 {
    fraction(1.0 / (1.0 + exp(if x > CLOSED { CLOSED } else { x })))
}

/// Value and slope of GELU, tanh form.
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    let s = gate(-2.0 * ROOT * (x + CUBE * x * x * x));
    (x * s, s + x * s * (1.0 - s) * 2.0 * ROOT * (1.0 + 3.0 * CUBE * x * x))
}

/// Value and slope of GELU, exact form. The distribution is formula 26.2.17 of Abramowitz and Stegun, written for the error function
/// (7.1.26); its error is below 1e-7.
#[inline(always)]
fn gelu_exact(x: f32) -> (f32, f32) {
    const DENSITY: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
    let bell = fraction(exp(-0.5 * x * x));
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let series = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let tail = 0.5 * series * bell;
    let p = if x < 0.0 { tail } else { 1.0 - tail };
    (x * p, p + x * DENSITY * bell)
}

/// Value and slope of SiLU.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let s = gate(-x);
    (x * s, s * (1.0 + x * (1.0 - s)))
}

wide_fn! {
    /// `y = f(x)` with GELU, tanh form.
    pub(crate) fn gelu_values(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = gelu(*x).0;
        }
    }

    /// `neurons = f(up)` with GELU, tanh form; `up` becomes the slope.
    pub(crate) fn gelu_forward(up: &mut [f32], neurons: &mut [f32]) {
        for (up, neuron) in up.iter_mut().zip(neurons) {
            (*neuron, *up) = gelu(*up);
        }
    }

    /// `neurons = f(up)` with exact GELU; `up` becomes the slope.
    pub(crate) fn gelu_exact_forward(up: &mut [f32], neurons: &mut [f32]) {
        for (up, neuron) in up.iter_mut().zip(neurons) {
            (*neuron, *up) = gelu_exact(*up);
        }
    }

    /// `neurons = silu(gate) up`; `gate` and `up` become their slopes.
    pub(crate) fn swiglu_forward(gate: &mut [f32], up: &mut [f32], neurons: &mut [f32]) {
        for ((gate, up), neuron) in gate.iter_mut().zip(up).zip(neurons) {
            let (value, slope) = silu(*gate);
            *neuron = value * *up;
            (*gate, *up) = (*up * slope, value);
        }
    }

    /// `slope` becomes the gradient of the input.
    pub(crate) fn backward(slope: &mut [f32], d_neurons: &[f32]) {
        for (slope, d) in slope.iter_mut().zip(d_neurons) {
            *slope *= d;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Activation = (&'static str, fn(f32) -> (f32, f32), fn(f64) -> f64);

    /// `erf` by its Taylor series, exact to 1e-10 up to 4.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn values_and_slopes_equal_their_definitions() {
        let all: [Activation; 3] = [
            ("tanh", gelu, |x| {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
            }),
            ("exact", gelu_exact, |x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()))),
            ("silu", silu, |x| x / (1.0 + (-x).exp())),
        ];
        for (name, ours, exact) in all {
            for i in -45..=45 {
                let x = i as f32 * 0.1;
                let (value, slope) = ours(x);
                let at = |h: f64| exact(f64::from(x) + h);
                let numeric = (at(1e-4) - at(-1e-4)) / 2e-4;
                assert!((f64::from(value) - at(0.0)).abs() < 2e-6, "{name}({x}): {value} and {}", at(0.0));
                assert!((f64::from(slope) - numeric).abs() < 5e-6, "{name}'({x}): {slope} and {numeric}");
            }
            let (low, high) = (ours(-50.0), ours(50.0));
            assert_eq!((low.0.abs(), low.1.abs(), high), (0.0, 0.0, (50.0, 1.0)), "{name} far from 0");
            let closed = [-12.0, -9.5].map(ours);
            assert!(closed.iter().all(|(value, slope)| !value.is_subnormal() && !slope.is_subnormal()), "{closed:?}");
        }
    }

    #[test]
    fn slopes_of_swiglu_equal_differences() {
        let (gate, up) = ([0.3f32, -1.2, 2.0], [1.5f32, -0.4, 0.7]);
        let (mut d_gate, mut d_up, mut neurons) = (gate, up, [f32::NAN; 3]);
        swiglu_forward(&mut d_gate, &mut d_up, &mut neurons);
        backward(&mut d_gate, &[2.0; 3]);
        backward(&mut d_up, &[2.0; 3]);
        for i in 0..3 {
            let exact = |gate: f64, up: f64| gate / (1.0 + (-gate).exp()) * up;
            let (gate, up, h) = (f64::from(gate[i]), f64::from(up[i]), 1e-4);
            assert!((f64::from(neurons[i]) - exact(gate, up)).abs() < 1e-6);
            let of_gate = (exact(gate + h, up) - exact(gate - h, up)) / h;
            let of_up = (exact(gate, up + h) - exact(gate, up - h)) / h;
            assert!((f64::from(d_gate[i]) - of_gate).abs() < 1e-5, "{} and {of_gate}", d_gate[i]);
            assert!((f64::from(d_up[i]) - of_up).abs() < 1e-5, "{} and {of_up}", d_up[i]);
        }
    }
}
