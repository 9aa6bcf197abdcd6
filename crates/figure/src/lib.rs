//! The drawing code of charts and heat maps: the page and the files of the server (SVG, PNG) show the same drawing.
//!
//! A chart is computed here as a [`Scene`], a list of plain shapes painted by role; the page draws the same list on a
//! canvas. No colours are chosen here except in [`theme`], nothing is measured with a real font, and nothing is fetched.
//! Read in this order:
//!
//! - [`scene`] shapes and roles, [`theme`] the colour of each role in light and dark, [`colours`] those of compared runs;
//! - [`number`] how a value is written, [`axis`] scales and ticks;
//! - [`spec`] the parts of a chart, [`curve`] its curves, [`layout`] the geometry, which also converts pixels to values;
//! - [`cluster`] markers that are drawn as one;
//! - [`chart()`] draws a chart: `frame` axes, markers and legend, `line` curves, `area` stacked curves;
//! - [`ramp`] colour maps, [`heat`] heat maps, [`inspection`] inspections as images;
//! - [`reliability`] reliability diagrams: the fraction of predictions that came true over the predicted probability;
//! - [`summary`] the same chart in words and as a table;
//! - [`svg()`], [`png`] (feature `png`, for programs with a disk: it uses the system's fonts), [`sparkline()`].

mod area;
pub mod axis;
pub mod chart;
pub mod cluster;
pub mod colours;
pub mod curve;
#[cfg(feature = "png")]
pub mod error;
mod frame;
pub mod heat;
pub mod inspection;
pub mod layout;
mod line;
pub mod number;
#[cfg(feature = "png")]
pub mod png;
pub mod ramp;
pub mod reliability;
pub mod scene;
pub mod sparkline;
pub mod spec;
mod stack;
pub mod summary;
pub mod svg;
pub mod theme;

pub use axis::{Scale, ScaleKind, Tick};
pub use chart::{Drawing, chart, crosshair};
pub use colours::Colours;
pub use curve::{Curve, SMOOTHING, Style};
pub use frame::crosshair_label;
pub use layout::{Layout, Reading};
pub use ramp::Ramp;
pub use reliability::{ReliabilityBin, reliability};
pub use scene::{Point, Rect, Role, Scene, Shape, Size};
pub use sparkline::{sparkline, sparkline_between};
pub use spec::{Aggregation, ChartSpec, Frame, Marker, Reference};
pub use summary::{Table, describe, table};
pub use svg::{svg, svg_element};
pub use theme::Theme;
