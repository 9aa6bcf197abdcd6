//! Training. [`trainer`]: one optimizer step, read downwards; [`session`]: a run around it, with commands, evaluations, inspections, reports
//! and checkpoints; [`bench`]: a training to its end, for measurements.
//!
//! A session knows nothing of links, stores or pages: it gets commands on a channel and gives reports to a [`Reporter`].

pub mod bench;
pub mod session;
pub mod trainer;

pub use self::session::{Folders, Reporter, Session};
pub use self::trainer::Trainer;
