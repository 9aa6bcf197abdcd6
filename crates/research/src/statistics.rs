//! Statistics that comparisons and rules share: descriptions of a sample, quantiles of distributions, and a line through points.
//!
//! Quantiles and probabilities come from `statrs`; golden values from SciPy and statsmodels check them (`tests/research/golden.py`).

pub mod distribution;
pub mod line;
pub mod sample;
