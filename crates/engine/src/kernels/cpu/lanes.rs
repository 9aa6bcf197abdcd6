//! Arithmetic over sixteen lanes, which compilers vectorize; sums have the same order on every machine.

use std::cell::Cell;

/// Fractions of a whole below this count as zero: probabilities relative to the largest one, and gates. In sums with the others they are lost
/// to rounding, and their products with activations, weights and gradients may be subnormal. Processors need more than a hundred cycles for
/// an operation on a subnormal number, so without this a collapsed attention pattern or dead neurons make training many times slower.
const NEGLIGIBLE: f32 = 1e-20;

/// A fraction of a whole, zero if it is negligible. NaN stays NaN.
#[inline(always)]
pub(crate) fn fraction(x: f32) -> f32 {
    if x < NEGLIGIBLE { 0.0 } else { x }
}

/// Lanes of a sum.
pub(crate) const LANES: usize = 16;

/// `e^x` to two units in the last place between -87 and 88, clamped at the ends: Cody-Waite reduction and a polynomial, without
/// branches so that it vectorizes. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    let x = x.clamp(-87.0, 88.0);
    // The last bits of the rounded number are the integer, so that it needs no conversion.
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4; // ln 2 in two parts
    let p =
        1.0 + r * (1.0 + r * (0.5 + r * (0.166_666_65 + r * (0.041_665_796 + r * (0.008_333_452 + r * 0.001_398_2)))));
    f32::from_bits((rounded.to_bits() << 23).wrapping_add(1f32.to_bits())) * p
}

/// Sum of `f` over the values of a row, in lanes. It takes chunks instead of an index, which the compiler would check for each value, one
/// addition after the other.
#[inline(always)]
pub(crate) fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|value| f(*value)).sum();
    for chunk in chunks {
        for (sum, value) in lanes.iter_mut().zip(chunk) {
            *sum += f(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `a.b` of two rows of one length, in the lanes of [`sum`].
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks_of_a, chunks_of_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = chunks_of_a.remainder().iter().zip(chunks_of_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in chunks_of_a.zip(chunks_of_b) {
        for ((sum, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Sum of `f` over the places of three rows of one length, in the lanes of [`sum`].
#[inline(always)]
pub(crate) fn sum_of_three([a, b, c]: [&[f32]; 3], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks_of_a, chunks_of_b, chunks_of_c) = (a.chunks_exact(LANES), b.chunks_exact(LANES), c.chunks_exact(LANES));
    let rest = chunks_of_a.remainder().iter().zip(chunks_of_b.remainder()).zip(chunks_of_c.remainder());
    let rest: f32 = rest.map(|((a, b), c)| f(*a, *b, *c)).sum();
    for ((a, b), c) in chunks_of_a.zip(chunks_of_b).zip(chunks_of_c) {
        for (((sum, a), b), c) in lanes.iter_mut().zip(a).zip(b).zip(c) {
            *sum += f(*a, *b, *c);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Maximum of a row; NaN is ignored.
#[inline(always)]
pub(crate) fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().copied().fold(rest, f32::max)
}

/// Declares functions whose bodies are compiled for the widest vectors of the processor. Loops in them are `for` loops: the compiler may
/// keep a closure of many operations as a function of its own, which it compiles for any processor, with vectors of four numbers.
macro_rules! wide_fn {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $kind:ty),+ $(,)?) $(-> $result:ty)? $body:block
    )+) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $kind),+) $(-> $result)? {
            #[allow(non_camel_case_types, reason = "each type parameter has the name of its argument")]
            struct Work<$($arg),+>($($arg),+);

            impl pulp::WithSimd for Work<$($kind),+> {
                type Output = $crate::kernels::cpu::lanes::wide_fn!(@output $($result)?);

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _simd: S) -> Self::Output {
                    let Self($($arg),+) = self;
                    $body
                }
            }

            $crate::kernels::cpu::lanes::dispatch(Work($($arg),+))
        }
    )+};
    (@output) => { () };
    (@output $result:ty) => { $result };
}
pub(crate) use wide_fn;

thread_local! {
    static IS_NARROW: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work`; wide functions in it use the code for any processor, so that a bench can measure what wide vectors gain.
pub(crate) fn narrow<T>(work: impl FnOnce() -> T) -> T {
    let outside = IS_NARROW.replace(true);
    let value = work();
    IS_NARROW.set(outside);
    value
}

/// Runs a wide function.
#[inline(always)]
pub(crate) fn dispatch<W: pulp::WithSimd>(work: W) -> W::Output {
    if IS_NARROW.get() { work.with_simd(pulp::Scalar) } else { pulp::Arch::new().dispatch(work) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        let mut worst = 0f64;
        for i in -870_000..880_000 {
            let x = i as f32 * 1e-4;
            worst = worst.max((f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs());
        }
        assert!(worst < 4e-7, "{worst}");
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e30) < 1e-37 && exp(1e30) > 1e37);
    }

    #[test]
    fn negligible_fractions_are_zero() {
        assert_eq!([1.0, 1e-19, 9e-21, 1e-40, 0.0].map(fraction), [1.0, 1e-19, 0.0, 0.0, 0.0]);
        assert!(fraction(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_take_every_value_once() {
        for len in [0, 1, 15, 16, 17, 100] {
            let row: Vec<f32> = (0..len).map(|i| (i % 7) as f32).collect();
            assert_eq!(sum(&row, |value| 2.0 * value), 2.0 * row.iter().sum::<f32>());
            assert_eq!(dot(&row, &row), row.iter().map(|value| value * value).sum::<f32>());
            let cubes = row.iter().map(|value| value * value * value).sum::<f32>();
            assert_eq!(sum_of_three([&row[..]; 3], |a, b, c| a * b * c), cubes);
            assert_eq!(max(&row), row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
