//! Layer norm and root-mean-square norm on a GPU with a gain: one kernel forward, three backward.
//!
//! ```text
//! n = (x - mean) r,  r = 1 / sqrt(mean((x - mean)^2) + eps)      y = n gain         (root-mean-square norm: mean = 0)
//! g = dy gain        dx = r (g - mean(g) - n mean(g n))                             (root-mean-square norm: without mean(g))
//! dgain = sum over rows of dy n
//! ```
//!
//! Layout: rows of the last dimension, one cube for each; `mean` and `r` of each row are kept for the backward. The gradient of the gain is
//! summed over at most [`SLICES`] slices of rows, one thread for each column of a slice, then over the slices: no atomic sums, so equal
//! inputs give equal bits. Reference implementations: burn's `layer_norm`, and [`crate::kernels::reference::rms`] times the gain.

use burn::tensor::{Shape, Tensor};
use cubecl::prelude::*;

use super::operator::{Lazy, differentiable, empty_like, queue};
use super::rows::{UNITS, cubes, sum_of_units, units};

/// Maximum number of slices of rows.
const SLICES: usize = 64;

/// Layer norm if `is_centred`, otherwise root-mean-square norm, over the last dimension.
///
/// # Shapes
/// `[.., d]` and `[d]` to `[.., d]`.
pub(crate) fn norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f32, is_centred: bool) -> Tensor<D> {
    let width = x.dims()[D - 1];
    let rows = x.shape().num_elements() / width.max(1);
    let forward = |[x, gain]: [Lazy; 2]| {
        let (inputs, shapes) = ([x.clone(), gain.clone()], [x.shape.clone(), Shape::new([rows, 2])]);
        let [y, centres] = queue("norm", inputs, shapes, move |[x, gain]| {
            let (y, centres) = (empty_like(&x, x.meta.shape().clone()), empty_like(&x, Shape::new([rows, 2])));
            norm_kernel::launch(
                &y.client,
                cubes(rows),
                units(),
                x.into_buffer_arg(),
                gain.into_buffer_arg(),
                y.clone().into_buffer_arg(),
                centres.clone().into_buffer_arg(),
                eps,
                is_centred,
            );
            [y, centres]
        });
        (y, [x, gain, centres])
    };
    differentiable([x.into(), gain.into()], forward, move |[x, gain, centres], dy| {
        let dx = input_gradient([x.clone(), gain, centres.clone(), dy.clone()], rows, is_centred);
        [dx, gain_gradient([x, centres, dy], rows, width)]
    })
}

fn input_gradient(inputs: [Lazy; 4], rows: usize, is_centred: bool) -> Lazy {
    let shape = inputs[0].shape.clone();
    let [dx] = queue("norm_backward", inputs, [shape], move |[x, gain, centres, dy]| {
        let dx = empty_like(&x, x.meta.shape().clone());
        norm_backward_kernel::launch(
            &dx.client,
            cubes(rows),
            units(),
            x.into_buffer_arg(),
            gain.into_buffer_arg(),
            centres.into_buffer_arg(),
            dy.into_buffer_arg(),
            dx.clone().into_buffer_arg(),
            is_centred,
        );
        [dx]
    });
    dx
}

fn gain_gradient(inputs: [Lazy; 3], rows: usize, width: usize) -> Lazy {
    let slices = rows.div_ceil(UNITS as usize).clamp(1, SLICES);
    let columns = width.div_ceil(UNITS as usize) as u32;
    let [dgain] = queue("norm_gain_backward", inputs, [Shape::new([width])], move |[x, centres, dy]| {
        let partial = empty_like(&x, Shape::new([slices, width]));
        let dgain = empty_like(&x, Shape::new([width]));
        gain_backward_kernel::launch(
            &x.client.clone(),
            CubeCount::Static(columns, slices as u32, 1),
            units(),
            x.into_buffer_arg(),
            centres.into_buffer_arg(),
            dy.into_buffer_arg(),
            partial.clone().into_buffer_arg(),
            rows as u32,
            width as u32,
            rows.div_ceil(slices) as u32,
        );
        let count = CubeCount::Static(columns, 1, 1);
        let client = dgain.client.clone();
        sum_slices_kernel::launch(
            &client,
            count,
            units(),
            partial.into_buffer_arg(),
            dgain.clone().into_buffer_arg(),
            slices as u32,
        );
        [dgain]
    });
    dgain
}

#[cube(launch)]
fn norm_kernel(x: &[f32], gain: &[f32], y: &mut [f32], centres: &mut [f32], eps: f32, #[comptime] is_centred: bool) {
    let (row, width) = (CUBE_POS as usize, gain.len());
    if row >= centres.len() / 2 {
        terminate!();
    }
    let start = row * width;
    let mut mean = 0.0f32;
    if is_centred {
        let mut sum = 0.0f32;
        let mut column = UNIT_POS as usize;
        while column < width {
            sum += x[start + column];
            column += UNITS as usize;
        }
        mean = sum_of_units(sum) / width as f32;
    }
    let mut squares = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < width {
        let centred = x[start + column] - mean;
        squares += centred * centred;
        column += UNITS as usize;
    }
    let r = 1.0f32 / (sum_of_units(squares) / width as f32 + eps).sqrt();
    let mut column = UNIT_POS as usize;
    while column < width {
        y[start + column] = (x[start + column] - mean) * r * gain[column];
        column += UNITS as usize;
    }
    if UNIT_POS == 0 {
        centres[2 * row] = mean;
        centres[2 * row + 1] = r;
    }
}

#[cube(launch)]
fn norm_backward_kernel(
    x: &[f32],
    gain: &[f32],
    centres: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    #[comptime] is_centred: bool,
) {
    let (row, width) = (CUBE_POS as usize, gain.len());
    if row >= centres.len() / 2 {
        terminate!();
    }
    let (start, mean, r) = (row * width, centres[2 * row], centres[2 * row + 1]);
    let mut sum = 0.0f32;
    let mut along = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < width {
        let g = dy[start + column] * gain[column];
        sum += g;
        along += g * (x[start + column] - mean) * r;
        column += UNITS as usize;
    }
    let along = sum_of_units(along) / width as f32;
    let mut shift = 0.0f32;
    if is_centred {
        shift = sum_of_units(sum) / width as f32;
    }
    let mut column = UNIT_POS as usize;
    while column < width {
        let n = (x[start + column] - mean) * r;
        dx[start + column] = r * (dy[start + column] * gain[column] - shift - n * along);
        column += UNITS as usize;
    }
}

/// The sum of `dy n` over the rows of one slice.
#[cube(launch)]
fn gain_backward_kernel(
    x: &[f32],
    centres: &[f32],
    dy: &[f32],
    partial: &mut [f32],
    rows: u32,
    width: u32,
    rows_of_slice: u32,
) {
    let column = ABSOLUTE_POS_X;
    if column < width {
        let first = CUBE_POS_Y * rows_of_slice;
        let mut sum = 0.0f32;
        for row in first..min(first + rows_of_slice, rows) {
            let (at, centre) = ((row * width + column) as usize, (2 * row) as usize);
            sum += dy[at] * (x[at] - centres[centre]) * centres[centre + 1];
        }
        partial[(CUBE_POS_Y * width + column) as usize] = sum;
    }
}

#[cube(launch)]
fn sum_slices_kernel(partial: &[f32], sums: &mut [f32], slices: u32) {
    let (column, width) = (ABSOLUTE_POS_X as usize, sums.len());
    if column < width {
        let mut sum = 0.0f32;
        for slice in 0..slices {
            sum += partial[slice as usize * width + column];
        }
        sums[column] = sum;
    }
}
