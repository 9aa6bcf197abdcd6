//! What requests leave behind: entries of the audit log and the last uses of tokens. They are collected in memory, bounded, and written in
//! one transaction each second.
//!
//! - [`log`]: the entries that wait to be written; [`sender`]: who sends a request, from where.
//!
//! Which requests are recorded is decided in `crate::api::audited`.

pub mod log;
pub mod sender;

pub use log::AuditLog;
pub use sender::Sender;
