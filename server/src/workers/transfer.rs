//! Files between this server and the workers of other machines. A worker fetches the dataset of its run and the checkpoint to resume from,
//! and uploads the checkpoints that it saves. Routes are in [`crate::api::transfer`], the worker's side is in the crate `worker`.
//!
//! - [`access`]: a worker uses only files of the runs that it trains; [`contents`]: files as responses, from any byte on;
//! - [`uploads`]: files that arrive in parts and are renamed into place once they are complete and checked.

pub mod access;
pub mod contents;
pub mod uploads;
