//! Embeddings on a plane that keep still from step to step. Principal axes are free to flip and to turn between two steps; each picture is
//! turned, and mirrored where that helps, onto the one before it (orthogonal Procrustes in the plane).

use std::collections::HashMap;

/// A token's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spot {
    /// Which token.
    pub(crate) token: u32,
    /// Across.
    pub(crate) x: f64,
    /// Upwards.
    pub(crate) y: f64,
}

/// `next`, moved by the turn or the mirrored turn that brings it nearest to `before`, over the tokens that both have.
///
/// With centred places as complex numbers a and b the best turn is the argument of sum a conj(b), the best mirrored one that of sum a b; of
/// the two the one with the larger sum leaves the smaller distance.
pub(crate) fn aligned(before: &[Spot], next: &[Spot]) -> Vec<Spot> {
    let places: HashMap<u32, &Spot> = before.iter().map(|spot| (spot.token, spot)).collect();
    let pairs: Vec<(&Spot, &Spot)> = next.iter().filter_map(|spot| Some((*places.get(&spot.token)?, spot))).collect();
    if pairs.len() < 2 {
        return next.to_vec();
    }
    let count = pairs.len() as f64;
    let middle = pairs.iter().fold([0.0; 4], |sum, (a, b)| [sum[0] + a.x, sum[1] + a.y, sum[2] + b.x, sum[3] + b.y]);
    let [ax, ay, bx, by] = middle.map(|sum| sum / count);
    let (mut turn, mut mirror) = ((0.0, 0.0), (0.0, 0.0));
    for (a, b) in pairs {
        let ((px, py), (qx, qy)) = ((a.x - ax, a.y - ay), (b.x - bx, b.y - by));
        turn = (turn.0 + px * qx + py * qy, turn.1 + py * qx - px * qy);
        mirror = (mirror.0 + px * qx - py * qy, mirror.1 + py * qx + px * qy);
    }
    let (turn_size, mirror_size) = (turn.0.hypot(turn.1), mirror.0.hypot(mirror.1));
    let is_mirrored = mirror_size > turn_size;
    let (sum, size) = if is_mirrored { (mirror, mirror_size) } else { (turn, turn_size) };
    if size <= 0.0 || !size.is_finite() {
        return next.to_vec();
    }
    let (cos, sin) = (sum.0 / size, sum.1 / size);
    let place = |spot: &Spot| {
        let (x, y) = (spot.x - bx, if is_mirrored { by - spot.y } else { spot.y - by });
        Spot { token: spot.token, x: x * cos - y * sin + ax, y: x * sin + y * cos + ay }
    };
    next.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Vec<Spot> {
        (0..40u32)
            .map(|token| {
                let t = f64::from(token);
                Spot { token, x: (t * 1.7).sin() * 3.0 + t * 0.05, y: (t * 0.9).cos() - 0.02 * t }
            })
            .collect()
    }

    fn turned(spots: &[Spot], angle: f64, is_mirrored: bool) -> Vec<Spot> {
        let (sin, cos) = angle.sin_cos();
        spots
            .iter()
            .map(|spot| {
                let y = if is_mirrored { -spot.y } else { spot.y };
                Spot { token: spot.token, x: spot.x * cos - y * sin, y: spot.x * sin + y * cos }
            })
            .collect()
    }

    #[test]
    fn a_turned_or_mirrored_cloud_falls_back_into_place() {
        let before = cloud();
        for is_mirrored in [false, true] {
            for angle in [0.0, 0.4, 1.9, 3.1, -2.2] {
                // Another order, and a token that was not there before.
                let mut next = turned(&before, angle, is_mirrored);
                next.reverse();
                next.push(Spot { token: 99, x: 1.0, y: 2.0 });
                let still = aligned(&before, &next);
                assert_eq!(still.len(), next.len());
                for spot in still.iter().filter(|spot| spot.token != 99) {
                    let was = &before[spot.token as usize];
                    assert!(
                        (spot.x - was.x).abs() < 1e-9 && (spot.y - was.y).abs() < 1e-9,
                        "{angle} {is_mirrored}: {spot:?} for {was:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn distances_are_never_changed_and_nothing_breaks() {
        let before = cloud();
        let mut next = turned(&before, 1.0, true);
        next.iter_mut().for_each(|spot| spot.x += (f64::from(spot.token) * 3.3).sin() * 0.4);
        let still = aligned(&before, &next);
        let apart = |spots: &[Spot]| (spots[3].x - spots[20].x).hypot(spots[3].y - spots[20].y);
        assert!((apart(&still) - apart(&next)).abs() < 1e-9);
        assert_eq!(aligned(&[], &next), next);
        let same = vec![Spot { token: 1, x: 0.0, y: 0.0 }, Spot { token: 2, x: 0.0, y: 0.0 }];
        assert_eq!(aligned(&same, &same), same);
    }
}
