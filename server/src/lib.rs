//! The program `kindling`, apart from its `main`: HTTP and sockets over the store, the texts and the workers.
//!
//! - [`router`] all routes over one [`AppState`]; tests call it without a socket.
//! - Who may do what: [`auth`] (tokens, roles), [`guard`] (Host and Origin), [`session`] (signing in), [`tokens`], [`headers`].
//! - REST: [`runs`], [`forks`], [`checkpoints`], [`commands`] with [`steer`] and [`pending`], [`complete`] and [`looks`] (with processes [`apart`]), [`series_api`], [`figures_api`], [`corpora`] with [`upload`], [`catalogue`] with
//!   [`download`], [`devices`], [`checks`], [`jobs`], [`openapi`], [`metrics`].
//! - What leaves the lab and comes into it: [`takeaway`], on the command line [`export`].
//! - Sockets: [`live`] the stream of ticks, [`live_socket`] its pages and [`probes`] what they look at; [`fleet`] the workers and [`link`] their sockets.
//! - Going on by itself: [`scheduler`] hands out runs, [`vigil`] notices lost ones, [`workers`] starts local workers,
//!   [`texts`] is the one door to the engine's data.
//! - The command line: [`cli`], [`settings`], [`serve`], [`train`], [`token`], [`check_args`].
//!
//! What is not here: arithmetic (engine), SQL and files of series (store), drawing (figure).

pub mod apart;
pub mod api_error;
pub mod app_state;
pub mod auth;
pub mod catalogue;
pub mod check_args;
pub mod checkpoints;
pub mod checks;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod complete;
pub mod corpora;
pub mod devices;
pub mod download;
pub mod export;
pub mod figures_api;
pub mod fleet;
pub mod forks;
pub mod guard;
pub mod headers;
pub mod jobs;
pub mod link;
pub mod live;
pub mod live_socket;
pub mod looks;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod pending;
pub mod probes;
mod progress_bar;
pub mod router;
pub mod runs;
pub mod scheduler;
pub mod series_api;
pub mod serve;
pub mod session;
pub mod settings;
pub mod steer;
pub mod takeaway;
pub mod texts;
pub mod token;
pub mod tokens;
pub mod train;
pub mod upload;
pub mod vigil;
pub mod workers;

pub use app_state::AppState;
pub use router::router;
