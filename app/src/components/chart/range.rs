//! A range of the x axis, and how zooming and dragging change it.

/// A range of the x axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    /// Left end.
    pub(crate) from: f64,
    /// Right end.
    pub(crate) to: f64,
}

impl Range {
    pub(crate) fn length(self) -> f64 {
        self.to - self.from
    }

    /// Shorter by `factor`; the position `about` does not move on the screen.
    pub(crate) fn zoomed(self, about: f64, factor: f64) -> Self {
        Self { from: about - (about - self.from) / factor, to: about + (self.to - about) / factor }
    }

    /// Moved by a fraction of its length.
    pub(crate) fn moved(self, fraction: f64) -> Self {
        let by = fraction * self.length();
        Self { from: self.from + by, to: self.to + by }
    }

    /// Pulled inside bounds; `None` if it covers all of them.
    pub(crate) fn within(self, bounds: Self) -> Option<Self> {
        if !(self.from.is_finite() && self.to.is_finite()) || self.length() <= 0.0 || bounds.length() <= 0.0 {
            return None;
        }
        let length = self.length().min(bounds.length());
        let from = self.from.clamp(bounds.from, bounds.to - length);
        (length < 0.999 * bounds.length()).then_some(Self { from, to: from + length })
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn a_range_stays_inside_its_bounds() {
        let bounds = Range { from: 0.0, to: 100.0 };
        let range = |from, to| Range { from, to };
        assert_eq!(range(-20.0, 20.0).within(bounds), Some(range(0.0, 40.0)));
        assert_eq!(range(90.0, 130.0).within(bounds), Some(range(60.0, 100.0)));
        assert_eq!(range(30.0, 40.0).within(bounds), Some(range(30.0, 40.0)));
        assert_eq!(range(-5.0, 105.0).within(bounds), None, "all of it is in view");
        assert_eq!(range(40.0, 40.0).within(bounds), None);
        assert_eq!(range(f64::NAN, 40.0).within(bounds), None);
    }

    #[test]
    fn zooming_keeps_the_place_under_the_pointer() {
        let zoomed = Range { from: 0.0, to: 100.0 }.zoomed(25.0, 2.0);
        assert_eq!(zoomed, Range { from: 12.5, to: 62.5 });
        assert_eq!(zoomed.moved(0.5), Range { from: 37.5, to: 87.5 });
    }
}
