//! Presentations: a page that others follow. The messages are in [`super::live`].

use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// Names in a list of watchers; more are only counted.
pub const MAX_WATCHER_NAMES: usize = 50;

/// Maximum length of the name of an element, characters.
pub const MAX_ANCHOR_CHARS: usize = 200;

/// A spot on a page, relative to an element, because windows differ in size and not all readers see the same panels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spot {
    /// Name of the element, which only pages read; empty for the whole content of the page.
    pub anchor: String,
    /// Fractions of its width and height.
    pub at: [f32; 2],
}

impl Spot {
    fn is_valid(&self) -> bool {
        let is_fraction = |value: f32| (0.0..=1.0).contains(&value);
        self.at.into_iter().all(is_fraction) && self.anchor.chars().count() <= MAX_ANCHOR_CHARS
    }
}

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
    /// What is at the upper edge of the window; `None` at the top of the page.
    pub scroll: Option<Spot>,
    /// The pointer; `None` while it is not over the content of the page.
    pub pointer: Option<Spot>,
}

impl PresenterState {
    /// What a follower receives who may not see the page.
    pub fn hidden() -> Self {
        Self::default()
    }

    /// Whether all values are within their bounds.
    pub fn is_valid(&self) -> bool {
        self.scroll.iter().chain(&self.pointer).all(Spot::is_valid) && self.x.is_none_or(f64::is_finite)
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
