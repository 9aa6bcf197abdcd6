//! The router: roles and refusals without a socket, and whole runs with a worker that does not compute.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod access;
mod agents;
mod alert_conditions;
mod alerts;
mod assistant;
mod checks;
mod comparison;
mod completions;
mod documented;
mod experiments;
mod exports;
mod fits;
mod hub;
mod inspections;
mod journal;
mod lab;
mod link;
mod mcp;
mod oauth;
mod people;
mod polling;
mod pools;
mod proxies;
mod reach;
mod refusals;
mod research_loops;
mod run_table;
mod scenarios;
mod sharing;
mod steering;
mod sweeps;
mod telemetry;
mod tokens;
mod transfer;
mod uploads;
mod wording;
