//! Sweeps: trials are runs of the ordinary queue, and the queue is what schedules them.
//!
//! - [`start`]: sweeps checked, previewed and started; [`study`]: imported studies of Optuna; [`command`]: what people do with them afterwards;
//! - [`serve`]: the task that checks a sweep when something has happened to it; [`follow`]: what became of its trials, [`decide`]: which of
//!   them its rule stops, by the [`known_curves`]; [`rule_change`]: the values that another rule reads; [`next`]: the next trial, which the
//!   [`sampler`] chooses; [`next_check`]: when a sweep is checked again;
//! - [`results`]: the importance of parameters and the curves of trials.
//! No state is only in memory: after a restart the server checks each sweep once, and the sweep continues from its stored state.

pub mod command;
mod decide;
mod follow;
mod known_curves;
mod next;
mod next_check;
pub mod results;
mod rule_change;
mod sampler;
pub mod serve;
pub mod start;
pub mod study;
