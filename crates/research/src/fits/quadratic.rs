//! A parabola y = c + b (x - x̄) + a (x - x̄)² through points by least squares.

/// The fitted parabola.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Parabola {
    pub center: f64,
    pub constant: f64,
    pub slope: f64,
    pub curvature: f64,
}

impl Parabola {
    /// The parabola through at least 3 points with different x; `None` otherwise.
    pub(super) fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let center = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let power = |exponent: i32| points.iter().map(|(x, _)| (x - center).powi(exponent)).sum::<f64>();
        let moment = |exponent: i32| points.iter().map(|(x, y)| (x - center).powi(exponent) * y).sum::<f64>();
        let (s2, s3, s4) = (power(2), power(3), power(4));
        let (m0, m1, m2) = (moment(0), moment(1), moment(2));
        // Normal equations with Σ (x - x̄) = 0, after eliminating the constant and the slope.
        let scale = s4 - s2 * s2 / count - s3 * s3 / s2;
        if !(scale > 1e-12 * s4) {
            return None;
        }
        let curvature = (m2 - s2 * m0 / count - s3 * m1 / s2) / scale;
        let slope = (m1 - curvature * s3) / s2;
        Some(Self { center, constant: (m0 - curvature * s2) / count, slope, curvature })
    }

    /// The x at which y is least; `None` for a parabola that opens downwards.
    pub(super) fn minimum(&self) -> Option<f64> {
        (self.curvature > 0.0).then(|| self.center - self.slope / (2.0 * self.curvature))
    }

    /// y at x.
    pub(super) fn at(&self, x: f64) -> f64 {
        let from_center = x - self.center;
        self.constant + self.slope * from_center + self.curvature * from_center * from_center
    }
}
