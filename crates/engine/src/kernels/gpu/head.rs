//! The output head with its loss on a GPU: products, cross-entropy and their gradient, over chunks of rows, so that only the logits of one
//! chunk exist at a time.
//!
//! ```text
//! l = x matrix, soft-capped to cap tanh(l / cap) if cap > 0       lse = ln sum exp(l)
//! nats = lse - l[target]            objective = nats + z_loss lse^2
//! dl = (1 + 2 z_loss lse) softmax(l) - [target], times 1 - tanh^2 if capped      dx = dl matrix^T      dmatrix = x^T dl
//! ```
//!
//! The forward pass computes the gradient of a chunk while it has its logits, and keeps `dx` and `dmatrix`; the backward pass multiplies them
//! by the gradient of the objective.
//! Layout: one cube for each row, which reads its logits twice and writes `dl` over them. The products are burn's.
//! Reference implementation: [`crate::kernels::reference::head_loss`].

use burn::tensor::{Int, IntDType, Shape, Tensor};
use cubecl::prelude::*;

use super::operator::{Input, differentiable, empty_like, queue, tensor, untracked, writable};
use super::rows::{UNITS, cubes, max_of_units, sum_of_units, units};
use crate::kernels::reference::{HeadLoss, Loss, Product};

/// Maximum number of logits in one chunk: 128 MiB, which is large enough to occupy a GPU and small beside a model.
const LOGITS_PER_CHUNK: usize = 32 * 1024 * 1024;

/// The head with its loss, summed over all rows. `nats` has no gradient.
///
/// # Shapes
/// `x` `[rows, d_model]`, `matrix` `[d_model, vocab]`, `targets` `[rows, 1]`.
pub(crate) fn head_loss(
    x: Tensor<2>,
    matrix: Tensor<2>,
    targets: Tensor<2, Int>,
    head: HeadLoss,
    product: Product<'_>,
) -> Loss {
    let inputs: [Input; 2] = [x.into(), matrix.into()];
    let pass = Pass { head, product, has_gradient: inputs.iter().any(Input::is_tracked) };
    let mut nats = None;
    let forward = |[x, matrix]: [_; 2]| {
        let (sums, state) = pass.chunks(tensor(x), tensor(matrix), targets.inner());
        nats = Some(sums.clone().slice([0..1, 0..1]).reshape([1]));
        (untracked(sums.slice([0..1, 1..2]).reshape::<1, _>([1])), state.map(|gradients| gradients.map(untracked)))
    };
    let objective = differentiable(inputs, forward, |state, upstream| {
        let upstream = tensor::<1>(upstream).reshape([1, 1]);
        let gradients = state.expect("a tracked input has a gradient");
        gradients.map(|gradient| untracked(tensor::<2>(gradient) * upstream.clone()))
    });
    Loss { objective, nats: nats.expect("the forward pass has run") }
}

/// One forward pass.
struct Pass<'a> {
    head: HeadLoss,
    product: Product<'a>,
    /// Whether gradients are computed.
    has_gradient: bool,
}

