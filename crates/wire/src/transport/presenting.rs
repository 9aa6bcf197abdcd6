//! Presentations: a page that others follow. The messages are in [`super::live`].

use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// Names in a list of watchers; more are only counted.
pub const MAX_WATCHER_NAMES: usize = 50;

/// What the page of a presenter shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PresenterState {
    /// Path and query of the page, from the root of the lab. A presenter always sends it; a follower receives `None` where it shows
    /// something that is not shared with them.
    pub path: Option<String>,
    /// The step that it shows, on pages that show one.
    pub step: Option<u64>,
    /// The value of the x axis under the pointer, on pages with charts.
    pub x: Option<f64>,
    /// How far it is scrolled, from 0 (top) to 1 (bottom).
    pub scroll: f32,
    /// The pointer as fractions of the width and the height of the content of the page; `None` while it is elsewhere.
    pub pointer: Option<[f32; 2]>,
}

impl PresenterState {
    /// What a follower receives who may not see the page.
    pub fn hidden() -> Self {
        Self::default()
    }

    /// Whether all numbers are within their bounds.
    pub fn is_valid(&self) -> bool {
        let is_fraction = |value: f32| (0.0..=1.0).contains(&value);
        is_fraction(self.scroll)
            && self.pointer.is_none_or(|place| place.into_iter().all(is_fraction))
            && self.x.is_none_or(f64::is_finite)
    }
}

/// A presentation in the list of those that a page may follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presentation {
    /// Its number, which the presenter's page has chosen at random.
    pub id: u64,
    /// Name of the presenter.
    pub presenter: String,
    /// The run that it shows now, if it shows a single one.
    pub run: Option<RunId>,
    /// The project that it shows now, if it shows one.
    pub project: Option<String>,
    /// Pages that follow it.
    pub watchers: u32,
    /// Whether this page presents it.
    pub is_own: bool,
}
