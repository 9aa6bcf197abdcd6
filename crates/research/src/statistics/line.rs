//! Ordinary least squares: the line through points, the standard error of its slope, and the interval of the slope.
//!
//! slope = S_xy / S_xx, s² = Σ residual² / (n - 2), se(slope) = s / sqrt(S_xx). Source: Draper, Smith, Applied Regression Analysis, ch. 1;
//! checked against `statsmodels.OLS`.

use super::distribution::t_quantile;

/// A fitted line y = mean_y + slope (x - mean_x).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Number of points.
    pub count: usize,
    pub mean_x: f64,
    pub mean_y: f64,
    /// Change of y per unit of x.
    pub slope: f64,
    /// Standard error of the slope, for independent residuals; NaN for fewer than 3 points.
    pub slope_error: f64,
    /// Standard deviation of the residuals; NaN for fewer than 3 points.
    pub residual: f64,
}

impl Line {
    /// The line through points (x, y). `None` for fewer than 2 points, or if all x are equal.
    pub fn fit(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let (count, sum_x, sum_y) =
            points.clone().fold((0, 0.0, 0.0), |(count, sx, sy), (x, y)| (count + 1, sx + x, sy + y));
        let (mean_x, mean_y) = (sum_x / count as f64, sum_y / count as f64);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in points {
            let (dx, dy) = (x - mean_x, y - mean_y);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        if count < 2 || xx.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
            return None;
        }
        let slope = xy / xx;
        // Rounding can make it negative when the points are on a line.
        let squares = (yy - slope * xy).max(0.0);
        let residual = if count > 2 { (squares / (count - 2) as f64).sqrt() } else { f64::NAN };
        Some(Self { count, mean_x, mean_y, slope, slope_error: residual / xx.sqrt(), residual })
    }

    /// The y of the line at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.mean_y + self.slope * (x - self.mean_x)
    }

    /// The standard error of [`Self::at`]: sqrt(s² / n + se(slope)² (x - mean_x)²).
    pub fn error_at(&self, x: f64) -> f64 {
        (self.residual.powi(2) / self.count as f64 + (self.slope_error * (x - self.mean_x)).powi(2)).sqrt()
    }

    /// The confidence interval of the slope at this level, such as 0.95. NaN for fewer than 3 points.
    pub fn slope_interval(&self, level: f64) -> (f64, f64) {
        let margin = t_quantile(0.5 + level / 2.0, self.count as f64 - 2.0) * self.slope_error;
        (self.slope - margin, self.slope + margin)
    }
}
