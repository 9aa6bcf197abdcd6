//! The running median of values over a parameter, with the range between its quartiles.

use research::statistics::sample::quantile;

/// Fewest neighbours of a median.
const FEWEST: usize = 5;

/// The median and the quartiles of the values around a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quartiles {
    pub(super) place: f64,
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

/// Quartiles of some values at a place; `None` without values.
pub(super) fn quartiles(place: f64, mut values: Vec<f64>) -> Option<Quartiles> {
    values.sort_by(f64::total_cmp);
    let at = |p: f64| quantile(&values, p);
    (!values.is_empty()).then(|| Quartiles { place, low: at(0.25), median: at(0.5), high: at(0.75) })
}

/// The quartiles of each window of a fifth of the points, at least 5, in the order of their places; none with fewer points. A window is at the
/// mean of its places.
pub(super) fn running(mut points: Vec<(f64, f64)>) -> Vec<Quartiles> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let width = (points.len() / 5).max(FEWEST);
    let of_window = |window: &[(f64, f64)]| {
        let place = window.iter().map(|(place, _)| place).sum::<f64>() / window.len() as f64;
        quartiles(place, window.iter().map(|(_, value)| *value).collect())
    };
    points.windows(width).filter_map(of_window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_median_follows_the_values() {
        let points: Vec<(f64, f64)> = (0..7).rev().map(|at| (f64::from(at), f64::from(at * 10))).collect();
        let found = running(points);
        assert_eq!(found.len(), 3, "windows of 5 of 7 points");
        assert_eq!(found[0], Quartiles { place: 2.0, low: 10.0, median: 20.0, high: 30.0 });
        assert_eq!(found[2].place, 4.0);
        assert!(running(vec![(0.0, 1.0); 4]).is_empty());
        assert_eq!(quartiles(0.5, vec![]), None);
    }
}
