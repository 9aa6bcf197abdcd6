//! The words of the lab: what a person asks, what can happen, and what travels between browser, server and worker.
//!
//! No IO, no tensors, no clock: plain data, the arithmetic on it, and its two encodings (JSON for people and REST,
//! postcard for sockets and files). Read in this order:
//!
//! - [`spec`] what someone typed, [`plan`] every number resolved and checked, [`preset`] the table of starting points;
//! - [`command`] all that can be asked, [`event`] all that can happen: together the whole behaviour of the lab;
//! - [`schedule`] the learning rate as a pure function of the step;
//! - [`model`] the shape of the decoder and what it costs;
//! - [`series`] names, units and buckets of curves, [`frame`] looks inside;
//! - [`run`], [`corpus`], [`device`] the records that pages show;
//! - [`link`] worker and server, [`live`] server and page.

pub mod command;
pub mod corpus;
pub mod device;
pub mod encode;
pub mod error;
pub mod event;
pub mod frame;
pub mod id;
pub mod link;
pub mod live;
pub mod model;
pub mod plan;
pub mod preset;
pub mod run;
pub mod schedule;
pub mod series;
pub mod spec;

pub use command::{Command, SetField};
pub use error::{ApiErrorBody, PlanError};
pub use event::{Author, Event, EventRecord};
pub use id::{CorpusId, DeviceId, RunId, WorkerId};
pub use plan::RunPlan;
pub use run::{RunState, RunSummary, RunView};
pub use schedule::Schedule;
pub use spec::RunSpec;
