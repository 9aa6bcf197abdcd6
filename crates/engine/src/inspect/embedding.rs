//! Token embeddings: their first two principal components, nearest tokens, and Fourier spectrum if the tokens are numbers of a modulus.

use burn::tensor::{Int, Tensor, TensorData};
use wire::inspect::result::{EmbeddingPoint, InspectionResult};

use super::Inspector;
use super::lanczos::{Eigenpair, largest_eigenpair};
use crate::device::read;
use crate::error::EngineError;

/// Maximum number of tokens in the result.
const MAX_POINTS: usize = 512;
/// Number of nearest tokens of each token.
const NEAREST: usize = 8;
/// Maximum relative residual of an eigenvector.
const TOLERANCE: f64 = 1e-6;

pub(super) fn inspect(inspector: &Inspector<'_>) -> Result<InspectionResult, EngineError> {
    let tokens = inspector.subject.data.common_tokens(MAX_POINTS);
    let width = inspector.model().d_model;
    let rows = rows(inspector, tokens)?;
    let (coordinates, explained) = project(&rows, width);
    let near = neighbours(&rows, width);
    let points = tokens
        .iter()
        .zip(coordinates)
        .zip(near)
        .map(|((token, [x, y]), near)| EmbeddingPoint {
            token: *token,
            text: inspector.subject.data.tokenizer().decode_token(*token),
            x,
            y,
            near,
        })
        .collect();
    let spectrum = match inspector.subject.data.number_tokens() {
        Some(numbers) => spectrum(&self::rows(inspector, &numbers)?, width),
        None => vec![],
    };
    Ok(InspectionResult::Embedding { points, explained, spectrum })
}

/// Embeddings of tokens, one row each.
fn rows(inspector: &Inspector<'_>, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
    let ids: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens.len()]), &inspector.subject.device.burn);
    let chosen = inspector.weights.matrix("embedding.token").select(0, ids);
    let len = tokens.len() * inspector.model().d_model;
    read(chosen.reshape([len]))
}

/// Principal component analysis of the rows: their coordinates on the first two components, and the fraction of the variance of each. The sign
/// of an axis is chosen so that the row farthest along it has a positive coordinate.
fn project(rows: &[f32], width: usize) -> (Vec<[f32; 2]>, [f32; 2]) {
    let count = rows.len() / width.max(1);
    let mut mean = vec![0f64; width];
    rows.chunks_exact(width).for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)));
    let centre = |(index, x): (usize, &f32)| (f64::from(*x) - mean[index % width] / count.max(1) as f64) as f32;
    let centred: Vec<f32> = rows.iter().enumerate().map(centre).collect();
    let all: f64 = centred.iter().map(|x| f64::from(*x).powi(2)).sum();
    let first = largest_eigenpair(&centred, width, &[], TOLERANCE);
    let second = largest_eigenpair(&centred, width, &[&first], TOLERANCE);
    let coordinates = |axis: &Eigenpair| {
        let along = |row: &[f32]| row.iter().zip(&axis.vector).map(|(x, d)| f64::from(*x) * f64::from(*d)).sum::<f64>();
        let along_axis: Vec<f64> = centred.chunks_exact(width).map(along).collect();
        let farthest = along_axis.iter().copied().fold(0f64, |a, b| if b.abs() > a.abs() { b } else { a });
        along_axis.into_iter().map(|x| (x * farthest.signum()) as f32).collect::<Vec<f32>>()
    };
    let fraction = |axis: &Eigenpair| if all > 0.0 { (axis.value / all) as f32 } else { 0.0 };
    let points = coordinates(&first).into_iter().zip(coordinates(&second)).map(|(x, y)| [x, y]).collect();
    (points, [fraction(&first), fraction(&second)])
}

