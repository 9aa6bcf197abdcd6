//! The program `kindling`, except its `main`.
//!
//! From the bottom up; a module uses only those above it in this list:
//!
//! - [`error`]: the error of a request;
//! - [`live`]: streams of runs to open pages, and the inspections that pages request;
//! - [`workers`]: the processes that train; [`data`]: datasets and jobs;
//! - [`lab`]: the shared state, composed of the states of those three, and the settings; sign-in providers, the audit log, drawn images;
//! - [`auth`]: what a sender may reach, tokens and sessions, people and projects;
//! - [`runs`]: planning, the queue, pools, commands, forks, inspections and completions;
//! - [`diagnosis`]: the rules that read runs as they train;
//! - [`alerts`]: the channels of people and of the lab, and the outbox of messages to them;
//! - [`export`]: exports and imports, charts and inspections as images;
//! - [`api`]: the routes and the server process;
//! - [`cli`]: the command line, one file per subcommand.
//!
//! Not here: arithmetic (`engine`), SQL and files of series (`store`), drawing (`figure`), the training process (`worker`).

pub mod alerts;
pub mod api;
pub mod auth;
pub mod cli;
pub mod data;
pub mod diagnosis;
pub mod error;
pub mod export;
pub mod lab;
pub mod live;
pub mod runs;
pub mod workers;

pub use api::router::router;
pub use lab::Lab;
