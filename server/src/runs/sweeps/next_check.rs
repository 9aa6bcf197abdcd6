//! When a sweep is checked again.

/// When a sweep is checked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NextCheck {
    /// When something happens to it.
    WhenWoken,
    /// Also without that, a little later.
    Later,
}
