//! AdamW on a GPU: one kernel for each parameter.
//!
//! ```text
//! g = scale * gradient          m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
//! w = keep w - rate m / (second_scale sqrt(v) + eps)
//! ```
//!
//! Layout: one thread for each value; weight and moments are overwritten unless something else holds them, such as a checkpoint. `scale`, the
//! factor of gradient clipping, is read from the device, so that the step does not wait for the norm of the gradient. Where it is 0, weight
//! and moments stay as they are, whatever the gradient is: the step of a gradient that overflowed is skipped so.
//! Reference implementation: [`crate::kernels::reference::adamw`].

use burn::tensor::Tensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::operator::{queue, tensor, untracked, writable};
use crate::kernels::reference::AdamwStep;

/// The new weight and moments.
///
/// # Shapes
/// Weight, moments and gradient `[n]`, `scale` `[1]`.
pub(crate) fn adamw(
    parameter: [Tensor<1>; 3],
    gradient: Tensor<1>,
    scale: Tensor<1>,
    step: AdamwStep,
) -> [Tensor<1>; 3] {
    let [weight, first, second] = parameter.map(untracked);
    let shapes = [(); 3].map(|()| weight.shape.clone());
    let inputs = [weight, first, second, untracked(gradient), untracked(scale)];
    queue("adamw", inputs, shapes, move |[weight, first, second, gradient, scale]| {
        let [weight, first, second] = [weight, first, second].map(writable);
        let len = weight.meta.num_elements();
        let client = weight.client.clone();
        let dim = CubeDim::new(&client, len);
        let count = calculate_cube_count_elemwise(&client, len, dim);
        adamw_kernel::launch(
            &client,
            count,
            dim,
            weight.clone().into_buffer_arg(),
            first.clone().into_buffer_arg(),
            second.clone().into_buffer_arg(),
            gradient.into_buffer_arg(),
            scale.into_buffer_arg(),
            step.beta1 as f32,
            (1.0 - step.beta1) as f32,
            step.beta2 as f32,
            (1.0 - step.beta2) as f32,
            step.second_scale as f32,
            step.eps as f32,
            step.rate as f32,
            step.keep as f32,
        );
        [weight, first, second]
    })
    .map(tensor)
}

#[cube(launch)]
fn adamw_kernel(
    weight: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    scale: &[f32],
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    second_scale: f32,
    eps: f32,
    rate: f32,
    keep: f32,
) {
    if ABSOLUTE_POS < weight.len() && scale[0] != 0.0f32 {
        let g = gradient[ABSOLUTE_POS] * scale[0];
        let m = first[ABSOLUTE_POS] * beta1 + g * rest1;
        let v = second[ABSOLUTE_POS] * beta2 + g * g * rest2;
        let root = v.sqrt() * second_scale + eps;
        weight[ABSOLUTE_POS] = weight[ABSOLUTE_POS] * keep - m / root * rate;
        first[ABSOLUTE_POS] = m;
        second[ABSOLUTE_POS] = v;
    }
}