/// The rows with the largest cosine similarity to each row, as (index, cosine).
fn neighbours(rows: &[f32], width: usize) -> Vec<Vec<(u32, f32)>> {
    let units: Vec<f32> = rows
        .chunks_exact(width)
        .flat_map(|row| {
            let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            row.iter().map(move |x| (f64::from(*x) / length) as f32)
        })
        .collect();
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let of = |(index, row): (usize, &[f32])| {
        let others = (0u32..).zip(units.chunks_exact(width)).filter(|(other, _)| *other as usize != index);
        let mut all: Vec<(u32, f32)> = others.map(|(other, unit)| (other, cosine(row, unit))).collect();
        let by_cosine = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if all.len() > NEAREST {
            all.select_nth_unstable_by(NEAREST - 1, by_cosine);
            all.truncate(NEAREST);
        }
        all.sort_by(by_cosine);
        all
    };
    units.chunks_exact(width).enumerate().map(of).collect()
}

/// Norm of the rows' Fourier component at each frequency from 0 to half their number, in an orthonormal basis of cosines and sines: the squares
/// sum to the squared norm of all rows.
fn spectrum(rows: &[f32], width: usize) -> Vec<f32> {
    let count = rows.len() / width.max(1);
    let amplitude = |frequency: usize| {
        let mut sums = vec![[0f64; 2]; width];
        for (n, row) in rows.chunks_exact(width).enumerate() {
            let (sin, cos) = (std::f64::consts::TAU * ((frequency * n) % count) as f64 / count as f64).sin_cos();
            sums.iter_mut().zip(row).for_each(|([a, b], x)| {
                *a += cos * f64::from(*x);
                *b += sin * f64::from(*x);
            });
        }
        let is_real = frequency == 0 || 2 * frequency == count;
        let scale = if is_real { 1.0 } else { 2.0 } / count as f64;
        (sums.iter().flatten().map(|x| x * x).sum::<f64>() * scale).sqrt() as f32
    };
    (0..=count / 2).map(amplitude).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::random::Normals;

    #[test]
    fn the_spectrum_is_orthonormal_and_shows_a_frequency() {
        for count in [2usize, 3, 10, 97] {
            let rows: Vec<f32> = Normals::new(3, count as u64).take(count * 5).collect();
            let squares = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            let spectrum = spectrum(&rows, 5);
            assert!((squares(&spectrum) / squares(&rows) - 1.0).abs() < 1e-6 && spectrum.len() == count / 2 + 1);
        }
        let angle = |n: usize| std::f32::consts::TAU * (7 * n) as f32 / 97.0;
        let rows: Vec<f32> = (0..97).flat_map(|n| [angle(n).cos(), angle(n).sin()]).collect();
        let spectrum = spectrum(&rows, 2);
        assert!(
            spectrum[7] > 9.0 && spectrum.iter().enumerate().all(|(k, size)| k == 7 || *size < 1e-3),
            "{spectrum:?}"
        );
    }

    #[test]
    fn the_projection_keeps_distances_in_the_plane() {
        // An ellipse in a plane of six dimensions, far from the origin.
        let at = |i: usize| (i as f32 * 0.37).sin_cos();
        let rows: Vec<f32> = (0..50)
            .flat_map(|i| {
                let (s, c) = at(i);
                [3.0 * c + 9.0, s, -s, 3.0 * c, 1.0, 0.0]
            })
            .collect();
        let (points, explained) = project(&rows, 6);
        assert!((explained[0] + explained[1] - 1.0).abs() < 1e-5 && explained[0] > explained[1]);
        let distance = |i: usize, j: usize| {
            let d = |k: usize| rows[i * 6 + k] - rows[j * 6 + k];
            (0..6).map(|k| d(k) * d(k)).sum::<f32>().sqrt()
        };
        for (i, j) in [(0, 1), (3, 40), (20, 21)] {
            let [a, b] = [points[i], points[j]];
            assert!((((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt() - distance(i, j)).abs() < 1e-3);
        }
        let farthest = points.iter().map(|point| point[0]).fold(0f32, |a, b| if b.abs() > a.abs() { b } else { a });
        assert!(farthest > 0.0);
        assert_eq!(project(&[1.0; 12], 4).1, [0.0, 0.0], "all rows equal");
    }

    #[test]
    fn nearest_rows_come_first() {
        let near = neighbours(&[1.0, 0.0, 2.0, 0.1, 0.0, 3.0, -1.0, 0.0], 2);
        assert_eq!(near[0].iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3]);
        assert!((near[0][2].1 + 1.0).abs() < 1e-6 && near.iter().all(|list| list.len() == 3));
    }
}
