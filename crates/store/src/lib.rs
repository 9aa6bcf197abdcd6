//! What the lab remembers: one folder, with a small SQLite file for runs, journal, looks and tokens, and plain files for curves.
//!
//! No tensors, no HTTP, no clock but the one for tokens. Read in this order:
//!
//! - [`store`](Store) the folder, its lock, and what may be asked of it;
//! - `ingest` how a worker's reports are kept so that nothing is lost and nothing doubled;
//! - `progress` how reports move a run's one line; `runs`, `queue`, `journal`, `access`: one noun each;
//! - `checkpoints` saved states as names and folders, `retention` which are kept, `sweep` what a kill left behind;
//! - `kept` looks inside along a run's way, `thinning` which of them go where they outgrow their budget;
//! - `lineage` where a run comes from and what a worker is given of it, `compare` two runs against each other;
//! - `series` the curves on disk: a pyramid of buckets for each, and the answer to any zoom;
//! - `database` the only module that speaks SQL.

mod access;
mod checkpoints;
mod compare;
mod database;
mod disk;
mod error;
mod ingest;
mod journal;
mod kept;
mod lineage;
mod progress;
mod queue;
mod retention;
mod runs;
mod series;
mod store;
mod sweep;
mod thinning;

pub use access::{Identity, Role, TokenInfo, TokenKind};
pub use checkpoints::HeldCheckpoint;
pub use error::StoreError;
pub use ingest::Ingested;
pub use runs::NewRun;
pub use series::SeriesQuery;
pub use store::Store;
