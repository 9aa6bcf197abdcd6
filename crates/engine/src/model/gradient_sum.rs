//! The sum of the gradients of replicas on the CPU, and its squared norm, in one pass over memory that all threads share.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use wire::run::operators::{Operator, Phase};

use crate::device::host_values;
use crate::device::operator_times::timed;
use crate::device::partition::{self, BLOCK, Piece, Work};
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::kernels::cpu::lanes::{dot, wide_fn};

/// Adds the gradients `others` in their order to `sum`, in its buffers, and returns the norm of the result. Without `replicas` the calling
/// thread computes it. Each value is added in the same order whatever the number of threads, and so are the squares of the blocks.
///
/// # Errors
/// A thread panicked.
pub(super) fn add(
    sum: Vec<Tensor<1>>,
    others: &[&[Tensor<1>]],
    replicas: Option<&Replicas>,
) -> Result<(Vec<Tensor<1>>, f64), EngineError> {
    let own = |tensor: Tensor<1>| tensor.try_into_primitive::<Flex>().expect("all gradients are on the CPU");
    let mut sum: Vec<FlexTensor> = sum.into_iter().map(own).collect();
    let others: Vec<Vec<FlexTensor>> = others.iter().map(|other| other.iter().map(host_values).collect()).collect();
    let values: Vec<&mut [f32]> = sum.iter_mut().map(FlexTensor::storage_mut).collect();
    let work: Vec<Work> = values.iter().map(|values| Work::Blocks(values.len())).collect();
    let shares = partition::shares(&work, replicas.map_or(1, Replicas::threads));
    let pieces = partition::split(values, &shares);
    let others = &others;
    let jobs = shares.iter().zip(pieces).map(|(share, pieces)| {
        move || timed(Phase::Backward, Operator::GradientSum, || add_pieces(&share.pieces, pieces, others))
    });
    let squares = match replicas {
        Some(replicas) => replicas.each(jobs.collect())?,
        None => jobs.map(|job| job()).collect(),
    };
    // In the order of the model: first the blocks of a parameter, then the parameters, as norm_on_cpu adds them.
    let mut of_parameters = vec![0.0; work.len()];
    squares.into_iter().flatten().for_each(|(parameter, squares)| of_parameters[parameter] += squares);
    let norm = of_parameters.iter().sum::<f64>().sqrt();
    Ok((sum.into_iter().map(Tensor::from_primitive::<Flex>).collect(), norm))
}

/// Returns the squares of each block, with the index of its parameter.
fn add_pieces(places: &[Piece], pieces: Vec<&mut [f32]>, others: &[Vec<FlexTensor>]) -> Vec<(usize, f64)> {
    let mut squares = Vec::with_capacity(pieces.iter().map(|piece| piece.len().div_ceil(BLOCK)).sum());
    let mut of_block = Vec::with_capacity(others.len());
    for (place, piece) in places.iter().zip(pieces) {
        for (block, from) in piece.chunks_mut(BLOCK).zip((place.values.start..).step_by(BLOCK)) {
            let range = from..from + block.len();
            of_block.clear();
            of_block.extend(others.iter().map(|other| &values_of(&other[place.parameter])[range.clone()]));
            squares.push((place.parameter, add_block(block, &of_block)));
        }
    }
    squares
}

fn values_of(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

wide_fn! {
    /// Adds the others in their order; returns the sum of the squares.
    fn add_block(sum: &mut [f32], others: &[&[f32]]) -> f64 {
        for other in others {
            for (sum, other) in sum.iter_mut().zip(*other) {
                *sum += other;
            }
        }
        f64::from(dot(sum, sum))
    }
}
