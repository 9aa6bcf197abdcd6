//! Files of every format, good and bad, and the documents that come of them.
#![allow(clippy::unwrap_used)] // a test's own helpers may

mod cases;
mod folder;
mod formats;
mod memory;
mod random_folders;
