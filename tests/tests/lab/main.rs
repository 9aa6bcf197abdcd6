//! Stories across the whole lab: the real program, its real worker, real training of very small models on the CPU. Each is
//! a sentence that a user would say; none needs a GPU or the internet.

#![allow(clippy::unwrap_used)] // the whole crate is tests

mod access;
mod alone;
mod branches;
mod chance;
mod disk;
mod faults;
mod floor;
mod live;
mod playground;
mod queue;
mod refusals;
mod resume;
mod steering;
mod takeaway;
mod texts;
mod xray;