impl Pass<'_> {
    /// Both sums, `[1, 2]`, and the gradients of `x` and `matrix`.
    fn chunks(&self, x: Tensor<2>, matrix: Tensor<2>, targets: Tensor<2, Int>) -> (Tensor<2>, Option<[Tensor<2>; 2]>) {
        let product = self.product;
        let ([rows, _], [_, vocab]) = (x.dims(), matrix.dims());
        let per_chunk = (LOGITS_PER_CHUNK / vocab).max(1);
        let (mut sums, mut dx, mut dmatrix) = (None, vec![], None);
        for from in (0..rows).step_by(per_chunk) {
            let chunk = from..(from + per_chunk).min(rows);
            let x = x.clone().slice_dim(0, chunk.clone());
            let logits = product(x.clone(), matrix.clone()); // [chunk, vocab]
            let (gradient, of_chunk) = self.rows(logits, targets.clone().slice_dim(0, chunk));
            sums = Some(plus(sums, of_chunk.sum_dim(0)));
            if self.has_gradient {
                dx.push(product(gradient.clone(), matrix.clone().transpose()));
                dmatrix = Some(plus(dmatrix, product(x.transpose(), gradient)));
            }
        }
        let sums = sums.unwrap_or_else(|| Tensor::zeros([1, 2], &x.device()));
        (sums, dmatrix.map(|dmatrix| [Tensor::cat(dx, 0), dmatrix]))
    }

    /// The gradient of the logits of each row, and its two sums, `[rows, 2]`. Without a gradient the logits are returned.
    fn rows(&self, logits: Tensor<2>, targets: Tensor<2, Int>) -> (Tensor<2>, Tensor<2>) {
        let (has_gradient, cap, z_loss) = (self.has_gradient, self.head.cap as f32, self.head.z_loss as f32);
        let [rows, vocab] = logits.dims();
        let inputs = [untracked(logits), untracked(targets.cast(IntDType::I32))];
        let shapes = [Shape::new([rows, vocab]), Shape::new([rows, 2])];
        let [gradient, sums] = queue("cross_entropy", inputs, shapes, move |[logits, targets]| {
            let logits = if has_gradient { writable(logits) } else { logits };
            let sums = empty_like(&logits, Shape::new([rows, 2]));
            cross_entropy_kernel::launch(
                &sums.client,
                cubes(rows),
                units(),
                logits.clone().into_buffer_arg(),
                targets.into_buffer_arg(),
                sums.clone().into_buffer_arg(),
                cap,
                z_loss,
                cap > 0.0,
                has_gradient,
            );
            [logits, sums]
        });
        (tensor(gradient), tensor(sums))
    }
}

fn plus(sum: Option<Tensor<2>>, next: Tensor<2>) -> Tensor<2> {
    match sum {
        Some(sum) => sum + next,
        None => next,
    }
}

/// The bound keeps drivers from computing `tanh` by the exponential function of a large number.
#[cube]
fn capped(logit: f32, cap: f32, #[comptime] is_capped: bool) -> f32 {
    let mut value = logit;
    if is_capped {
        value = cap * clamp(logit / cap, -15.0f32, 15.0f32).tanh();
    }
    value
}

#[cube(launch)]
fn cross_entropy_kernel(
    logits: &mut [f32],
    targets: &[i32],
    sums: &mut [f32],
    cap: f32,
    z_loss: f32,
    #[comptime] is_capped: bool,
    #[comptime] has_gradient: bool,
) {
    let (row, rows) = (CUBE_POS as usize, targets.len());
    if row >= rows {
        terminate!();
    }
    let width = logits.len() / rows;
    let start = row * width;
    let target = targets[row] as usize;
    let target_logit = capped(logits[start + target], cap, is_capped);
    let mut largest = f32::new(-3.0e38f32);
    let mut column = UNIT_POS as usize;
    while column < width {
        largest = max(largest, capped(logits[start + column], cap, is_capped));
        column += UNITS as usize;
    }
    let largest = max_of_units(largest);
    let mut sum = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < width {
        sum += (capped(logits[start + column], cap, is_capped) - largest).exp();
        column += UNITS as usize;
    }
    let log_partition = largest + sum_of_units(sum).ln();
    if UNIT_POS == 0 {
        let nats = log_partition - target_logit;
        sums[2 * row] = nats;
        sums[2 * row + 1] = nats + z_loss * log_partition * log_partition;
    }
    if has_gradient {
        let of_partition = 1.0f32 + 2.0f32 * z_loss * log_partition;
        let mut column = UNIT_POS as usize;
        while column < width {
            let logit = capped(logits[start + column], cap, is_capped);
            let mut gradient = of_partition * (logit - log_partition).exp();
            if column == target {
                gradient -= 1.0f32;
            }
            if is_capped {
                gradient *= 1.0f32 - (logit / cap) * (logit / cap);
            }
            logits[start + column] = gradient;
            column += UNITS as usize;
        }
    }
}
