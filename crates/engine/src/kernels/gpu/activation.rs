//! GELU (tanh form) and SwiGLU on a GPU, forward and backward: one kernel each, and only the inputs are kept for the backward.
//!
//! ```text
//! gelu(x) = x s,  s = sigmoid(2u),  u = sqrt(2/pi) (x + 0.044715 x^3)      gelu'(x) = s + x s (1 - s) 2u'(x)
//! swiglu(a, b) = a s b,  s = sigmoid(a)      d/da = dy b s (1 + a (1 - s))      d/db = dy a s
//! ```
//!
//! Layout: one thread for each value. Reference implementations: `gelu_approximate`, and `silu` times the other factor, of burn.

use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::operator::{differentiable, empty_like, queue};

/// GELU, tanh form.
///
/// # Shapes
/// Any shape to the same shape.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let forward = |[x]: [_; 1]| {
        let [y] = queue("gelu", [Clone::clone(&x)], [x.shape.clone()], |[x]| {
            let y = empty_like(&x, x.meta.shape().clone());
            let (count, dim) = one_unit_each(&x);
            gelu_kernel::launch(&y.client, count, dim, x.into_buffer_arg(), y.clone().into_buffer_arg());
            [y]
        });
        (y, x)
    };
    differentiable([x.into()], forward, |x, dy| {
        let shape = x.shape.clone();
        queue("gelu_backward", [x, dy], [shape], |[x, dy]| {
            let dx = empty_like(&x, x.meta.shape().clone());
            let (count, dim) = one_unit_each(&x);
            let (x, dy) = (x.into_buffer_arg(), dy.into_buffer_arg());
            gelu_backward_kernel::launch(&dx.client, count, dim, x, dy, dx.clone().into_buffer_arg());
            [dx]
        })
    })
}

/// `silu(gate) * up`.
///
/// # Shapes
/// Twice any shape to the same shape.
pub(crate) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let forward = |[gate, up]: [_; 2]| {
        let inputs = [Clone::clone(&gate), Clone::clone(&up)];
        let [y] = queue("swiglu", inputs, [gate.shape.clone()], |[gate, up]| {
            let y = empty_like(&gate, gate.meta.shape().clone());
            let (count, dim) = one_unit_each(&gate);
            let (gate, up) = (gate.into_buffer_arg(), up.into_buffer_arg());
            swiglu_kernel::launch(&y.client, count, dim, gate, up, y.clone().into_buffer_arg());
            [y]
        });
        (y, [gate, up])
    };
    differentiable([gate.into(), up.into()], forward, |[gate, up], dy| {
        let shapes = [gate.shape.clone(), gate.shape.clone()];
        queue("swiglu_backward", [gate, up, dy], shapes, |[gate, up, dy]| {
            let [dgate, dup] = [(); 2].map(|()| empty_like(&gate, gate.meta.shape().clone()));
            let (count, dim) = one_unit_each(&gate);
            swiglu_backward_kernel::launch(
                &dup.client,
                count,
                dim,
                gate.into_buffer_arg(),
                up.into_buffer_arg(),
                dy.into_buffer_arg(),
                dgate.clone().into_buffer_arg(),
                dup.clone().into_buffer_arg(),
            );
            [dgate, dup]
        })
    })
}

fn one_unit_each(tensor: &CubeTensor) -> (CubeCount, CubeDim) {
    let len = tensor.meta.num_elements();
    let dim = CubeDim::new(&tensor.client, len);
    (calculate_cube_count_elemwise(&tensor.client, len, dim), dim)
}

/// The exponent is bounded, so that no processor computes with infinity.
#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0f32 / (1.0f32 + min(-x, 80.0f32).exp())
}

/// `2u(x)`: `2 sqrt(2/pi)` is 1.59577.
#[cube]
fn twice_u(x: f32) -> f32 {
    1.595_769_1f32 * (x + 0.044_715f32 * x * x * x)
}

#[cube(launch)]
fn gelu_kernel(x: &[f32], y: &mut [f32]) {
    if ABSOLUTE_POS < y.len() {
        let x = x[ABSOLUTE_POS];
        y[ABSOLUTE_POS] = x * sigmoid(twice_u(x));
    }
}

#[cube(launch)]
fn gelu_backward_kernel(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    if ABSOLUTE_POS < dx.len() {
        let x = x[ABSOLUTE_POS];
        let s = sigmoid(twice_u(x));
        let slope = 1.595_769_1f32 * (1.0f32 + 0.134_145f32 * x * x);
        dx[ABSOLUTE_POS] = dy[ABSOLUTE_POS] * (s + x * s * (1.0f32 - s) * slope);
    }
}

#[cube(launch)]
fn swiglu_kernel(gate: &[f32], up: &[f32], y: &mut [f32]) {
    if ABSOLUTE_POS < y.len() {
        let gate = gate[ABSOLUTE_POS];
        y[ABSOLUTE_POS] = gate * sigmoid(gate) * up[ABSOLUTE_POS];
    }
}

#[cube(launch)]
fn swiglu_backward_kernel(gate: &[f32], up: &[f32], dy: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    if ABSOLUTE_POS < dup.len() {
        let (gate, dy) = (gate[ABSOLUTE_POS], dy[ABSOLUTE_POS]);
        let s = sigmoid(gate);
        dgate[ABSOLUTE_POS] = dy * up[ABSOLUTE_POS] * s * (1.0f32 + gate * (1.0f32 - s));
        dup[ABSOLUTE_POS] = dy * gate * s;
    }
}
