//! Tests of the library: against values of other programs (the JSON files, which the Python scripts beside them write), and properties over
//! simulated runs.

mod comparison;
mod diagnosis;
mod experiments;
mod fair;
mod fits;
mod golden;
mod research_loop;
mod sampling;
mod scores;
mod stopping;
mod synthetic;
