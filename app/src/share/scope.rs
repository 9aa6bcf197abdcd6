//! What a link gives access to: who may share it, and how it is named.

use leptos::prelude::*;
use wire::RunId;
use wire::access::link::LinkScope;
use wire::access::project::DEFAULT_PROJECT;
use wire::access::{Role, TokenKind};

use crate::components::{isolated, run_name};
use crate::net::live::Live;
use crate::session::Session;

/// Whether this person may create links to it: they may steer all of it, and not through a link.
pub(super) fn may_share(session: Session, live: Live, scope: &LinkScope) -> bool {
    let Some(me) = session.me().filter(|me| me.kind != TokenKind::Guest) else { return false };
    let steers = |project: &str| me.grants.in_project(project).is_some_and(|role| role.includes(Role::Steer));
    match scope {
        LinkScope::Project(project) => steers(project),
        LinkScope::Runs(runs) => !runs.is_empty() && runs.iter().all(|run| steers(&project_of(live, run))),
    }
}

fn project_of(live: Live, run: &RunId) -> String {
    let lab = live.lab.read();
    let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    runs.iter().find(|known| known.id == *run).map_or_else(|| DEFAULT_PROJECT.to_owned(), |run| run.project.clone())
}

/// Its name: `amber-fox`, `3 runs`, `the project vision`.
pub(super) fn scope_name(live: Live, scope: &LinkScope) -> String {
    match scope {
        LinkScope::Runs(runs) => match &runs[..] {
            [run] => run_name(live, run),
            runs => format!("{} runs", runs.len()),
        },
        LinkScope::Project(project) => format!("the project {}", isolated(project)),
    }
}
