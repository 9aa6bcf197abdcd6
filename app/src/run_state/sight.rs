//! Which stretch of the x axis is in view, and how zooming and dragging change it.

/// The stretch in view.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Sight {
    /// From the first step to the newest; grows with the run.
    #[default]
    Whole,
    /// From the first step to the last one planned.
    Plan,
    /// The newest stretch of this length; its right edge scrolls with the run.
    Newest {
        /// Length on the axis.
        length: f64,
    },
    /// A fixed stretch: detached from live.
    Fixed {
        /// Left end.
        from: f64,
        /// Right end.
        to: f64,
    },
}

/// The ends of what is in view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct View {
    /// Left end.
    pub(crate) from: f64,
    /// Right end.
    pub(crate) to: f64,
}

/// Room right of the newest value while the run grows, as a share of the view: the plan is seen there.
const ROOM: f64 = 0.04;
/// Views are never shorter than this many units: below it one sees a single step.
const SHORTEST: f64 = 4.0;

impl Sight {
    /// Whether the right edge follows the run.
    pub(crate) fn is_following(self) -> bool {
        !matches!(self, Self::Fixed { .. })
    }

    /// The ends in view, for a run recorded up to `end` and planned to `planned_end`.
    pub(crate) fn view(self, end: f64, planned_end: Option<f64>, is_growing: bool) -> View {
        let end = if end.is_finite() { end.max(1.0) } else { 1.0 };
        let room = |length: f64| if is_growing { end + length * ROOM } else { end };
        match self {
            Self::Whole => View { from: 0.0, to: room(end) },
            Self::Plan => View { from: 0.0, to: planned_end.unwrap_or(end).max(end) },
            Self::Newest { length } => View { from: (room(length) - length).max(0.0), to: room(length) },
            Self::Fixed { from, to } => View { from, to },
        }
    }

    /// The sight for a stretch someone zoomed or dragged to. Ends outside the run are pulled in; a stretch that still
    /// reaches the newest value follows it, one that holds everything is the whole again.
    pub(crate) fn of_stretch(from: f64, to: f64, end: f64, planned_end: Option<f64>, is_growing: bool) -> Self {
        let last = planned_end.unwrap_or(end).max(end).max(1.0);
        if !(from.is_finite() && to.is_finite()) || from >= to {
            return Self::Whole;
        }
        let shortest = SHORTEST.min(last);
        let length = (to - from).max(shortest).min(last * 1.05);
        let from = (from.max(0.0)).min((last * 1.05 - length).max(0.0));
        let to = from + length;
        let whole = Self::Whole.view(end, planned_end, is_growing);
        // Zooming out past both ends means the whole.
        if from <= 0.001 * whole.to && (0.999 * whole.to..=1.25 * whole.to).contains(&to) {
            return Self::Whole;
        }
        if is_growing && to >= end && to <= end + length * (ROOM * 2.0) && from > 0.0 {
            return Self::Newest { length };
        }
        Self::Fixed { from, to }
    }
}

impl View {
    /// Its length.
    pub(crate) fn length(self) -> f64 {
        self.to - self.from
    }

    /// Closer by `factor` about a place, which stays where it is.
    pub(crate) fn zoomed(self, about: f64, factor: f64) -> (f64, f64) {
        (about - (about - self.from) / factor, about + (self.to - about) / factor)
    }

    /// Moved by a share of its length.
    pub(crate) fn moved(self, share: f64) -> (f64, f64) {
        (self.from + share * self.length(), self.to + share * self.length())
    }
}
