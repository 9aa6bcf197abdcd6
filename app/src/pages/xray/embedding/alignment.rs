//! Alignment of the projected embeddings of two steps. Principal components can flip and rotate between steps; each
//! projection is rotated, and mirrored if that fits better, onto the one before it (orthogonal Procrustes in the
//! plane).

use std::collections::HashMap;

/// A token on the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ProjectedToken {
    pub(super) token: u32,
    /// To the right.
    pub(super) x: f64,
    /// Upwards.
    pub(super) y: f64,
}

/// `next`, moved by the rotation or the mirrored rotation that brings it nearest to `before`, over the tokens that both
/// have.
///
/// With centred positions as complex numbers a and b the best rotation is the argument of sum a conj(b), the best
/// mirrored one that of sum a b; the one with the larger sum leaves the smaller distance.
pub(super) fn aligned(before: &[ProjectedToken], next: &[ProjectedToken]) -> Vec<ProjectedToken> {
    let known: HashMap<u32, &ProjectedToken> = before.iter().map(|spot| (spot.token, spot)).collect();
    let pairs: Vec<(&ProjectedToken, &ProjectedToken)> =
        next.iter().filter_map(|spot| Some((*known.get(&spot.token)?, spot))).collect();
    let Some(motion) = Motion::best(&pairs) else {
        return next.to_vec();
    };
    next.iter().map(|spot| motion.applied(spot)).collect()
}

/// A rotation about the mean of `next`, mirrored or not, and a shift to the mean of `before`.
struct Motion {
    before: (f64, f64),
    next: (f64, f64),
    is_mirrored: bool,
    cos: f64,
    sin: f64,
}

impl Motion {
    /// The best motion over pairs of `before` and `next`; none for fewer than two pairs or for pairs without extent.
    fn best(pairs: &[(&ProjectedToken, &ProjectedToken)]) -> Option<Self> {
        if pairs.len() < 2 {
            return None;
        }
        let count = pairs.len() as f64;
        let sum = |of: fn(&(&ProjectedToken, &ProjectedToken)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
        let before = (sum(|(a, _)| a.x), sum(|(a, _)| a.y));
        let next = (sum(|(_, b)| b.x), sum(|(_, b)| b.y));
        let (mut rotation, mut mirrored) = ((0.0, 0.0), (0.0, 0.0));
        for (a, b) in pairs {
            let ((px, py), (qx, qy)) = ((a.x - before.0, a.y - before.1), (b.x - next.0, b.y - next.1));
            rotation = (rotation.0 + px * qx + py * qy, rotation.1 + py * qx - px * qy);
            mirrored = (mirrored.0 + px * qx - py * qy, mirrored.1 + py * qx + px * qy);
        }
        let size = |sum: (f64, f64)| sum.0.hypot(sum.1);
        let is_mirrored = size(mirrored) > size(rotation);
        let best = if is_mirrored { mirrored } else { rotation };
        let size = size(best);
        (size > 0.0 && size.is_finite()).then(|| Self {
            before,
            next,
            is_mirrored,
            cos: best.0 / size,
            sin: best.1 / size,
        })
    }

    fn applied(&self, spot: &ProjectedToken) -> ProjectedToken {
        let (x, y) = (spot.x - self.next.0, spot.y - self.next.1);
        let y = if self.is_mirrored { -y } else { y };
        let (right, up) = (x * self.cos - y * self.sin, x * self.sin + y * self.cos);
        ProjectedToken { token: spot.token, x: right + self.before.0, y: up + self.before.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Vec<ProjectedToken> {
        (0..40u32)
            .map(|token| {
                let t = f64::from(token);
                ProjectedToken { token, x: (t * 1.7).sin() * 3.0 + t * 0.05, y: (t * 0.9).cos() - 0.02 * t }
            })
            .collect()
    }

    fn rotated(spots: &[ProjectedToken], angle: f64, is_mirrored: bool) -> Vec<ProjectedToken> {
        let (sin, cos) = angle.sin_cos();
        spots
            .iter()
            .map(|spot| {
                let y = if is_mirrored { -spot.y } else { spot.y };
                ProjectedToken { token: spot.token, x: spot.x * cos - y * sin, y: spot.x * sin + y * cos }
            })
            .collect()
    }

    #[test]
    fn a_rotated_or_mirrored_cloud_is_aligned() {
        let before = cloud();
        for is_mirrored in [false, true] {
            for angle in [0.0, 0.4, 1.9, 3.1, -2.2] {
                // Another order, and a token that was not there before.
                let mut next = rotated(&before, angle, is_mirrored);
                next.reverse();
                next.push(ProjectedToken { token: 99, x: 1.0, y: 2.0 });
                let aligned_next = aligned(&before, &next);
                assert_eq!(aligned_next.len(), next.len());
                for spot in aligned_next.iter().filter(|spot| spot.token != 99) {
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
    fn alignment_keeps_distances_and_takes_any_input() {
        let before = cloud();
        let mut next = rotated(&before, 1.0, true);
        next.iter_mut().for_each(|spot| spot.x += (f64::from(spot.token) * 3.3).sin() * 0.4);
        let aligned_next = aligned(&before, &next);
        let distance = |spots: &[ProjectedToken]| (spots[3].x - spots[20].x).hypot(spots[3].y - spots[20].y);
        assert!((distance(&aligned_next) - distance(&next)).abs() < 1e-9);
        assert_eq!(aligned(&[], &next), next);
        let same = vec![ProjectedToken { token: 1, x: 0.0, y: 0.0 }, ProjectedToken { token: 2, x: 0.0, y: 0.0 }];
        assert_eq!(aligned(&same, &same), same);
    }
}
