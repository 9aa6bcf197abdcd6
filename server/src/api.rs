//! The HTTP interface: routes under `/api/v1`, the page, health and metrics. One file for each group of routes; each route names the role
//! that it needs, reads its arguments, and calls the module that does the work.
//!
//! - [`router`]: all routes; [`routes`]: a list of them; [`openapi`]: their description; [`server`]: the process that serves them;
//! - [`extract`]: bodies, paths and queries; [`log`]: errors in the log; [`reached`]: what proxies report; [`guard`]: hosts and
//!   origins; [`headers`]: security headers;
//! - [`audited`]: which requests the audit log records;
//! - [`listener`]: TLS connections;
//! - [`share`]: opening a share link; [`embeds`]: charts in pages of other sites;
//! - [`notice`]: HTML pages that the server writes itself.

pub mod account;
pub mod alert_conditions;
pub mod alerts;
mod answer;
pub mod audit;
pub mod audited;
pub mod backups;
pub mod checkpoints;
pub mod checks;
pub mod commands;
pub mod comparison;
pub mod completions;
pub mod corpora;
pub mod embeds;
pub mod experiments;
pub mod exports;
pub mod extract;
pub mod figures;
pub mod filters;
pub mod findings;
pub mod fits;
pub mod guard;
pub mod headers;
pub mod hub;
pub mod inspections;
pub mod journal;
pub mod lab;
mod leaving;
pub mod links;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod notice;
pub mod oidc;
pub mod openapi;
pub mod page;
pub mod people;
pub mod planning;
pub mod pools;
pub mod projects;
pub mod reached;
pub mod router;
pub mod routes;
pub mod runs;
pub mod series;
pub mod server;
pub mod session;
pub mod share;
pub mod sockets;
pub mod sweep_results;
pub mod sweeps;
pub mod tasks;
pub mod telemetry;
pub mod tokens;
pub mod transfer;
pub mod uploads;
pub mod workers;
