//! Inverted dropout: `y = x m` with a mask `m` of `0` and `1 / (1 - rate)`. Backward: `dx = dy m`.
//!
//! The mask is a pure function of the key of the pass and of `stream`, in the order of the values, so that a resumed run repeats it.
//!
//! Layout: any; all slices have one length.

use super::lanes::wide_fn;
use crate::kernels::random::Counter;

/// Writes the mask of one place in the model.
pub(crate) fn draw(rate: f64, key: u64, stream: u64, mask: &mut [f32]) {
    let keep = (1.0 / (1.0 - rate)) as f32;
    let mut random = Counter::new(key, stream);
    mask.iter_mut().for_each(|mask| *mask = if random.uniform() < rate { 0.0 } else { keep });
}

wide_fn! {
    /// `x` becomes `x m`.
    pub(crate) fn forward(x: &mut [f32], mask: &[f32]) {
        for (x, mask) in x.iter_mut().zip(mask) {
            *x *= mask;
        }
    }

    /// `y = before + x m`.
    pub(crate) fn forward_after(before: &[f32], x: &[f32], mask: &[f32], y: &mut [f32]) {
        for (((y, before), x), mask) in y.iter_mut().zip(before).zip(x).zip(mask) {
            *y = before + x * mask;
        }
    }

    /// `dx = dy m`.
    pub(crate) fn backward(dy: &[f32], mask: &[f32], dx: &mut [f32]) {
        for ((dx, dy), mask) in dx.iter_mut().zip(dy).zip(mask) {
            *dx = dy * mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_repeat_and_keep_the_mean() {
        let drawn = |stream: u64| {
            let mut mask = vec![f32::NAN; 40_000];
            draw(0.2, 7, stream, &mut mask);
            mask
        };
        let mask = drawn(3);
        assert_eq!(mask, drawn(3));
        assert_ne!(mask, drawn(4));
        assert!(mask.iter().all(|m| [0.0, 1.25].contains(m)));
        let mean = mask.iter().map(|m| f64::from(*m)).sum::<f64>() / 40_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn values_are_masked_alone_or_after_a_stream() {
        let (mut x, mask) = ([1.0, 2.0, 3.0], [0.0, 2.0, 2.0]);
        let (mut y, mut dx) = ([f32::NAN; 3], [f32::NAN; 3]);
        forward_after(&[10.0, 20.0, 30.0], &x, &mask, &mut y);
        backward(&x, &mask, &mut dx);
        forward(&mut x, &mask);
        assert_eq!((y, dx, x), ([10.0, 24.0, 36.0], [0.0, 4.0, 6.0], [0.0, 4.0, 6.0]));
    }
}
