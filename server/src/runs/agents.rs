//! What people do about agents: stopping one and undoing what it did; and the pauses of runs whose agent has used up a budget.
//!
//! - [`budgets`]: the task that pauses runs; [`stop`]: the stop button; [`undo`]: undoing everything, as [`plan`] decides from journals.

pub mod budgets;
mod plan;
pub mod stop;
pub mod undo;
