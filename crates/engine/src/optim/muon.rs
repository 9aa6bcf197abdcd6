//! Muon (Jordan et al. 2024) for the matrices of the blocks: momentum, orthogonalized by Newton-Schulz iteration.
//!
//! Written in tensor operators, for CPU and GPU alike. On the CPU one thread updates each matrix, so that the order of sums is fixed and a
//! run repeats bit for bit. AdamW updates embeddings, head, gains and biases, see [`crate::optim::optimizer`].

use burn::tensor::Tensor;
use wire::hyperparameters::recipe::OptimizerKind;

use crate::model::params::ParamSpec;
use crate::optim::step_hyperparameters::StepHyperparameters;

/// Decay of the momentum.
const MOMENTUM: f64 = 0.95;
/// Newton-Schulz iterations, and the coefficients of their quintic: chosen by Jordan et al. to move singular values from near 0 to about 1
/// in few iterations; they end between 0.7 and 1.2.
const ROUNDS: usize = 5;
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// Scales an update to the size of AdamW's, so that AdamW's learning rate and weight decay can be used (Liu et al. 2025, section 2.2).
const SCALE: f64 = 0.2;

/// Shape `[d_in, d_out]` of a parameter that Muon trains; `None` for the parameters of AdamW.
pub fn shape_of(spec: &ParamSpec, kind: OptimizerKind) -> Option<[usize; 2]> {
    match (kind, spec.shape.as_slice()) {
        (OptimizerKind::Muon, &[d_in, d_out]) if spec.name.starts_with("block.") => Some([d_in, d_out]),
        _ => None,
    }
}

/// Computes one step: the new weight and the new momentum, both flat. `gradient` is already clipped.
pub fn step(
    weight: Tensor<1>,
    momentum: Tensor<1>,
    gradient: Tensor<1>,
    shape: [usize; 2],
    hyperparameters: StepHyperparameters,
) -> (Tensor<1>, Tensor<1>) {
    let [d_in, d_out] = shape;
    let momentum = momentum * MOMENTUM + gradient.clone() * (1.0 - MOMENTUM);
    let ahead = momentum.clone() * MOMENTUM + gradient * (1.0 - MOMENTUM); // Nesterov's
    let update = orthogonal(ahead.reshape(shape)).reshape([d_in * d_out]);
    (
        weight * (1.0 - hyperparameters.learning_rate * hyperparameters.weight_decay)
            - update * (hyperparameters.learning_rate * scale(shape)),
        momentum,
    )
}

/// The update that a step would make with this momentum, without weight decay.
pub fn update(momentum: Tensor<1>, shape: [usize; 2], rate: f64) -> Tensor<1> {
    let [d_in, d_out] = shape;
    orthogonal(momentum.reshape(shape)).reshape([d_in * d_out]) * (-rate * scale(shape))
}

fn scale([d_in, d_out]: [usize; 2]) -> f64 {
    SCALE * (d_in.max(d_out) as f64).sqrt()
}

/// Orthogonalizes a matrix: Newton-Schulz iterations on the shorter side move its singular values close to 1.
///
/// # Shapes
/// `[d_in, d_out]` to the same.
pub fn orthogonal(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let is_tall = rows > columns;
    let wide = if is_tall { matrix.transpose() } else { matrix }; // [short, long]
    let length = wide.clone().square().sum().sqrt() + 1e-7;
    let mut x = wide / length.unsqueeze::<2>();
    let [a, b, c] = QUINTIC;
    for _ in 0..ROUNDS {
        let gram = x.clone().matmul(x.clone().transpose()); // [short, short]
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if is_tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::random::Normals;
    use crate::model::params::{self, Init};
    use burn::tensor::Device;

    fn matrix(rows: usize, columns: usize, seed: u64) -> Tensor<2> {
        let values = Normals::new(seed, 0).take(rows * columns).collect();
        params::upload(values, &Device::flex()).reshape([rows, columns])
    }

    fn length(x: &Tensor<2>) -> f32 {
        crate::device::read(x.clone().square().sum().sqrt()).unwrap()[0]
    }

    #[test]
    fn orthogonalization_brings_singular_values_near_one() {
        for (rows, columns) in [(8, 40), (40, 8), (12, 12)] {
            let (short, long) = (rows.min(columns), rows.max(columns));
            let x = orthogonal(matrix(rows, columns, 3) * 17.0);
            assert_eq!(x.dims(), [rows, columns]);
            let wide = if rows > columns { x.transpose() } else { x };
            for seed in 0..20 {
                let direction = matrix(1, short, 100 + seed);
                let gain = length(&direction.clone().matmul(wide.clone())) / length(&direction);
                let floor = if short == long { 0.3 } else { 0.65 }; // a square one may have a singular value near 0
                assert!((floor..1.3).contains(&gain), "{rows} x {columns}: {gain}");
            }
        }
        let nothing = orthogonal(Tensor::zeros([4, 6], &Device::flex()));
        assert_eq!(length(&nothing), 0.0, "a gradient of 0 gives no update");
    }

    #[test]
    fn muon_trains_the_matrices_of_blocks_only() {
        let of = |name: &str, shape: &[usize], kind| {
            let (name, shape) = (name.into(), shape.to_vec());
            shape_of(&ParamSpec { name, shape, init: Init::Zeros, learning_rate_factor: 1.0 }, kind)
        };
        assert_eq!(of("block.0.mlp.up", &[4, 8], OptimizerKind::Muon), Some([4, 8]));
        for (name, shape, kind) in [
            ("block.0.mlp.up", &[4, 8][..], OptimizerKind::Adamw),
            ("block.0.mlp.up.bias", &[8], OptimizerKind::Muon),
            ("embedding.token", &[9, 4], OptimizerKind::Muon),
            ("head", &[4, 9], OptimizerKind::Muon),
        ] {
            assert_eq!(of(name, shape, kind), None, "{name}");
        }
    }
}
