//! Moments and extrema of values on the host.

use wire::inspect::statistics::Moments;

use crate::kernels::cpu::lanes::{dot, wide_fn};

/// Moments and extrema of values on the host: the reference implementation of `moments.wgsl`. Sums are in 64 bits, where no
/// square of a 32-bit float overflows or underflows, over eight lanes, so that an addition does not wait for the previous one.
pub fn moments(values: &[f32]) -> Moments {
    let lanes = lanes_of(values);
    let count: u64 = lanes.count.iter().sum();
    let non_finite = values.len() as u64 - count;
    if count == 0 {
        return Moments { non_finite, ..Moments::default() };
    }
    let n = count as f64;
    let (sum, squares): (f64, f64) = (lanes.sums.iter().sum(), lanes.squares.iter().sum());
    let min = lanes.min.iter().copied().fold(f32::INFINITY, f32::min);
    let max = lanes.max.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Moments { count, non_finite, mean: sum / n, rms: (squares / n).sqrt(), min: f64::from(min), max: f64::from(max) }
}

wide_fn! {
    fn lanes_of(values: &[f32]) -> Lanes {
        let (mut lanes, whole) = (Lanes::default(), values.chunks_exact(LANES));
        let rest = whole.remainder();
        for chunk in whole {
            lanes.take(chunk);
        }
        lanes.take(rest);
        lanes
    }

    /// Sum of the squares of values on the host: in 32 bits over pieces of 4,096 values, whose sums are added in 64 bits.
    pub fn sum_of_squares(values: &[f32]) -> f64 {
        let mut total = 0.0;
        for piece in values.chunks(4096) {
            total += f64::from(dot(piece, piece));
        }
        total
    }
}

const LANES: usize = 8;

/// Sums and extrema of the finite values, by lane.
struct Lanes {
    count: [u64; LANES],
    sums: [f64; LANES],
    squares: [f64; LANES],
    min: [f32; LANES],
    max: [f32; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        let (min, max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        Self { count: [0; LANES], sums: [0.0; LANES], squares: [0.0; LANES], min, max }
    }
}

impl Lanes {
    /// Adds at most one value to each lane. Selects instead of branches, so that the loop vectorizes.
    #[inline(always)]
    fn take(&mut self, values: &[f32]) {
        for (lane, &value) in values.iter().enumerate() {
            let is_finite = value.is_finite();
            let wide = if is_finite { f64::from(value) } else { 0.0 };
            self.count[lane] += u64::from(is_finite);
            self.sums[lane] += wide;
            self.squares[lane] += wide * wide;
            self.min[lane] = if is_finite && value < self.min[lane] { value } else { self.min[lane] };
            self.max[lane] = if is_finite && value > self.max[lane] { value } else { self.max[lane] };
        }
    }
}
