//! Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub, Van Loan, Matrix Computations, 8.5). For the few
//! dimensions of a search space this is as fast as a library and needs none.

/// Sweeps over all pairs; a symmetric matrix of 64 rows needs about 10.
const SWEEPS: usize = 50;

/// A square matrix, by rows.
pub(super) type Matrix = Vec<Vec<f64>>;

/// The identity matrix.
pub(super) fn identity(size: usize) -> Matrix {
    (0..size).map(|row| (0..size).map(|column| f64::from(u8::from(row == column))).collect()).collect()
}

/// Eigenvalues λ and a matrix B with the eigenvectors as columns: A = B diag(λ) Bᵀ.
pub(super) fn eigen(matrix: &Matrix) -> (Vec<f64>, Matrix) {
    let size = matrix.len();
    let (mut a, mut vectors) = (matrix.clone(), identity(size));
    for _ in 0..SWEEPS {
        let outside: f64 =
            (0..size).flat_map(|row| (0..row).map(move |column| (row, column))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        let inside: f64 = (0..size).map(|at| a[at][at] * a[at][at]).sum();
        if outside <= 1e-30 * inside {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    ((0..size).map(|at| a[at][at]).collect(), vectors)
}

/// The rotation that makes a[p][q] zero.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let ratio = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let tangent = ratio.signum() / (ratio.abs() + (1.0 + ratio * ratio).sqrt());
    let tangent = if ratio == 0.0 { 1.0 } else { tangent };
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    for row in a.iter_mut().chain(vectors.iter_mut()) {
        (row[p], row[q]) = (cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]);
    }
    for column in 0..a.len() {
        (a[p][column], a[q][column]) =
            (cosine * a[p][column] - sine * a[q][column], sine * a[p][column] + cosine * a[q][column]);
    }
}
