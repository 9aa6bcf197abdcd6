//! The program `kindling`, except its `main`.
//!
//! From the bottom up; a module uses only those above it in this list:
//!
//! - [`output`]: what the program prints; [`error`]: the error of a request;
//! - [`live`]: streams of runs to open pages, the rules that read them, and the inspections that pages request;
//! - [`workers`]: the processes that train; [`data`]: datasets and jobs;
//! - [`lab`]: the shared state, composed of the states of those three, and the settings; sign-in providers, the audit log, drawn images;
//! - [`auth`]: what a sender may reach, tokens and sessions, people and projects;
//! - [`runs`]: planning, the queue, pools, commands, forks, inspections and completions;
//! - [`export`]: what leaves the lab: exports, imports, charts and inspections as images, alerts and their channels;
//! - [`api`]: the routes and the server process;
//! - [`cli`]: the command line, one file per subcommand.
//!
//! Not here: arithmetic (`engine`), SQL and files of series (`store`), drawing (`figure`), the training process (`worker`).

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod auth;
pub mod cli;
pub mod data;
pub mod error;
pub mod export;
pub mod lab;
pub mod live;
pub mod output;
pub mod runs;
pub mod workers;

pub use api::router::router;
pub use lab::Lab;
