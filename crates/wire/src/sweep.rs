//! Sweeps: trials over a search space.
//!
//! [`space`]: the parameters that vary, their values, conditions and constraints, and the points of trials; [`sampler`]: how points are
//! chosen; [`stopping`]: rules that stop trials early.

pub mod sampler;
pub mod space;
pub mod stopping;
