//! Scenario tests of the whole program: real server, real worker, real training of very small models on the CPU. None needs a GPU or the
//! internet.

#![allow(clippy::unwrap_used)] // the whole crate is tests

mod access;
mod agents;
mod backup;
mod branches;
mod completions;
mod datasets;
mod disk;
mod entropy_floor;
mod experiments;
mod exports;
mod faults;
mod findings;
mod fixtures;
mod headless;
mod inspections;
mod joining;
mod kills;
mod live;
mod oidc;
mod older_versions;
mod proxies;
mod queue;
mod refusals;
mod remote;
mod research;
mod resume;
mod several;
mod steering;
mod stopping;
mod sweeps;
mod tasks;
mod tls;
