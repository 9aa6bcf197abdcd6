//! The tokens' embeddings on a plane, what is nearest to what, and their waves where the tokens are numbers of a modulus.

use burn::tensor::{Int, Tensor, TensorData};
use wire::sight::{Point, Sight};

use super::Eye;
use super::plane::{Axis, strongest};
use crate::device::read;
use crate::error::EngineError;

/// Tokens on the plane.
const MOST_POINTS: usize = 512;
/// Neighbours of each.
const NEAR: usize = 8;
/// How far an axis may be from an eigenvector, relative.
const TOLERANCE: f64 = 1e-6;

pub(super) fn see(eye: &Eye<'_>) -> Result<Sight, EngineError> {
    let tokens = eye.scene.data.common_tokens(MOST_POINTS);
    let width = eye.model().d_model;
    let rows = rows(eye, tokens)?;
    let (coordinates, explained) = on_plane(&rows, width);
    let near = neighbours(&rows, width);
    let points = tokens
        .iter()
        .zip(coordinates)
        .zip(near)
        .map(|((token, [x, y]), near)| Point {
            token: *token,
            text: eye.scene.data.tokenizer().piece(*token),
            x,
            y,
            near,
        })
        .collect();
    let spectrum = match eye.scene.data.number_tokens() {
        Some(numbers) => waves(&self::rows(eye, &numbers)?, width),
        None => vec![],
    };
    Ok(Sight::Embedding { points, explained, spectrum })
}

/// Embeddings of some tokens, row by row.
fn rows(eye: &Eye<'_>, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
    let ids: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens.len()]), &eye.scene.device.burn);
    let chosen = eye.weights.matrix("embedding.token").select(0, ids);
    let len = tokens.len() * eye.model().d_model;
    read(chosen.reshape([len]))
}

/// Principal components of rows: their places along the first two, and the shares of the variance that these hold. Each axis points to where
/// the row farthest along it lies.
fn on_plane(rows: &[f32], width: usize) -> (Vec<[f32; 2]>, [f32; 2]) {
    let count = rows.len() / width.max(1);
    let mut mean = vec![0f64; width];
    rows.chunks_exact(width).for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)));
    let centre = |(place, x): (usize, &f32)| (f64::from(*x) - mean[place % width] / count.max(1) as f64) as f32;
    let centred: Vec<f32> = rows.iter().enumerate().map(centre).collect();
    let all: f64 = centred.iter().map(|x| f64::from(*x).powi(2)).sum();
    let first = strongest(&centred, width, &[], TOLERANCE);
    let second = strongest(&centred, width, &[&first], TOLERANCE);
    let places = |axis: &Axis| {
        let along =
            |row: &[f32]| row.iter().zip(&axis.direction).map(|(x, d)| f64::from(*x) * f64::from(*d)).sum::<f64>();
        let places: Vec<f64> = centred.chunks_exact(width).map(along).collect();
        let farthest = places.iter().copied().fold(0f64, |a, b| if b.abs() > a.abs() { b } else { a });
        places.into_iter().map(|x| (x * farthest.signum()) as f32).collect::<Vec<f32>>()
    };
    let share = |axis: &Axis| if all > 0.0 { (axis.value / all) as f32 } else { 0.0 };
    let points = places(&first).into_iter().zip(places(&second)).map(|(x, y)| [x, y]).collect();
    (points, [share(&first), share(&second)])
}

/// For each row the rows of largest cosine, as (place, cosine).
fn neighbours(rows: &[f32], width: usize) -> Vec<Vec<(u32, f32)>> {
    let units: Vec<f32> = rows
        .chunks_exact(width)
        .flat_map(|row| {
            let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            row.iter().map(move |x| (f64::from(*x) / length) as f32)
        })
        .collect();
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let of = |(place, row): (usize, &[f32])| {
        let others = (0u32..).zip(units.chunks_exact(width)).filter(|(other, _)| *other as usize != place);
        let mut all: Vec<(u32, f32)> = others.map(|(other, unit)| (other, cosine(row, unit))).collect();
        let by_cosine = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if all.len() > NEAR {
            all.select_nth_unstable_by(NEAR - 1, by_cosine);
            all.truncate(NEAR);
        }
        all.sort_by(by_cosine);
        all
    };
    units.chunks_exact(width).enumerate().map(of).collect()
}

/// Norm of the rows' Fourier component at each frequency from 0 to half their number, in an orthonormal basis of cosines and sines: the squares
/// sum to the squared norm of all rows.
fn waves(rows: &[f32], width: usize) -> Vec<f32> {
    let count = rows.len() / width.max(1);
    let wave = |frequency: usize| {
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
    (0..=count / 2).map(wave).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Normals;

    #[test]
    fn waves_hold_all_there_is_and_a_wave_is_found() {
        for count in [2usize, 3, 10, 97] {
            let rows: Vec<f32> = Normals::new(3, count as u64).take(count * 5).collect();
            let squares = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            let waves = waves(&rows, 5);
            assert!((squares(&waves) / squares(&rows) - 1.0).abs() < 1e-6 && waves.len() == count / 2 + 1);
        }
        let angle = |n: usize| std::f32::consts::TAU * (7 * n) as f32 / 97.0;
        let rows: Vec<f32> = (0..97).flat_map(|n| [angle(n).cos(), angle(n).sin()]).collect();
        let waves = waves(&rows, 2);
        assert!(waves[7] > 9.0 && waves.iter().enumerate().all(|(k, size)| k == 7 || *size < 1e-3), "{waves:?}");
    }

    #[test]
    fn the_plane_keeps_what_lies_in_it() {
        // An ellipse in a plane of six dimensions, far from the origin.
        let at = |i: usize| (i as f32 * 0.37).sin_cos();
        let rows: Vec<f32> = (0..50)
            .flat_map(|i| {
                let (s, c) = at(i);
                [3.0 * c + 9.0, s, -s, 3.0 * c, 1.0, 0.0]
            })
            .collect();
        let (points, explained) = on_plane(&rows, 6);
        assert!((explained[0] + explained[1] - 1.0).abs() < 1e-5 && explained[0] > explained[1]);
        let apart = |i: usize, j: usize| {
            let d = |k: usize| rows[i * 6 + k] - rows[j * 6 + k];
            (0..6).map(|k| d(k) * d(k)).sum::<f32>().sqrt()
        };
        for (i, j) in [(0, 1), (3, 40), (20, 21)] {
            let [a, b] = [points[i], points[j]];
            assert!((((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt() - apart(i, j)).abs() < 1e-3);
        }
        let farthest = points.iter().map(|point| point[0]).fold(0f32, |a, b| if b.abs() > a.abs() { b } else { a });
        assert!(farthest > 0.0);
        assert_eq!(on_plane(&[1.0; 12], 4).1, [0.0, 0.0], "all in one place");
    }

    #[test]
    fn nearest_come_first() {
        let near = neighbours(&[1.0, 0.0, 2.0, 0.1, 0.0, 3.0, -1.0, 0.0], 2);
        assert_eq!(near[0].iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2, 3]);
        assert!((near[0][2].1 + 1.0).abs() < 1e-6 && near.iter().all(|list| list.len() == 3));
    }
}
