//! The one drawing code of the lab: what a person sees on the page is what the server writes as SVG or PNG.
//!
//! A chart is computed here as a [`Scene`], a list of plain shapes painted by role; the page walks the same list onto a
//! canvas. No colours are chosen here except in [`theme`], nothing is measured with a real font, and nothing is fetched.
//! Read in this order:
//!
//! - [`scene`] shapes and roles, [`theme`] what a role looks like in light and dark;
//! - [`number`] how a value is written, [`axis`] scales and ticks;
//! - [`chart()`] what a chart is made of, [`curve`] one line on it, [`layout`] where things are, for pointers and keys;
//! - [`ramp`] colours for fields of numbers, [`heat`] such fields as pictures;
//! - [`summary`] the same chart in words and as a table;
//! - [`svg()`], [`png`] (feature `png`, for programs with a disk: it uses the system's fonts), [`sparkline()`].

pub mod axis;
pub mod chart;
pub mod curve;
#[cfg(feature = "png")]
pub mod error;
mod furniture;
pub mod heat;
pub mod layout;
pub mod number;
#[cfg(feature = "png")]
pub mod png;
pub mod ramp;
pub mod scene;
pub mod sparkline;
mod stack;
pub mod summary;
pub mod svg;
pub mod theme;

pub use axis::{Scale, ScaleKind, Tick};
pub use chart::{ChartSpec, Drawing, Furniture, Mark, Reference, chart, crosshair};
pub use curve::{Curve, Style};
pub use furniture::place_label;
pub use layout::{Layout, Reading};
pub use ramp::Ramp;
pub use scene::{Point, Rect, Role, Scene, Shape, Size};
pub use sparkline::sparkline;
pub use summary::{Table, describe, table};
pub use svg::svg;
pub use theme::Theme;
