//! The time series of metrics on disk, complete: `series/<run>/<segment>/<name>.l0` has every point, `.l1`, `.l2`, ... buckets of 16,
//! 256, ... points, so that any window is answered from a few thousand records, whatever the length of the run.
//!
//! - [`point`] points and buckets as bytes, and how they merge;
//! - [`file_name`] names of series as file names;
//! - [`pyramid`] the files of one series: opened and repaired, appended to, read;
//! - [`folder`] all series of a run, [`files`] those of all runs; [`axis`] values on the x axis; [`query`] windows; [`path`] every
//!   point along a path of segments; [`curves`] every point of all series, for an export.
//!
//! New points are stored in the database's transaction, which is synced anyway, and are written again at the next start
//! ([`SeriesFiles::redo`]) unless a [`SeriesFiles::sync`] came first. So files are not synced at each append, which would wait for the disk
//! once per series, and a series is written only when it has some dozens of new points ([`SeriesFiles::prepare`]): a run with a hundred metrics
//! would open a hundred files for each step.
//!
//! Nothing here uses SQL or is async.

mod axis;
mod curves;
mod file_name;
mod files;
mod folder;
mod lock;
mod path;
mod point;
mod pyramid;
mod query;

pub use curves::{Curve, CurvePoint};
pub(crate) use files::{Appended, SeriesFiles};
pub(crate) use path::{PathPoints, PathSegment};
pub use query::SeriesQuery;
