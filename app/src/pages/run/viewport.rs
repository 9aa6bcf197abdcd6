//! Which range of the x axis is in view, and whether it follows the run.

use crate::components::chart::Range;

/// The range in view.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Viewport {
    /// From the first step to the newest; grows with the run.
    #[default]
    Whole,
    /// From the first step to the last planned step.
    Plan,
    /// The newest range of this length; its right edge scrolls with the run.
    Newest {
        /// Length in units of the x axis.
        length: f64,
    },
    /// A fixed range, which does not follow the run.
    Fixed(Range),
}

/// Room to the right of the newest value while the run grows, as a fraction of the view: the plan is drawn there.
const ROOM: f64 = 0.04;
/// Minimum length of a view in units of the x axis: a shorter one would show a single step.
const MIN_LENGTH: f64 = 4.0;

impl Viewport {
    /// Whether the right edge follows the run.
    pub(super) fn is_following(self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// The range in view, for a run recorded up to `end` and planned to `planned_end`.
    pub(super) fn range(self, end: f64, planned_end: Option<f64>, is_growing: bool) -> Range {
        let end = if end.is_finite() { end.max(1.0) } else { 1.0 };
        let room = |length: f64| if is_growing { end + length * ROOM } else { end };
        match self {
            Self::Whole => Range { from: 0.0, to: room(end) },
            Self::Plan => Range { from: 0.0, to: planned_end.unwrap_or(end).max(end) },
            Self::Newest { length } => Range { from: (room(length) - length).max(0.0), to: room(length) },
            Self::Fixed(range) => range,
        }
    }

    /// The viewport for a range that was zoomed or dragged to. Ends outside the run are pulled inside. A range that
    /// still contains the newest value follows it, and one that contains everything is the whole again.
    pub(super) fn of_range(range: Range, end: f64, planned_end: Option<f64>, is_growing: bool) -> Self {
        let Range { from, to } = range;
        let last = planned_end.unwrap_or(end).max(end).max(1.0);
        if !(from.is_finite() && to.is_finite()) || from >= to {
            return Self::Whole;
        }
        let length = (to - from).max(MIN_LENGTH.min(last)).min(last * 1.05);
        let from = (from.max(0.0)).min((last * 1.05 - length).max(0.0));
        let to = from + length;
        let whole = Self::Whole.range(end, planned_end, is_growing);
        // Zooming out past both ends means the whole.
        if from <= 0.001 * whole.to && (0.999 * whole.to..=1.25 * whole.to).contains(&to) {
            return Self::Whole;
        }
        if is_growing && to >= end && to <= end + length * (ROOM * 2.0) && from > 0.0 {
            return Self::Newest { length };
        }
        Self::Fixed(Range { from, to })
    }
}
