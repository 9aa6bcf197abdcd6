//! The rules that say who reaches what, written down a second time.

use axum::http::StatusCode;
use wire::access::Role;

use super::{DATASET, EXPERIMENT, LOOP, PROJECT, RUN, SWEEP, Sender};
use crate::lab::Answer;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Needs {
    /// No token at all.
    Nothing,
    /// Anybody who is signed in.
    SignedIn,
    /// A role in the lab or in any project.
    Member,
    /// As [`Needs::Member`], and no guest.
    Author,
    /// `steer` in the lab or in any project.
    Contributor,
    /// As [`Needs::Contributor`], for the project that the query names.
    ContributorTo,
    Lab(Role),
    Run(Role),
    Dataset(Role),
    Project(Role),
    /// On the sweep of `alpha`.
    Sweep(Role),
    Experiment(Role),
    Loop(Role),
    /// A worker's or a join token.
    Machine,
}

/// The rule of each route. A route that is missing here fails the test: decide who may use it.
pub(super) fn needs(method: &str, path: &str) -> Needs {
    use Needs::{Contributor, Dataset, Machine, Member, Nothing, Project, Run, SignedIn, Sweep};
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    if path == "/link" || path == "/join" || path.starts_with("/transfer/") {
        return Machine;
    }
    if path.starts_with("/runs/{id}") {
        let reads = method == "GET" || (method == "POST" && path.ends_with("/inspections"));
        return Run(if reads { Role::View } else { Role::Steer });
    }
    if path.starts_with("/sweeps/{id}") {
        return Sweep(if method == "GET" { Role::View } else { Role::Steer });
    }
    if path.starts_with("/corpora/{id}") {
        return match (method, path) {
            ("GET", _) => Dataset(Role::View),
            ("DELETE", _) => Dataset(Role::Admin),
            _ => Contributor,
        };
    }
    if path == "/experiments/{id}" {
        return Needs::Experiment(if method == "GET" { Role::View } else { Role::Steer });
    }
    if path.starts_with("/research-loops/{id}") {
        return Needs::Loop(if method == "GET" { Role::View } else { Role::Steer });
    }
    match (method, path) {
        ("GET", "/research-loops") => Member,
        ("POST", "/research-loops") => Contributor,
        ("GET", "/experiments" | "/experiments/scores") => Member,
        ("POST", "/experiments") => Contributor,
        ("GET", "/assistant") => Member,
        (_, path) if path.starts_with("/conversations") => Needs::Author,
        ("GET", "/session") | ("POST", "/session" | "/session/password" | "/invitations/accept") => Nothing,
        ("GET", "/invitations/preview") => Nothing,
        (_, "/session" | "/me" | "/me/password" | "/live" | "/live/poll" | "/runs" | "/runs/facets" | "/lab") => {
            SignedIn
        }
        // The query names the runs, whose project decides who may add the comparison to its journal.
        ("GET" | "POST", "/compare") => SignedIn,
        ("GET", "/fit" | "/replay") => SignedIn,
        // The body names the project; the list has what the sender sees.
        (_, "/sweeps" | "/sweeps/preview") => SignedIn,
        (_, "/runs/bulk" | "/plan" | "/presets" | "/rules" | "/hyperparameters" | "/completions") => SignedIn,
        (_, path) if path.starts_with("/me/") => SignedIn,
        // Each sender sees the agents whose tokens are theirs to manage.
        (_, path) if path.starts_with("/agents") => SignedIn,
        ("GET", "/corpora" | "/devices" | "/jobs" | "/catalogue" | "/pools" | "/people" | "/links" | "/alerts") => {
            Member
        }
        ("GET" | "POST", "/projects") => {
            if method == "GET" {
                Member
            } else {
                Needs::Lab(Role::Admin)
            }
        }
        (_, path) if path.starts_with("/alert-channels") || path.starts_with("/alert-conditions") => Member,
        ("GET", "/proposals" | "/proposals/{id}") => Member,
        (_, path) if path.starts_with("/proposals/") => Contributor,
        ("POST", "/links") => Member,
        ("DELETE", "/links/{id}") => Member,
        (_, "/runs/import" | "/corpora" | "/sweeps/import") => Needs::ContributorTo,
        (_, "/catalogue/{id}" | "/hub/datasets" | "/hub/models") => Contributor,
        (_, path) if path.starts_with("/uploads") || path == "/jobs/{id}" => Contributor,
        ("GET", "/tokens" | "/backup" | "/pools/{name}/join-tokens" | "/audit" | "/audit.csv") => {
            Needs::Lab(Role::Admin)
        }
        (
            "GET",
            "/filters"
            | "/disk"
            | "/fleet"
            | "/fleet/devices/{id}/history"
            | "/workers"
            | "/workers/{id}/log"
            | "/checks",
        ) => Needs::Lab(Role::View),
        (_, "/filters" | "/filters/{id}") => Needs::Lab(Role::Steer),
        ("GET", "/tasks" | "/tasks/{name}") => Member,
        (_, "/tasks" | "/tasks/{name}") => Needs::Lab(Role::Steer),
        ("PATCH", "/workers/{id}") => Needs::Lab(Role::Steer),
        (_, path) if path.starts_with("/projects/{name}/members") => Project(Role::Admin),
        (
            "GET",
            "/projects/{name}/journal"
            | "/projects/{name}/calibration"
            | "/projects/{name}/report.md"
            | "/projects/{name}/report.html",
        ) => Project(Role::View),
        (_, path) if path.starts_with("/invitations") => Member,
        (
            _,
            "/tokens"
            | "/tokens/{id}"
            | "/removed-accounts"
            | "/removed-accounts/{id}"
            | "/pools"
            | "/pools/{name}"
            | "/pools/{name}/join-tokens"
            | "/join-tokens/{id}",
        ) => Needs::Lab(Role::Admin),
        (_, "/workers/{id}" | "/people/{id}" | "/people/{id}/reset" | "/projects/{name}") => Needs::Lab(Role::Admin),
        _ => panic!("{method} {path}: decide who may use this route, and add it to the table"),
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Unauthorized,
    Forbidden,
    /// As something that does not exist.
    Hidden,
    /// Neither: the route itself answers.
    Allowed,
}

pub(super) fn expected(sender: &Sender, needs: Needs) -> Outcome {
    let by_role = |role: Option<Role>, needed: Role| match role {
        Some(role) if role.includes(needed) => Outcome::Allowed,
        Some(_) => Outcome::Forbidden,
        None => Outcome::Hidden,
    };
    let only = |is_allowed: bool| if is_allowed { Outcome::Allowed } else { Outcome::Forbidden };
    match needs {
        Needs::Nothing | Needs::SignedIn => Outcome::Allowed,
        Needs::Member => only(sender.views_anything()),
        Needs::Author => only(sender.views_anything() && !sender.name.starts_with("guest")),
        Needs::Contributor => only(sender.steers_anything()),
        Needs::ContributorTo if !sender.steers_anything() => Outcome::Forbidden,
        Needs::ContributorTo => by_role(sender.on_project(), Role::Steer),
        Needs::Lab(needed) => only(sender.lab.is_some_and(|role| role.includes(needed))),
        Needs::Run(needed) => by_role(sender.on_run(), needed),
        Needs::Project(needed) | Needs::Sweep(needed) | Needs::Experiment(needed) | Needs::Loop(needed) => {
            by_role(sender.on_project(), needed)
        }
        Needs::Dataset(_) if !sender.views_anything() => Outcome::Forbidden,
        Needs::Dataset(needed) => by_role(sender.on_project(), needed),
        Needs::Machine => Outcome::Forbidden,
    }
}

pub(super) fn outcome(answer: &Answer) -> Outcome {
    let message = || answer.json()["message"].as_str().unwrap_or_default().to_owned();
    match answer.status {
        StatusCode::UNAUTHORIZED => Outcome::Unauthorized,
        StatusCode::FORBIDDEN if answer.code() == "forbidden" => Outcome::Forbidden,
        StatusCode::NOT_FOUND => {
            let hidden = [
                format!("unknown run {RUN}"),
                format!("unknown project {PROJECT:?}"),
                format!("unknown dataset {DATASET}"),
                format!("unknown sweep {SWEEP}"),
                format!("unknown experiment {EXPERIMENT}"),
                format!("unknown research loop {LOOP}"),
            ];
            if hidden.contains(&message()) { Outcome::Hidden } else { Outcome::Allowed }
        }
        _ => Outcome::Allowed,
    }
}
