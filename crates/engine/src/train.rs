//! Training. [`trainer`]: one optimizer step, read downwards; [`session`]: a run around it, with its commands (`commands`), evaluations and
//! samples (`evaluation`), inspections, reports (`reports`) and checkpoints (`checkpoints`, written on a thread of their own by
//! `checkpoint_writer`). `replay`: how a run with a past continues. [`bench`]: a training to its end, for measurements.
//!
//! A session knows nothing of links, stores or pages: it gets commands on a channel and gives reports to a [`Reporter`].

pub mod bench;
mod checkpoint_writer;
mod checkpoints;
mod commands;
mod evaluation;
mod inspections;
mod replay;
mod reports;
pub mod session;
pub mod trainer;

pub use self::session::{Folders, Reporter, Session};
pub use self::trainer::Trainer;
