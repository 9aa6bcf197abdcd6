//! The only folder that fetches: one function for each route of `/api/v1`. A refusal is an [`ApiFailure`] with the
//! message of the server, and so is a failure of the network, so that pages show all failures in one way.
//!
//! Here are the session, the lab and its runs. The table of runs is in [`runs`]. Metrics are in [`series`], datasets in [`datasets`] and [`uploads`],
//! completions in [`completion`], fair comparisons in [`comparison`], fits and replays in [`fits`], checkpoints in [`checkpoints`], inspections in [`inspections`], polls in [`polling`],
//! tokens in [`access`], agents in [`agents`], their proposals in [`proposals`], people in [`people`], projects in [`projects`], one's own
//! account in [`account`], alerts in [`alerts`], share links in [`links`], device checks in [`checks`], rules and findings in [`diagnosis`],
//! evaluation tasks in [`tasks`], experiments in [`experiments`], research loops in [`research_loops`], the research journal in [`journal`],
//! sweeps in [`sweeps`], exports and imports in [`export`], devices and workers in [`fleet`], the assistant in [`assistant`]. All of them send
//! through `request`.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod agents;
pub(crate) mod alerts;
pub(crate) mod assistant;
pub(crate) mod checkpoints;
pub(crate) mod checks;
pub(crate) mod comparison;
pub(crate) mod completion;
pub(crate) mod datasets;
pub(crate) mod diagnosis;
pub(crate) mod experiments;
pub(crate) mod export;
mod failure;
pub(crate) mod fits;
pub(crate) mod fleet;
pub(crate) mod hub;
pub(crate) mod inspections;
pub(crate) mod journal;
pub(crate) mod links;
pub(crate) mod people;
pub(crate) mod polling;
pub(crate) mod projects;
pub(crate) mod proposals;
mod request;
pub(crate) mod research_loops;
pub(crate) mod runs;
pub(crate) mod series;
pub(crate) mod sweeps;
pub(crate) mod tasks;
pub(crate) mod uploads;

use wire::access::{Me, SignInInfo};
use wire::control::event::EventRecord;
use wire::disk::DiskUse;
use wire::run::RunChange;
use wire::transport::live::LabState;
use wire::{Command, RunId, RunSpec, RunSummary, RunView};

pub(crate) use failure::{ApiFailure, hint_sentence, sentence};
use request::{get, send, send_plain};
pub(crate) use request::{on_forbidden, on_signed_out};

/// The signed-in user.
pub(crate) async fn me() -> Result<Me, ApiFailure> {
    get("/me").await
}

/// What a person who is not signed in needs for a sign-in link.
pub(crate) async fn sign_in_info() -> Result<SignInInfo, ApiFailure> {
    get("/session").await
}

/// Signs in with a one-time token.
pub(crate) async fn sign_in(token: &str) -> Result<Me, ApiFailure> {
    send("POST", "/session", Some(&serde_json::json!({ "token": token }))).await
}

/// Signs this browser out.
pub(crate) async fn sign_out() -> Result<(), ApiFailure> {
    send_plain("DELETE", "/session").await
}

/// The state of the lab.
pub(crate) async fn lab() -> Result<LabState, ApiFailure> {
    get("/lab").await
}

/// What uses the disk of the server.
pub(crate) async fn disk() -> Result<DiskUse, ApiFailure> {
    get("/disk").await
}

pub(crate) async fn create_run(spec: &RunSpec) -> Result<RunView, ApiFailure> {
    send("POST", "/runs", Some(spec)).await
}

pub(crate) async fn run(run: &RunId) -> Result<RunView, ApiFailure> {
    get(&format!("/runs/{run}")).await
}

/// Renames or archives a run, or moves it in its queue.
pub(crate) async fn change_run(run: &RunId, change: &RunChange) -> Result<RunSummary, ApiFailure> {
    send("PATCH", &format!("/runs/{run}"), Some(change)).await
}

/// Deletes a run; it can be restored for some time.
pub(crate) async fn delete_run(run: &RunId) -> Result<RunSummary, ApiFailure> {
    send::<(), _>("DELETE", &format!("/runs/{run}"), None).await
}

/// Restores a deleted run.
pub(crate) async fn restore_run(run: &RunId) -> Result<RunSummary, ApiFailure> {
    send::<(), _>("POST", &format!("/runs/{run}/restore"), None).await
}

/// Sends a command to a run and returns the event that it caused. With a control run, a fork without the change is
/// added to the queue.
pub(crate) async fn command(run: &RunId, command: &Command, with_control_run: bool) -> Result<EventRecord, ApiFailure> {
    let control = if with_control_run { "?control=true" } else { "" };
    send("POST", &format!("/runs/{run}/commands{control}"), Some(command)).await
}

/// The journal after event `since`, at most `limit` events.
pub(crate) async fn events(run: &RunId, since: u64, limit: u32) -> Result<Vec<EventRecord>, ApiFailure> {
    get(&format!("/runs/{run}/events?since={since}&limit={limit}")).await
}
