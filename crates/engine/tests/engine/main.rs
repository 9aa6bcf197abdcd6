//! Tests of the engine: data, the model and its gradients, training and resuming, inspections, models of other programs, and the GPU.
//!
//! They are one program, because each program that links the engine has 150 MB and generates the code that reads JSON again. What needs a
//! separate process starts this program again: see `child`. `stored` has the checkpoints that several tests use.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

mod child;
mod cpu;
mod data;
mod full_check;
mod generation;
mod gpu;
mod gradients;
mod interop;
mod models;
mod mup;
mod resume;
mod stored;
mod tasks;
mod training;
mod xray;
