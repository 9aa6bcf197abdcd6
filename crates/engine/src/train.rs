//! Training. [`trainer`]: one optimizer step; [`session`]: the training loop of a run, with commands, evaluations, inspections, reports and
//! checkpoints; [`mod@bench`]: measurement of a complete run.
//!
//! A session does not depend on links, stores or pages: it receives commands on a channel and sends reports to a [`Reporter`].

pub mod bench;
pub mod session;
pub mod trainer;

pub use self::session::{Folders, Reporter, Session};
pub use self::trainer::Trainer;
