//! The largest eigenvalues of `A^T A` with their eigenvectors, computed by the Lanczos method. The first eigenvalue is the squared spectral
//! norm, which the stable rank needs; the first two eigenvectors are the axes of a principal component analysis.

use burn::tensor::Tensor;

use crate::kernels::cpu::lanes::{self, wide_fn};
use crate::kernels::random::Counter;

/// Maximum dimension of the Krylov space of one restart.
const STEPS: usize = 96;
/// Number of steps between two convergence tests.
const TEST_EVERY: usize = 8;
/// Maximum number of restarts, each from the best vector of the previous one.
const RESTARTS: usize = 6;
/// Number of squarings of the Gram matrix on a GPU: 2^12 steps of power iteration.
const SQUARINGS: usize = 12;

/// An eigenvalue with its eigenvector of norm 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eigenpair {
    pub(super) value: f64,
    pub(super) vector: Vec<f32>,
}

/// The largest eigenvalue of `A^T A` on the space orthogonal to `without`; `A` is given row by row, `width` columns wide. A zero or non-finite
/// matrix has no positive value. The relative error of the value is about the square of `tolerance`, that of the vector `tolerance` over the
/// gap to the next eigenvalue.
pub(super) fn largest_eigenpair(matrix: &[f32], width: usize, without: &[&Eigenpair], tolerance: f64) -> Eigenpair {
    let mut random = Counter::new(0x57a6, width as u64);
    let mut direction: Vec<f32> = (0..width).map(|_| random.uniform() as f32 - 0.5).collect();
    let mut axis = Eigenpair { value: 0.0, vector: vec![0.0; width] };
    for _ in 0..RESTARTS {
        let (next, residual) = restart(matrix, width, without, direction, tolerance);
        let is_done = !next.value.is_finite() || next.value <= 0.0 || residual <= tolerance * next.value;
        axis = next;
        if is_done {
            break;
        }
        direction = axis.vector.clone();
    }
    axis
}

/// One restart from a vector: the best eigenpair of its Krylov space, and its residual `|A^T A v - value v|`.
fn restart(matrix: &[f32], width: usize, without: &[&Eigenpair], start: Vec<f32>, tolerance: f64) -> (Eigenpair, f64) {
    let (mut basis, mut diagonal, mut off_diagonal) = (Vec::<Vec<f32>>::new(), vec![], vec![]);
    let (mut value, mut coefficients, mut residual) = (0.0, vec![], 0.0);
    let mut next = start;
    without.iter().for_each(|axis| project_out(&mut next, &axis.vector));
    let mut length = norm(&next);
    let max_steps = STEPS.min(width);
    while basis.len() < max_steps && length > 1e-30 {
        next.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        let mut image = apply(matrix, width, &next);
        let along = dot(&image, &next);
        diagonal.push(along);
        // The three-term recurrence, then full reorthogonalization, repeated if it removes most of the vector, so that the basis stays
        // orthogonal in 32 bits.
        subtract(&mut image, &next, along);
        if let (Some(last), Some(length)) = (basis.last(), off_diagonal.last()) {
            subtract(&mut image, last, *length);
        }
        basis.push(next);
        for _ in 0..2 {
            let before = norm(&image);
            without.iter().for_each(|axis| project_out(&mut image, &axis.vector));
            basis.iter().for_each(|known| project_out(&mut image, known));
            length = norm(&image);
            if length > 0.7 * before {
                break;
            }
        }
        let scale = diagonal.iter().fold(0f64, |max: f64, value: &f64| max.max(value.abs()));
        if !length.is_finite() || length <= 1e-7 * scale {
            length = 0.0;
        }
        off_diagonal.push(length);
        next = image;
        if basis.len() % TEST_EVERY == 0 || basis.len() == max_steps || length == 0.0 {
            (value, coefficients) = top_of_tridiagonal(&diagonal, &off_diagonal);
            residual = coefficients.last().map_or(0.0, |last: &f64| (length * last).abs());
            if residual <= tolerance * value {
                break;
            }
        }
    }
    let mut direction = vec![0f32; width];
    for (coefficient, known) in coefficients.iter().zip(&basis) {
        direction.iter_mut().zip(known).for_each(|(sum, x)| *sum += *coefficient as f32 * x);
    }
    (Eigenpair { value, vector: direction }, residual)
}

