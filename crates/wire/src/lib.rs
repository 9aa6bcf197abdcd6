//! Types that the browser, the server and the workers share. Plain data and the arithmetic on it: no IO, no tensors, no clock. Two
//! encodings: JSON for people and the REST API, postcard for sockets and files.
//!
//! From the bottom up; a module uses only those above it in this list:
//!
//! - [`id`], [`error`], [`encode`], [`access`] (roles and tokens), [`device`], [`disk`], [`fleet`] (pools, workers, join tokens), [`series`] (metrics:
//!   names, units, buckets), [`number`];
//! - [`model`]: the architecture of the decoder and its cost; [`data`]: datasets and tokenizers;
//! - [`hyperparameters`]: every hyperparameter, its values and schedules;
//! - [`control`]: the commands to a run (`command`) and the events of its journal (`event`). Read these two first;
//! - [`task`]: evaluation tasks and their results;
//! - [`run`]: specs, plans, presets, forks, the history of a run, and the records that pages show;
//! - [`inspect`]: inspections of a model and their results; [`completion`]: text that a checkpoint generates;
//! - [`sweep`]: sweeps over a search space, their trials and the decisions about them;
//! - [`experiment`]: experiments, with a hypothesis and a decision rule; [`research_loop`]: loops of them that lower a loss within a budget;
//! - [`diagnosis`]: what rules find in a run, their settings, and remedies;
//! - [`proposal`]: calls of agents that a person decides about;
//! - [`research_journal`]: the timeline of a project; [`agent`]: agents, their actions, and what undoing them does;
//! - [`assistant`]: conversations with the assistant;
//! - [`check`]: the report of a device check; [`telemetry`]: measurements of devices, their history, and findings; [`alert`]: alerts and where
//!   they are sent;
//! - [`transport`]: the messages between worker, server and page.

pub mod access;
pub mod agent;
pub mod alert;
pub mod assistant;
pub mod check;
pub mod completion;
pub mod control;
pub mod data;
pub mod device;
pub mod diagnosis;
pub mod disk;
pub mod encode;
pub mod error;
pub mod evaluation;
pub mod experiment;
pub mod fingerprint;
pub mod fleet;
pub mod hyperparameters;
pub mod id;
pub mod inspect;
pub mod model;
pub mod number;
pub mod proposal;
pub mod research_journal;
pub mod research_loop;
pub mod run;
pub mod series;
pub mod slot;
pub mod sweep;
pub mod task;
pub mod telemetry;
pub mod transport;

pub use control::author::Author;
pub use control::checkpoint::CheckpointId;
pub use control::command::Command;
pub use control::event::{Event, EventRecord};
pub use control::live::LiveHyperparameters;
pub use error::{ApiErrorBody, ParseError, PlanError};
pub use hyperparameters::live_path::LivePath;
pub use hyperparameters::schedule::Schedule;
pub use id::{CorpusId, DeviceId, RunId, WorkerId};
pub use run::plan::RunPlan;
pub use run::spec::RunSpec;
pub use run::{RunState, RunSummary, RunView};
pub use slot::Slot;
