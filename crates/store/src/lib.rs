//! What the lab remembers: one folder, with a small SQLite file for runs, journal, looks and tokens, and plain files for curves.
//!
//! No tensors, no HTTP, no clock but the one for tokens. Read in this order:
//!
//! - [`store`](Store) the folder, its lock, and what may be asked of it;
//! - `ingest` how a worker's reports are kept so that nothing is lost and nothing doubled;
//! - `progress` how reports move a run's one line; `runs`, `queue`, `journal`, `access`: one noun each;
//! - `series` the curves on disk: a pyramid of buckets for each, and the answer to any zoom;
//! - `database` the only module that speaks SQL.

mod access;
mod database;
mod error;
mod ingest;
mod journal;
mod progress;
mod queue;
mod runs;
mod series;
mod store;

pub use access::{Identity, Role, TokenInfo, TokenKind};
pub use error::StoreError;
pub use ingest::Ingested;
pub use runs::NewRun;
pub use series::SeriesQuery;
pub use store::Store;
