//! The hyperparameters of a run: their values, and one table that describes them.
//!
//! - [`recipe`]: the values, as plain fields with their defaults; [`table`]: path, label, unit, meaning and range of each, and whether
//!   it can change while a run trains. The form, the control bar, validation, the API document, `kindling train --set` and the
//!   reference are made from the table.
//! - [`live_path`]: the paths of those that can change while a run trains;
//! - [`schedule`]: the learning rate over steps; [`mix`]: dataset weights over steps; [`accumulation`]: micro-batches over steps.
//!
//! How a change during training is checked and applied is in [`crate::control::live`].

pub mod accumulation;
pub mod live_path;
pub mod mix;
pub mod recipe;
pub mod schedule;
pub mod table;
