//! Runs: planned, created, queued and steered, and their models inspected.
//!
//! - [`plan`]: specs resolved against the lab; [`create`]: runs made of plans; [`edit`]: changes of a run's entry, [`bulk`] of several;
//! - [`pools`]: pools, the workers in them, and how machines join;
//! - [`queue`]: queued runs assigned to idle devices; [`devices`]: the devices that a spec may be planned for;
//!   `waiting`: why a queued run waits;
//! - [`resume_elsewhere`]: runs of lost workers continued on other machines; [`availability`]: checkpoints whose files are here;
//! - [`commands`]: commands sent to workers, [`steering`]: commands checked before they are sent; [`forks`]: runs that start from a
//!   checkpoint of another; [`control_run`]: forks that omit one command;
//! - [`comparison`]: fair comparison of groups of runs, of what [`measured`] reads; [`seeds`]: runs that differ in the seed only;
//!   [`fits`]: fits over runs and replays of stopping rules, of what [`trial_curves`] and [`mixes`] read;
//! - [`sweeps`]: trials of sweeps, created, followed and stopped; [`experiments`]: pairs of runs until a rule gives a verdict;
//!   [`research_loops`]: rounds of both that pursue a goal;
//! - [`origins`]: the datasets and the parent of a run, checked;
//! - [`diagnosis`]: what the rules found in a run; [`remedies`]: what can be done about it, [`acts`]: what rules do about it;
//! - [`agents`]: agents stopped, what they did undone, and the pauses of runs whose budgets are used up;
//! - [`inspection`], [`completion`] and [`scoring`]: results of models, computed by a worker or in a [`subprocess`].
//!
//! [`store`] keeps a run's entry, journal and series; [`engine`] trains.

pub mod acts;
pub mod agents;
pub mod availability;
pub mod bulk;
pub mod commands;
pub mod comparison;
pub mod completion;
pub mod control_run;
pub mod create;
pub mod devices;
pub mod diagnosis;
pub mod edit;
pub mod experiments;
pub mod fits;
pub mod forks;
pub mod inspection;
pub mod measured;
pub mod mixes;
pub mod origins;
pub mod plan;
pub mod pools;
pub mod queue;
pub mod remedies;
pub mod research_loops;
pub mod resume_elsewhere;
pub mod scoring;
pub mod seeds;
pub mod steering;
pub mod subprocess;
pub mod sweeps;
pub mod trial_curves;
mod waiting;
