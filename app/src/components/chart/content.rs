//! What a chart shows: its curves, axes and markers, and what the charts of a page share.

use figure::scene::Role;
use figure::{ChartSpec, Curve, Layout, Style};
use leptos::prelude::*;
use wire::series::Bucket;

use super::range::Range;

/// The state that the charts of a page share.
#[derive(Clone, Copy)]
pub(crate) struct ChartGroup {
    /// The position on the x axis at which all charts show their values.
    pub(crate) crosshair: RwSignal<Option<f64>>,
    /// Brings a range of the x axis into view; `None` shows everything.
    pub(crate) show: Callback<Option<Range>>,
    /// A press on a chart: the position on the x axis, and the journal number of the newest marker there.
    pub(crate) press: Callback<(f64, Option<u64>)>,
    /// The text of a marker, by its journal number.
    pub(crate) describe: Callback<u64, Option<MarkerText>>,
}

#[derive(Debug, Clone)]
pub(crate) struct MarkerText {
    /// Text of the event.
    pub(crate) phrase: String,
    /// Step and author.
    pub(crate) origin: String,
    /// The reason that the author gave.
    pub(crate) reason: Option<String>,
}

/// One curve of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Name in the legend; empty for a curve that is not listed.
    pub(crate) name: String,
    /// Meaning, in its tooltip.
    pub(crate) meaning: String,
    /// Colour.
    pub(crate) role: Role,
    /// Style of the curve.
    pub(crate) style: Style,
    /// Whether its end glows, because it grows now.
    pub(crate) is_live: bool,
    /// Length of a running mean that is drawn over it, in units of the x axis.
    pub(crate) smoothing: Option<f64>,
    /// Whether it belongs to a run that this one was forked from; its name is then drawn at its end.
    pub(crate) is_past: bool,
    /// Values.
    pub(crate) buckets: Vec<Bucket>,
    /// The value of the last step, which the legend shows without a crosshair; the mean of the last bucket if not set.
    pub(crate) newest: Option<f64>,
    /// The step of that value, if the legend names it: it was measured long before the other values.
    pub(crate) measured_at: Option<u64>,
}

impl Line {
    /// A measured curve.
    pub(crate) fn new(name: impl Into<String>, meaning: impl Into<String>, role: Role, buckets: Vec<Bucket>) -> Self {
        Self {
            name: name.into(),
            meaning: meaning.into(),
            role,
            style: Style::Measured,
            is_live: false,
            smoothing: None,
            is_past: false,
            buckets,
            newest: None,
            measured_at: None,
        }
    }

    /// As it is drawn.
    pub(super) fn curve(&self) -> Curve<'_> {
        Curve {
            style: self.style,
            is_live: self.is_live,
            smoothing: self.smoothing,
            is_labelled: self.is_past,
            ..Curve::new(&self.name, self.role, &self.buckets)
        }
    }
}

/// What a chart shows at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChartContent {
    /// Axes, references and markers. Margins are set by the chart.
    pub(crate) spec: ChartSpec,
    /// Curves.
    pub(crate) lines: Vec<Line>,
    /// Journal numbers of the markers, in the order of the spec.
    pub(crate) marked: Vec<u64>,
    /// Whether series are still being fetched: what was drawn before, if anything, stays until they arrive.
    pub(crate) is_incomplete: bool,
}

/// The last drawing and its layout.
pub(super) struct Drawn {
    pub(super) content: ChartContent,
    pub(super) layout: Layout,
    /// One sentence for screen readers.
    pub(super) summary: String,
}