/// `A^T A v`.
fn apply(matrix: &[f32], width: usize, v: &[f32]) -> Vec<f32> {
    let mut image = vec![0f32; width];
    add_image(matrix, &v[..width], &mut image);
    image
}

wide_fn! {
    /// Adds `A^T A v` to `image`; each row is read once, and `image` once for four rows.
    fn add_image(matrix: &[f32], v: &[f32], image: &mut [f32]) {
        let width = v.len();
        let fours = matrix.chunks_exact(4 * width);
        for row in fours.remainder().chunks_exact(width) {
            let along = lanes::dot(row, v);
            for (sum, x) in image.iter_mut().zip(row) {
                *sum += along * x;
            }
        }
        for four in fours {
            let (ab, cd) = four.split_at(2 * width);
            let ((a, b), (c, d)) = (ab.split_at(width), cd.split_at(width));
            let mut along = [0f32; 4];
            for (along, row) in along.iter_mut().zip([a, b, c, d]) {
                *along = lanes::dot(row, v);
            }
            for ((((sum, a), b), c), d) in image.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += (along[0] * a + along[1] * b) + (along[2] * c + along[3] * d);
            }
        }
    }

    /// `v -= along direction`.
    fn subtract_multiple(v: &mut [f32], direction: &[f32], along: f32) {
        for (v, d) in v.iter_mut().zip(direction) {
            *v -= along * d;
        }
    }

    /// Uses sixteen partial sums, because reorthogonalization takes most of the time.
    fn dot(a: &[f32], b: &[f32]) -> f64 {
        lanes::dot(a, b).into()
    }
}

fn norm(v: &[f32]) -> f64 {
    dot(v, v).sqrt()
}

fn project_out(v: &mut [f32], direction: &[f32]) {
    let along = dot(v, direction);
    subtract(v, direction, along);
}

fn subtract(v: &mut [f32], direction: &[f32], along: f64) {
    subtract_multiple(v, direction, along as f32);
}

/// The largest eigenpair of a symmetric tridiagonal matrix: the value by bisection (Sturm count), the vector by inverse iteration just above
/// it, where Gaussian elimination needs no pivoting.
fn top_of_tridiagonal(diagonal: &[f64], off_diagonal: &[f64]) -> (f64, Vec<f64>) {
    let n = diagonal.len();
    if n == 0 {
        return (0.0, vec![]);
    }
    let previous = |i: usize| if i == 0 { 0.0 } else { off_diagonal[i - 1].abs() };
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for (i, value) in diagonal.iter().enumerate() {
        low = low.max(*value);
        high = high.max(value + previous(i) + if i + 1 < n { off_diagonal[i].abs() } else { 0.0 });
    }
    if !(low.is_finite() && high.is_finite()) {
        return (f64::NAN, vec![0.0; n]);
    }
    let is_above_all = |x: f64| {
        let mut pivot = f64::INFINITY;
        (0..n).all(|i| {
            pivot = x - diagonal[i] - previous(i).powi(2) / pivot;
            pivot > 0.0
        })
    };
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if is_above_all(middle) { high = middle } else { low = middle }
    }
    let shift = high + 1e-10 * high.abs() + f64::MIN_POSITIVE;
    let mut vector = vec![1.0; n];
    for _ in 0..4 {
        vector = solve(diagonal, off_diagonal, shift, vector);
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
    }
    (high, vector)
}

/// Solves `(shift - T) x = right` for a `shift` above all eigenvalues of `T`.
fn solve(diagonal: &[f64], off_diagonal: &[f64], shift: f64, mut right: Vec<f64>) -> Vec<f64> {
    let n = diagonal.len();
    let mut pivots = vec![shift - diagonal[0]];
    for i in 1..n {
        let factor = -off_diagonal[i - 1] / pivots[i - 1];
        pivots.push(shift - diagonal[i] + factor * off_diagonal[i - 1]);
        right[i] -= factor * right[i - 1];
    }
    for i in (0..n).rev() {
        let after = if i + 1 < n { off_diagonal[i] * right[i + 1] } else { 0.0 };
        right[i] = (right[i] + after) / pivots[i];
    }
    right
}

