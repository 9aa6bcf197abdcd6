//! Markers that would overlap, drawn as one with their number.

use crate::scene::{Font, text_width};

/// Reach of a marker from its middle, pixels.
pub(crate) const MARKER: f64 = 4.5;
/// Font height of the number of a cluster.
pub(crate) const COUNT_SIZE: f64 = 11.0;

/// Pixels between two drawn markers.
const GAP: f64 = 1.0;

/// Markers that are drawn as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Position of its first marker, pixels.
    pub x: f64,
    /// Indices of its markers in the specification, from left to right.
    pub markers: Vec<usize>,
}

impl Cluster {
    /// Half of its width, pixels: a single marker has a shape, several have a box with their number.
    pub(crate) fn half_width(&self) -> f64 {
        if self.markers.len() == 1 { MARKER } else { text_width(&self.count(), COUNT_SIZE, Font::Numbers) / 2.0 + 4.0 }
    }

    /// The number of its markers as text.
    pub(crate) fn count(&self) -> String {
        self.markers.len().to_string()
    }

    fn is_clear_of(&self, right: &Self) -> bool {
        right.x - self.x >= self.half_width() + right.half_width() + GAP
    }
}

/// The clusters of markers at these positions, from left to right; positions that are not finite are left out. No two overlap.
pub(crate) fn clusters(positions: &[f64]) -> Vec<Cluster> {
    let mut order: Vec<usize> = (0..positions.len()).filter(|index| positions[*index].is_finite()).collect();
    order.sort_by(|one, other| positions[*one].total_cmp(&positions[*other]));
    let mut clusters: Vec<Cluster> = Vec::new();
    for index in order {
        let mut next = Cluster { x: positions[index], markers: vec![index] };
        // A merged cluster has a longer number, so it may reach the one before it.
        while let Some(mut last) = clusters.pop() {
            if last.is_clear_of(&next) {
                clusters.push(last);
                break;
            }
            last.markers.append(&mut next.markers);
            next = last;
        }
        clusters.push(next);
    }
    clusters
}

#[cfg(test)]
mod tests {
    use testing::Random;

    use super::*;

    #[test]
    fn no_two_clusters_overlap_and_each_marker_is_in_one() {
        let mut random = Random::new(testing::seed(9));
        for _ in 0..400 {
            let (count, width) = (random.below(3000) as usize, 1 + random.below(3000));
            let positions: Vec<f64> = (0..count)
                .map(|_| if random.below(50) == 0 { f64::NAN } else { random.below(4 * width) as f64 / 4.0 })
                .collect();
            let found = clusters(&positions);
            for pair in found.windows(2) {
                assert!(pair[1].x - pair[0].x >= 2.0 * MARKER, "{} and {}", pair[0].x, pair[1].x);
                let edge = pair[0].x + pair[0].half_width();
                assert!(edge <= pair[1].x - pair[1].half_width(), "two boxes overlap");
            }
            let mut members: Vec<usize> = found.iter().flat_map(|cluster| cluster.markers.clone()).collect();
            members.sort_unstable();
            let visible: Vec<usize> = (0..count).filter(|index| positions[*index].is_finite()).collect();
            assert_eq!(members, visible);
            for cluster in &found {
                assert_eq!(cluster.x, positions[cluster.markers[0]]);
                assert!(cluster.markers.windows(2).all(|pair| positions[pair[0]] <= positions[pair[1]]));
            }
        }
    }

    #[test]
    fn markers_apart_stay_alone_and_markers_at_one_place_become_one() {
        let lengths = |positions: &[f64]| {
            clusters(positions).iter().map(|cluster| (cluster.x, cluster.markers.len())).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[50.0, 10.0, 30.0]), [(10.0, 1), (30.0, 1), (50.0, 1)]);
        assert_eq!(lengths(&[10.0, 10.0, 12.0, 80.0]), [(10.0, 3), (80.0, 1)]);
        assert_eq!(lengths(&[f64::NAN]), []);
    }
}
