//! Experiments: the verdict from the pairs that were trained, and how often the predictions of an author came true.
//!
//! - [`decide`], [`conclude`] and [`looks`] in [`decision`]: the decision rule;
//! - [`scores`] in [`calibration`]: Brier score and reliability diagram.

mod calibration;
mod decision;

pub use calibration::{AuthorScore, ProbabilityBin, scores};
pub use decision::{Look, conclude, decide, looks};
