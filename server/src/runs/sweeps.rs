//! Sweeps: trials are runs of the ordinary queue, and the queue is what schedules them.
//!
//! - [`start`]: sweeps checked, previewed and started; [`command`]: what people do with them afterwards;
//! - [`serve`]: the task that checks a sweep when something has happened to it; [`follow`]: what became of its trials, [`decide`]: which of
//!   them its rule stops, by the [`known_curves`]; [`next`]: the next trial, chosen by its [`sampler`]; [`next_check`]: when a sweep is
//!   checked again;
//! - [`results`]: the importance of parameters and the curves of trials.
//!
//! Nothing is kept in memory alone: after a restart each sweep is checked once, and continues from there.

pub mod command;
mod decide;
mod follow;
mod known_curves;
mod next;
mod next_check;
pub mod results;
mod sampler;
pub mod serve;
pub mod start;
