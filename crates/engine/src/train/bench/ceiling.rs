//! The ceiling of this machine's CPU: the speed of matrix products that fill the caches well, and the bandwidth of memory. Each thread computes
//! its own products over its own arrays, as replicas do.

use std::time::{Duration, Instant};

use wire::hyperparameters::recipe::Precision;

use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::kernels::cpu::bf16;
use crate::kernels::cpu::lanes::wide_fn;
use crate::kernels::cpu::precision::multiply_in;
use crate::kernels::cpu::products::Matrix;

/// Rows and columns of a matrix.
pub const SIDE: usize = 1024;

/// The fastest of this many rounds counts, after one that is not measured;
const ROUNDS: usize = 10;
/// at least three are measured, and no other one begins after this time.
const WITHIN: Duration = Duration::from_secs(2);

/// Bytes of the arrays, if the caches are smaller; they are twice as large as a larger cache.
const LEAST_ARRAYS: u64 = 192 << 20;

/// What a number of threads reaches at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceiling {
    /// Operations per second of products of square matrices with [`SIDE`] rows, with factors of the precision that was asked for.
    pub flops_per_sec: f64,
    /// Bytes per second of the triad `a = b + s c` (McCalpin 1995) of 32-bit floats, without the read of `a` before it is written.
    pub bytes_per_sec: f64,
}

/// Bytes of the three arrays of the triad together: more than the caches, and at most a quarter of `free_bytes` of memory (0: unknown).
pub fn array_bytes(free_bytes: u64) -> u64 {
    let wanted = (2 * cache_bytes()).max(LEAST_ARRAYS);
    if free_bytes > 0 { wanted.min(free_bytes / 4) } else { wanted }
}

/// Measures the ceiling of this many threads, with arrays of `array_bytes` together.
///
/// # Errors
/// The system cannot start a thread.
pub fn measure(threads: usize, precision: Precision, array_bytes: u64) -> Result<Ceiling, EngineError> {
    let replicas = Replicas::new(threads)?;
    let product_secs = best_secs(|| {
        replicas.map_keeping(move |_, matrices: &mut Matrices| matrices.multiply(precision))?;
        Ok(())
    })?;
    let len = (array_bytes as usize / 12 / threads).max(1);
    let triad_secs = best_secs(|| {
        replicas.map_keeping(move |_, arrays: &mut Arrays| arrays.triad(len))?;
        Ok(())
    })?;
    Ok(Ceiling {
        flops_per_sec: 2.0 * (SIDE as f64).powi(3) * threads as f64 / product_secs,
        bytes_per_sec: 12.0 * (len * threads) as f64 / triad_secs,
    })
}

/// Time of the fastest round, seconds.
fn best_secs(mut round: impl FnMut() -> Result<(), EngineError>) -> Result<f64, EngineError> {
    round()?;
    let (began, mut best) = (Instant::now(), f64::INFINITY);
    for index in 0..ROUNDS {
        if index >= 3 && began.elapsed() > WITHIN {
            break;
        }
        let from = Instant::now();
        round()?;
        best = best.min(from.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// The matrices of a thread.
#[derive(Default)]
struct Matrices {
    factors: [Vec<f32>; 2],
    product: Vec<f32>,
}

/// Name of the processor's instructions for products of bfloat16; `None` if it has none.
pub fn bfloat16_instructions() -> Option<&'static str> {
    bf16::Instructions::fastest().name()
}

impl Matrices {
    fn multiply(&mut self, precision: Precision) {
        self.factors.iter_mut().for_each(|factor| factor.resize(SIDE * SIDE, 0.5));
        self.product.resize(SIDE * SIDE, 0.0);
        let [a, b] = self.factors.each_ref().map(|factor| Matrix::dense(&factor[..], SIDE));
        multiply_in(precision, Matrix::dense(&mut self.product[..], SIDE), false, a, b);
    }
}

/// The arrays of a thread.
#[derive(Default)]
struct Arrays {
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

impl Arrays {
    fn triad(&mut self, len: usize) {
        [&mut self.a, &mut self.b, &mut self.c].into_iter().for_each(|array| array.resize(len, 1.0));
        triad(&mut self.a, &self.b, &self.c, 0.5);
    }
}

wide_fn! {
    fn triad(a: &mut [f32], b: &[f32], c: &[f32], factor: f32) {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            *a = b + factor * c;
        }
    }
}

/// Bytes of the largest cache of a core; 0 if the system does not report it.
fn cache_bytes() -> u64 {
    let sizes = (0..8).filter_map(|index| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        read_size(std::fs::read_to_string(path).ok()?.trim())
    });
    sizes.max().unwrap_or(0)
}

/// Reads a size such as `32K` or `8M`, bytes.
fn read_size(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix('K') {
        Some(number) => (number, 1 << 10),
        None => (text.strip_suffix('M')?, 1 << 20),
    };
    Some(number.parse::<u64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_measured_over_arrays_of_the_size_asked_for() {
        let ceiling = measure(2, Precision::Float32, 1 << 20).unwrap();
        for value in [ceiling.flops_per_sec, ceiling.bytes_per_sec] {
            assert!(value.is_finite() && value > 1e6, "{ceiling:?}");
        }
        let mut arrays = Arrays::default();
        arrays.triad(19);
        assert_eq!(arrays.a, [1.5; 19]);
    }

    #[test]
    fn arrays_are_larger_than_the_caches_and_leave_memory_to_others() {
        assert!(array_bytes(0) >= LEAST_ARRAYS && array_bytes(0) >= 2 * cache_bytes());
        assert_eq!(array_bytes(400), 100);
        let sizes = ["32K", "8M", "491520K", "", "M", "12"].map(read_size);
        assert_eq!(sizes, [Some(32_768), Some(8 << 20), Some(491_520 << 10), None, None, None]);
    }
}
