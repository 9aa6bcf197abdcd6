//! The people, invitations and projects of the page, fetched when it opens and after every change.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::Role;
use wire::access::person::{InvitationView, PersonView, RemovedAccount};
use wire::access::project::ProjectView;

use crate::components::{Confirm, Toasts, interval};
use crate::net::api::{self, ApiFailure, people};
use crate::projects::Projects;
use crate::session::Session;

/// A list that is fetched: `None` until the first answer.
pub(super) type Fetched<T> = RwSignal<Option<Result<Vec<T>, ApiFailure>>>;

/// Interval between requests while the page is open: invitations are accepted, and runs use what projects have.
const REFRESH: Duration = Duration::from_secs(15);

/// Shows an answer. An equal one changes nothing, so that a control keeps the focus.
fn show<T: PartialEq + Send + Sync + 'static>(list: Fetched<T>, answer: Result<Vec<T>, ApiFailure>) {
    if list.try_with_untracked(|known| known.as_ref() != Some(&answer)) == Some(true) {
        list.set(Some(answer));
    }
}

/// What the sections of the page share, in the context of the page.
#[derive(Clone, Copy)]
pub(super) struct Team {
    pub(super) people: Fetched<PersonView>,
    pub(super) invitations: Fetched<InvitationView>,
    pub(super) removed: Fetched<RemovedAccount>,
    pub(super) projects: Fetched<ProjectView>,
    pub(super) session: Session,
    pub(super) confirm: Confirm,
    pub(super) toasts: Toasts,
    /// The projects that the other pages know.
    known: Projects,
}

impl Team {
    pub(super) fn start() -> Self {
        let team = Self {
            people: RwSignal::new(None),
            invitations: RwSignal::new(None),
            removed: RwSignal::new(None),
            projects: RwSignal::new(None),
            session: expect_context(),
            confirm: expect_context(),
            toasts: expect_context(),
            known: expect_context(),
        };
        team.fetch_people();
        team.fetch_projects();
        interval::every(REFRESH, move || {
            team.fetch_people();
            team.fetch_projects();
            team.session.refresh();
            if untrack(|| team.session.can_invite()) {
                team.fetch_invitations();
            }
            team.renew_removed();
        });
        team
    }

    pub(super) fn fetch_people(self) {
        spawn_local(async move { show(self.people, people::list().await) });
    }

    pub(super) fn fetch_invitations(self) {
        spawn_local(async move { show(self.invitations, people::invitations().await) });
    }

    pub(super) fn fetch_removed(self) {
        spawn_local(async move { show(self.removed, people::removed_accounts().await) });
    }

    /// Fetches the removed accounts again, for admins of the lab.
    fn renew_removed(self) {
        if untrack(|| self.session.is_admin()) {
            self.fetch_removed();
        }
    }

    pub(super) fn fetch_projects(self) {
        spawn_local(async move { show(self.projects, api::projects::list().await) });
    }

    /// Fetches everything that a change of people or projects may have changed, also for the other pages.
    pub(super) fn renew(self) {
        self.fetch_people();
        self.renew_removed();
        self.fetch_projects();
        self.known.fetch();
        self.session.refresh();
    }

    /// The projects in which this person can give roles, by name.
    pub(super) fn administered(self) -> Vec<String> {
        let projects = self.projects.read();
        let found = projects.iter().flatten().flatten();
        found.filter(|project| project.role.includes(Role::Admin)).map(|project| project.name.clone()).collect()
    }
}

/// Roles in projects as a text: "vision (steer), speech (view)".
pub(super) fn project_roles<'a>(memberships: impl IntoIterator<Item = &'a wire::access::Membership>) -> String {
    let one = |membership: &wire::access::Membership| format!("{} ({})", membership.project, membership.role.name());
    memberships.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What an account reaches, in words: its role in the lab and those in projects.
pub(super) fn reach(role: Option<Role>, memberships: &[wire::access::Membership]) -> String {
    match (role, memberships.is_empty()) {
        (Some(role), true) => format!("{} in the whole lab", role.name()),
        (Some(role), false) => format!("{} in the whole lab; {}", role.name(), project_roles(memberships)),
        (None, false) => project_roles(memberships),
        (None, true) => "no role yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wire::access::Membership;

    use super::*;

    #[test]
    fn a_reach_names_lab_and_projects() {
        let vision = || vec![Membership { project: "vision".to_owned(), role: Role::Steer }];
        for (role, projects, expected) in [
            (Some(Role::View), vec![], "view in the whole lab"),
            (Some(Role::View), vision(), "view in the whole lab; vision (steer)"),
            (None, vision(), "vision (steer)"),
            (None, vec![], "no role yet"),
        ] {
            assert_eq!(reach(role, &projects), expected);
        }
    }
}
