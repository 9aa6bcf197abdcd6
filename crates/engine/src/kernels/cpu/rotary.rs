//! Rotary positions (Su et al. 2021), halves convention as in Llama's Hugging Face weights: `(a, b)` becomes
//! `(a cos - b sin, b cos + a sin)` for `a` in the first half of a head and `b` at the same place of the second.
//!
//! Backward is the rotation by the opposite angle.
//!
//! Layout: `x` `[batch, seq, heads, d_head]`, in place; tables of cosines and sines `[seq, d_head / 2]`.

use super::lanes::wide_fn;

/// The angles of the positions of a sequence.
#[derive(Debug)]
pub(crate) struct Rotary {
    seq: usize,
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    /// Positions `0..seq`; `frequencies` has the radians per token of each pair of a head.
    pub(crate) fn new(frequencies: &[f64], seq: usize) -> Self {
        let table = |f: fn(f64) -> f64| {
            let row = |position: usize| frequencies.iter().map(move |frequency| f(position as f64 * frequency) as f32);
            (0..seq).flat_map(row).collect()
        };
        Self { seq, half: frequencies.len(), cos: table(f64::cos), sin: table(f64::sin) }
    }

    pub(crate) fn forward(&self, x: &mut [f32], heads: usize) {
        rotate(self, x, heads, 0, 1.0);
    }

    /// The tokens of one sequence from position `first` on.
    pub(crate) fn forward_from(&self, x: &mut [f32], heads: usize, first: usize) {
        rotate(self, x, heads, first, 1.0);
    }

    pub(crate) fn backward(&self, dx: &mut [f32], heads: usize) {
        rotate(self, dx, heads, 0, -1.0);
    }
}

wide_fn! {
    fn rotate(rotary: &Rotary, x: &mut [f32], heads: usize, first: usize, direction: f32) {
        let half = rotary.half;
        for (row, token) in x.chunks_exact_mut(heads * 2 * half).enumerate() {
            let from = (first + row) % rotary.seq * half;
            let (cos, sin) = (&rotary.cos[from..from + half], &rotary.sin[from..from + half]);
            for head in token.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                    let sin = direction * sin;
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_turn_by_their_position_and_back() {
        let quarter = std::f64::consts::FRAC_PI_2;
        let rotary = Rotary::new(&[quarter, 0.0], 2);
        // Two sequences of two tokens, with one head of two pairs: `(a0, a1, b0, b1)`.
        let x = [1.0, 2.0, 3.0, 4.0].repeat(4);
        let mut y = x.clone();
        rotary.forward(&mut y, 1);
        let expected = [[1.0, 2.0, 3.0, 4.0], [-3.0, 2.0, 1.0, 4.0]].repeat(2).concat();
        assert!(y.iter().zip(&expected).all(|(y, expected): (&f32, &f32)| (y - expected).abs() < 1e-6), "{y:?}");
        rotary.backward(&mut y, 1);
        assert!(y.iter().zip(&x).all(|(y, x): (&f32, &f32)| (y - x).abs() < 1e-6), "{y:?}");
    }
}
