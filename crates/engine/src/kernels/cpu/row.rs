//! Products of one row and a matrix, as decoding of one token needs: `y += x W`, and `y = W x` for a matrix whose rows are the columns of the
//! product. Nothing is packed, and each weight is read once, so large products take the time of reading memory. They are split over
//! the threads by the values of `y`, each of which has the same sum whatever the number of threads.
//!
//! Layout: `x` `[d_in]`, `W` `[d_in, d_out]` or `[d_out, d_in]`, row by row, `y` `[d_out]`.

use rayon::prelude::*;

use super::lanes::{LANES, dot, wide_fn};

/// Values of a matrix from which on several threads read it: for a smaller one, starting them takes longer.
const SHARED_WEIGHTS: usize = 1 << 18;

/// `y += x W`.
pub(crate) fn add_product(x: &[f32], weight: &[f32], y: &mut [f32]) {
    let (d_out, columns) = (y.len(), part(weight, y.len()));
    if columns == d_out {
        return add_rows(x, weight, d_out, y);
    }
    y.par_chunks_mut(columns).enumerate().for_each(|(index, y)| add_rows(x, &weight[index * columns..], d_out, y));
}

/// `y = W x`.
pub(crate) fn dots(x: &[f32], weight: &[f32], y: &mut [f32]) {
    let rows = part(weight, y.len());
    if rows == y.len() {
        return dot_rows(x, weight, y);
    }
    y.par_chunks_mut(rows).zip(weight.par_chunks(rows * x.len())).for_each(|(y, weight)| dot_rows(x, weight, y));
}

/// Values of `y` that a thread computes.
fn part(weight: &[f32], d_out: usize) -> usize {
    match weight.len() < SHARED_WEIGHTS {
        true => d_out,
        false => d_out.div_ceil(rayon::current_num_threads()).next_multiple_of(LANES).min(d_out),
    }
}

wide_fn! {
    /// `y += x W` for the first columns of a matrix whose rows have `stride` values. Four rows are added at once, so that `y` is
    /// loaded and stored a quarter as often.
    fn add_rows(x: &[f32], weight: &[f32], stride: usize, y: &mut [f32]) {
        let columns = y.len();
        let (groups, rest) = x.as_chunks::<4>();
        for (group, [a, b, c, d]) in groups.iter().enumerate() {
            let weight = &weight[4 * group * stride..];
            let (first, second) = (&weight[..columns], &weight[stride..][..columns]);
            let (third, fourth) = (&weight[2 * stride..][..columns], &weight[3 * stride..][..columns]);
            for ((((y, first), second), third), fourth) in y.iter_mut().zip(first).zip(second).zip(third).zip(fourth) {
                *y += (a * first + b * second) + (c * third + d * fourth);
            }
        }
        for (row, x) in rest.iter().enumerate() {
            for (y, weight) in y.iter_mut().zip(&weight[(4 * groups.len() + row) * stride..][..columns]) {
                *y += x * weight;
            }
        }
    }

    fn dot_rows(x: &[f32], weight: &[f32], y: &mut [f32]) {
        for (y, row) in y.iter_mut().zip(weight.chunks_exact(x.len())) {
            *y = dot(x, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_sums_on_one_thread_and_on_several() {
        // The last has a matrix that is shared, with parts of different lengths.
        for (d_in, d_out) in [(1, 1), (7, 5), (33, 40), (130, 2051)] {
            let x: Vec<f32> = (0..d_in).map(|i| (i % 5) as f32 - 2.0).collect();
            let weight: Vec<f32> = (0..d_in * d_out).map(|i| (i % 11) as f32 - 5.0).collect();
            let mut y = vec![1.0; d_out];
            add_product(&x, &weight, &mut y);
            let of = |j: usize| 1.0 + (0..d_in).map(|i| x[i] * weight[i * d_out + j]).sum::<f32>();
            assert_eq!(y, (0..d_out).map(of).collect::<Vec<_>>(), "{d_in} x {d_out}");
            dots(&x, &weight, &mut y);
            let of = |j: usize| (0..d_in).map(|i| x[i] * weight[j * d_in + i]).sum::<f32>();
            assert_eq!(y, (0..d_out).map(of).collect::<Vec<_>>(), "{d_in} x {d_out}");
        }
    }
}