/// The largest eigenvalue of `A^T A` computed by tensor operators, for a matrix that stays on its device: power iteration by repeated squaring of the
/// Gram matrix.
///
/// # Shapes
/// `[rows, columns]` to `[1]`.
pub(super) fn largest_eigenvalue_on_device(matrix: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = matrix.dims();
    let transposed = matrix.clone().transpose();
    let gram = if rows < columns { matrix.matmul(transposed) } else { transposed.matmul(matrix) }; // [short, short]
    let mut power = gram.clone();
    for _ in 0..SQUARINGS {
        let length = power.clone().square().sum().sqrt().unsqueeze::<2>();
        power = power / length;
        power = power.clone().matmul(power);
    }
    // Each column is a multiple of the eigenvector; the sum is weighted towards the largest.
    let sizes = power.clone().square().sum_dim(0); // [1, short]
    let v = power.matmul(sizes.transpose()); // [short, 1]
    let along = (v.clone() * gram.matmul(v.clone())).sum();
    along / v.square().sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::kernels::random::Normals;

    /// A matrix with known singular values: two rotations by random reflections.
    fn with_singular(values: &[f64], rows: usize, columns: usize) -> Vec<f32> {
        let mut matrix = vec![0f64; rows * columns];
        values.iter().enumerate().for_each(|(i, value)| matrix[i * columns + i] = *value);
        for round in 0..3 {
            let unit = |n: usize, stream| {
                let v: Vec<f64> = Normals::new(round, stream).take(n).map(f64::from).collect();
                let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
                v.into_iter().map(|x| x / length).collect::<Vec<f64>>()
            };
            let (left, right) = (unit(rows, 1), unit(columns, 2));
            for j in 0..columns {
                let along: f64 = (0..rows).map(|i| left[i] * matrix[i * columns + j]).sum();
                (0..rows).for_each(|i| matrix[i * columns + j] -= 2.0 * along * left[i]);
            }
            for row in matrix.chunks_mut(columns) {
                let along: f64 = row.iter().zip(&right).map(|(x, r)| x * r).sum();
                row.iter_mut().zip(&right).for_each(|(x, r)| *x -= 2.0 * along * r);
            }
        }
        matrix.into_iter().map(|x| x as f32).collect()
    }

    #[test]
    fn the_largest_eigenpairs_are_found() {
        let spread: Vec<f64> = (0..90).map(|i| 3.0 - 0.02 * i as f64).collect();
        for (values, rows, columns) in [
            (vec![5.0, 4.9, 1.0], 7, 3),
            (vec![2.0], 1, 40),
            (vec![2.0], 40, 1),
            (vec![3.0, 3.0, 1.0, 0.5], 20, 30), // two equal values: each is found once
            (spread, 120, 90),
        ] {
            let matrix = with_singular(&values, rows, columns);
            let first = largest_eigenpair(&matrix, columns, &[], 1e-4);
            assert!((first.value / values[0].powi(2) - 1.0).abs() < 1e-5, "{} of {values:?}", first.value);
            assert!((norm(&first.vector) - 1.0).abs() < 1e-4);
            let second = largest_eigenpair(&matrix, columns, &[&first], 1e-4);
            let wanted = values.get(1).map_or(0.0, |value| value.powi(2));
            assert!((second.value - wanted).abs() < 1e-4 * values[0].powi(2), "{} of {values:?}", second.value);
            let put = Tensor::<1>::from_data(TensorData::new(matrix, [rows * columns]), &Device::flex());
            let device = crate::device::read(largest_eigenvalue_on_device(put.reshape([rows, columns]))).unwrap()[0];
            assert!((f64::from(device) / values[0].powi(2) - 1.0).abs() < 1e-4, "{device} of {values:?}");
        }
    }

    #[test]
    fn a_zero_or_non_finite_matrix_has_no_eigenvalue() {
        assert_eq!(largest_eigenpair(&[0.0; 12], 4, &[], 1e-4).value, 0.0);
        assert!(!largest_eigenpair(&[f32::NAN; 12], 4, &[], 1e-4).value.is_normal());
        assert_eq!(largest_eigenpair(&[], 4, &[], 1e-4).value, 0.0);
    }
}
