//! The program `kindling`, except its `main`.
//!
//! From the bottom up; a module uses only those above it in this list:
//!
//! - [`error`]: the error of a request;
//! - [`drawing`]: images, and how many are drawn at a time;
//! - [`oidc`]: sign-in with OpenID Connect; [`audit`]: the audit log and the uses of tokens, before they are written;
//! - [`live`]: streams of runs to open pages, and the inspections that pages request;
//! - [`workers`]: the processes that train; [`data`]: datasets and jobs;
//! - [`lab`]: the shared state, composed of the states of those three, and the settings;
//! - [`runs`]: planning, the queue, commands, forks, inspections and completions;
//! - [`pools`]: pools, the workers in them, and how machines join;
//! - [`figures`]: charts and inspections as images;
//! - [`auth`]: roles, tokens and sessions; [`people`]: accounts and invitations; [`projects`]: projects and their members; [`export`]: exports and imports;
//! - [`api`]: the routes and the server process;
//! - [`cli`]: the command line, one file per subcommand.
//!
//! Not here: arithmetic (`engine`), SQL and files of series (`store`), drawing (`figure`), the training process (`worker`).

pub mod api;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod data;
pub mod drawing;
pub mod error;
pub mod export;
pub mod figures;
pub mod lab;
pub mod live;
pub mod oidc;
pub mod people;
pub mod pools;
pub mod projects;
pub mod runs;
pub mod workers;

pub use api::router::router;
pub use lab::Lab;
