//! What leaves the lab and what comes into it: a checkpoint as a folder for `transformers`, curves as CSV and Parquet, a whole run as
//! one archive; and back in, an archive as a run, a model as a run of one checkpoint.
//!
//! - [`model`], [`series`] and [`archive`] go out, written on a thread of their own into a [`pipe`];
//! - [`arrival`] takes in: [`unpack`] reads archives as bytes that nobody vouches for, [`guest`] makes a run of a model;
//! - [`tarball`] is the form of all but the curves.

pub mod archive;
pub mod arrival;
pub mod guest;
pub mod model;
pub mod pipe;
pub mod series;
pub mod tarball;
pub mod unpack;
