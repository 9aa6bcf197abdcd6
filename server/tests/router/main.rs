//! The server without a socket of its own: who may do what, what is refused and how, and whole runs through a worker
//! that pretends to train.

#![allow(clippy::unwrap_used)] // a test's helpers may fail it

mod access;
mod checks;
mod complete;
mod lab;
mod looks;
mod refusals;
mod steering;
mod stories;
mod takeaway;
mod tokens;
mod uploads;
