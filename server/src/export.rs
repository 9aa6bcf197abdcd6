//! Exports and imports: runs as archives, checkpoints as folders for `transformers`, time series as CSV and Parquet.
//!
//! - [`archive`], [`hf`] and [`series`] write exports; [`body`] streams them as responses;
//! - [`trials`] writes the trials of a sweep as CSV and Parquet;
//! - [`import`] reads uploads: [`unpack`] archives of runs, [`imported_model`] models; [`hub`] fetches models;
//! - [`backup`] writes a whole lab, [`restore`] reads it;
//! - [`report`] writes the research journal of a project as Markdown and HTML;
//! - [`figures`] draws charts and inspections as images;
//! - [`alerts`] sends messages about runs and machines to the channels of people and of the lab;
//! - [`tarball`] is the file format of everything but series.

pub mod alerts;
pub mod archive;
pub mod backup;
pub mod body;
pub mod figures;
pub mod hf;
pub mod hub;
pub mod import;
pub mod imported_model;
pub mod report;
pub mod restore;
pub mod series;
pub mod tarball;
pub mod trials;
pub mod unpack;
