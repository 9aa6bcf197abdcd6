//! Tests of the store: scenarios, and properties that hold after any sequence of reports and failures.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

mod agent_acts;
mod agents;
mod alerts;
mod conditions;
mod conversations;
mod curves;
mod elsewhere;
mod experiments;
mod faults;
mod findings;
mod format;
mod killed;
mod links;
mod migrations;
mod people;
mod pools;
mod proposals;
mod research_journal;
mod research_loops;
mod run_table;
mod scenarios;
mod setup;
mod snapshots;
mod steering;
mod sweeps;
mod tasks;
mod telemetry;
mod together;
mod window_losses;
