//! Reference implementations of the operators: their formulas in one pass for each operation, with the functions of the standard library
//! and whole matrices. Tests compare the operators with them, and `kindling bench --ablation` measures what each operator gains over its own.
//!
//! They take the arguments of the operators, but allocate what they need.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod norm;

/// Values that differ from row to row, and numbers that are spread over a few units, for tests.
#[cfg(test)]
fn waves(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| 2.0 * (i as f32 * step).sin()).collect()
}

/// Checks that two results agree to 1e-5 of the norm of the second, for tests.
#[cfg(test)]
#[track_caller]
fn assert_close(name: &str, found: &[f32], expected: &[f32]) {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    assert_eq!(found.len(), expected.len(), "{name}");
    let apart = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let whole = norm(&mut expected.iter().copied());
    assert!(apart <= 1e-5 * whole, "{name}: {apart} apart, the norm is {whole}");
}
