//! Embedding: `x[row] = table[token of row] + positions[place of row in its sequence]`.
//!
//! Backward adds each row of `dx` to the rows of both tables that it was read from, in the order of the rows.
//!
//! Layout: `x` `[batch, seq, d]`; table `[vocab, d]`; positions `[context, d]`, if they are learned.

use super::lanes::wide_fn;

wide_fn! {
    pub(crate) fn forward(
        tokens: &[i32],
        seq: usize,
        table: &[f32],
        positions: Option<&[f32]>,
        x: &mut [f32],
        d: usize,
    ) {
        for (row, (x, token)) in x.chunks_exact_mut(d).zip(tokens).enumerate() {
            x.copy_from_slice(&table[*token as usize * d..][..d]);
            if let Some(positions) = positions {
                for (x, position) in x.iter_mut().zip(&positions[row % seq * d..][..d]) {
                    *x += position;
                }
            }
        }
    }

    /// Adds to the gradient of the table.
    pub(crate) fn backward(tokens: &[i32], dx: &[f32], dtable: &mut [f32], d: usize) {
        for (dx, token) in dx.chunks_exact(d).zip(tokens) {
            for (sum, dx) in dtable[*token as usize * d..][..d].iter_mut().zip(dx) {
                *sum += dx;
            }
        }
    }

    /// Writes the gradient of the positions; that of places past the sequence is zero.
    pub(crate) fn positions_backward(dx: &[f32], seq: usize, dpositions: &mut [f32], d: usize) {
        dpositions.fill(0.0);
        for sequence in dx.chunks_exact(seq * d) {
            for (sum, dx) in dpositions.iter_mut().zip(sequence) {
                *sum += dx;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_their_gradients_are_summed() {
        let (tokens, d, seq) = ([2, 0, 2, 2], 2, 2);
        let (table, positions) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        let mut x = [f32::NAN; 8];
        forward(&tokens, seq, &table, None, &mut x, d);
        assert_eq!(x, [5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 5.0, 6.0]);
        forward(&tokens, seq, &table, Some(&positions), &mut x, d);
        assert_eq!(x, [15.0, 26.0, 31.0, 42.0, 15.0, 26.0, 35.0, 46.0]);
        let dx = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let (mut dtable, mut dpositions) = ([100.0; 6], [f32::NAN; 6]);
        backward(&tokens, &dx, &mut dtable, d);
        assert_eq!(dtable, [103.0, 104.0, 100.0, 100.0, 113.0, 116.0]);
        positions_backward(&dx, seq, &mut dpositions, d);
        assert_eq!(dpositions, [6.0, 8.0, 10.0, 12.0, 0.0, 0.0], "the last position is past the sequence");
    }
}
