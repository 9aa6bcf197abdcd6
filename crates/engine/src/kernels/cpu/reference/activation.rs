//! Activations by their formulas. Forward keeps the inputs, and backward computes the slopes again:
//!
//! - GELU, tanh form: `f(x) = x (1 + tanh u) / 2`, `f'(x) = (1 + tanh u) / 2 + x (1 - tanh^2 u) u' / 2`.
//! - GELU, exact: `f(x) = x P(x)`, `f'(x) = P(x) + x p(x)`, `P(x) = (1 + erf(x / sqrt 2)) / 2`.
//! - SwiGLU: `f(x) = x / (1 + e^-x)` of the gate, times `up`.
//!
//! Layout: any; all slices have one length.

use wire::model::Mlp;

const ROOT: f32 = 0.797_884_6; // sqrt(2 / pi)
const CUBE: f32 = 0.044_715;

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + (ROOT * (x + CUBE * x.powi(3))).tanh())
}

fn gelu_slope(x: f32) -> f32 {
    let tanh = (ROOT * (x + CUBE * x.powi(3))).tanh();
    0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * ROOT * (1.0 + 3.0 * CUBE * x * x)
}

/// The distribution of the standard normal; the error function by formula 7.1.26 of Abramowitz and Stegun.
fn distribution(x: f32) -> f32 {
    let z = x.abs() / std::f32::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    0.5 * (1.0 + (1.0 - series * (-z * z).exp()).copysign(x))
}

fn gelu_exact(x: f32) -> f32 {
    x * distribution(x)
}

fn gelu_exact_slope(x: f32) -> f32 {
    distribution(x) + x * (-0.5 * x * x).exp() * 0.398_942_3 // 1 / sqrt(2 pi)
}

fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

fn silu_slope(x: f32) -> f32 {
    let s = 1.0 / (1.0 + (-x).exp());
    s * (1.0 + x * (1.0 - s))
}

/// `neurons = f(up)`, or `silu(gate) up`. `gate` is empty without SwiGLU.
pub(crate) fn forward(kind: Mlp, gate: &[f32], up: &[f32], neurons: &mut [f32]) {
    let f = match kind {
        Mlp::Swiglu => {
            neurons.iter_mut().zip(gate).for_each(|(neuron, gate)| *neuron = silu(*gate));
            return neurons.iter_mut().zip(up).for_each(|(neuron, up)| *neuron *= up);
        }
        Mlp::GeluExact => gelu_exact,
        _ => gelu,
    };
    neurons.iter_mut().zip(up).for_each(|(neuron, up)| *neuron = f(*up));
}

/// `gate` and `up` become their gradients.
pub(crate) fn backward(kind: Mlp, gate: &mut [f32], up: &mut [f32], d_neurons: &[f32]) {
    let slope = match kind {
        Mlp::Swiglu => {
            for ((gate, up), d) in gate.iter_mut().zip(up).zip(d_neurons) {
                (*gate, *up) = (d * *up * silu_slope(*gate), d * silu(*gate));
            }
            return;
        }
        Mlp::GeluExact => gelu_exact_slope,
        _ => gelu_slope,
    };
    up.iter_mut().zip(d_neurons).for_each(|(up, d)| *up = d * slope(*up));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::activation;
    use crate::kernels::cpu::reference::{assert_close, waves};

    #[test]
    fn activations_with_kept_slopes_equal_their_formulas() {
        let (gate, up, d) = (waves(300, 0.7), waves(300, 0.31), waves(300, 1.3));
        for kind in [Mlp::Gelu, Mlp::GeluExact, Mlp::Swiglu] {
            let (mut found, mut expected) = (vec![f32::NAN; 300], vec![f32::NAN; 300]);
            let (mut gates, mut ups) = ([gate.clone(), gate.clone()], [up.clone(), up.clone()]);
            forward(kind, &gates[0], &ups[0], &mut expected);
            backward(kind, &mut gates[0], &mut ups[0], &d);
            match kind {
                Mlp::Swiglu => activation::swiglu_forward(&mut gates[1], &mut ups[1], &mut found),
                Mlp::GeluExact => activation::gelu_exact_forward(&mut ups[1], &mut found),
                _ => activation::gelu_forward(&mut ups[1], &mut found),
            }
            activation::backward(&mut ups[1], &d);
            assert_close(&format!("{kind:?}"), &found, &expected);
            assert_close(&format!("{kind:?}, up"), &ups[1], &ups[0]);
            if kind == Mlp::Swiglu {
                activation::backward(&mut gates[1], &d);
                assert_close("gate", &gates[1], &gates[0]);
            }
        }
    }
}
