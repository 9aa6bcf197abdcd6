//! What the lab remembers, told as stories; and the properties that hold whatever happens to it.

#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod curves;
mod doomed;
mod faults;
mod format;
mod kept;
mod lab;
mod steering;
mod stories;
