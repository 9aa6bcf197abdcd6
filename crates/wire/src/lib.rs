//! The words of the lab: what a person asks, what can happen, and what travels between browser, server and worker.
//!
//! No IO, no tensors, no clock: plain data, the arithmetic on it, and its two encodings (JSON for people and REST,
//! postcard for sockets and files). Read in this order:
//!
//! - [`spec`] what someone typed, [`plan`] every number resolved and checked (the numbers themselves are in `recipe`), [`preset`] the table of starting points;
//! - [`command`] all that can be asked, [`event`] all that can happen: together the whole behaviour of the lab;
//! - [`schedule`] the learning rate as a pure function of the step, [`course`] the mix and the batch likewise, [`dials`] all of them as
//!   they stand; [`checkpoint`] saved states, [`history`] the tree of stretches that rollbacks and forks make, [`fork`] a fork's plan;
//! - [`model`] the shape of the decoder and what it costs, [`shape`] whether others know it;
//! - [`series`] names, units and buckets of curves, [`look`] what can be asked of a model's inside, [`edit`] hands laid on it, [`sight`] what is seen, [`frame`] how it travels;
//! - [`run`], [`corpus`], [`device`] the records that pages show; [`complete`] texts written by a checkpoint;
//! - [`check`] the report of a device check; [`link`] worker and server, [`live`] server and page.

pub mod check;
pub mod checkpoint;
pub mod command;
pub mod complete;
pub mod corpus;
pub mod course;
pub mod device;
pub mod dials;
pub mod edit;
pub mod encode;
pub mod error;
pub mod event;
pub mod fork;
pub mod frame;
pub mod history;
pub mod id;
pub mod link;
pub mod live;
pub mod look;
pub mod model;
pub mod plan;
pub mod preset;
mod recipe;
pub mod run;
pub mod schedule;
pub mod series;
pub mod shape;
pub mod sight;
pub mod spec;

pub use checkpoint::CheckpointId;
pub use command::{Command, SetField};
pub use dials::Dials;
pub use error::{ApiErrorBody, PlanError};
pub use event::{Author, Event, EventRecord};
pub use id::{CorpusId, DeviceId, RunId, WorkerId};
pub use plan::RunPlan;
pub use run::{RunState, RunSummary, RunView};
pub use schedule::Schedule;
pub use spec::RunSpec;
