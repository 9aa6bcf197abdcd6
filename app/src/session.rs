//! Who is signed in, and what they may do: fetched at the start, and again after every 401 and 403.

use leptos::prelude::*;
use leptos::task::spawn_local;

use wire::RunId;
use wire::access::{Grants, Me, Role, TokenKind};

use crate::base::open_path;
use crate::net::api::{self, ApiFailure};

/// Code of the answer to a guest whose last link has ended.
const LINK_ENDED: &str = "link_ended";

/// Whether someone is signed in.
#[derive(Clone)]
pub(crate) enum SignIn {
    /// Not known yet.
    Loading,
    /// Signed in.
    In(Me),
    /// Not signed in.
    Out,
    /// The link through which this browser saw something has expired or was revoked.
    LinkEnded,
    /// The server did not answer.
    Failed(ApiFailure),
}

/// The session, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    /// Whether someone is signed in.
    pub(crate) sign_in: RwSignal<SignIn>,
    /// Whether the server has ended the session while the page was open.
    pub(crate) has_ended: RwSignal<bool>,
}

impl Session {
    /// Fetches the account, and follows every 401 and 403.
    pub(crate) fn start() -> Self {
        let session = Self { sign_in: RwSignal::new(SignIn::Loading), has_ended: RwSignal::new(false) };
        let (signed_out, forbidden) = (RwSignal::new(false), RwSignal::new(false));
        api::on_signed_out(signed_out);
        api::on_forbidden(forbidden);
        Effect::new(move || {
            if signed_out.get() {
                signed_out.set(false);
                session.refused();
            }
        });
        Effect::new(move || {
            if forbidden.get() {
                forbidden.set(false);
                session.refresh();
            }
        });
        session.fetch();
        session
    }

    /// Fetches the account.
    pub(crate) fn fetch(self) {
        spawn_local(async move {
            let sign_in = match api::me().await {
                Ok(me) => SignIn::In(me),
                Err(failure) if failure.body.code == LINK_ENDED => SignIn::LinkEnded,
                Err(failure) if failure.status == 401 => SignIn::Out,
                Err(failure) => SignIn::Failed(failure),
            };
            self.sign_in.set(sign_in);
        });
    }

    /// The server answered that this browser is not signed in.
    fn refused(self) {
        let next = match &*self.sign_in.read_untracked() {
            SignIn::In(me) if me.kind == TokenKind::Guest => SignIn::LinkEnded,
            SignIn::In(_) => {
                self.has_ended.set(true);
                SignIn::Out
            }
            // The request for the account says more.
            _ => return,
        };
        self.sign_in.set(next);
    }

    /// Whether this browser sees the lab through share links only.
    pub(crate) fn is_guest(self) -> bool {
        matches!(&*self.sign_in.read(), SignIn::In(me) if me.kind == TokenKind::Guest)
    }

    /// Whether this browser reaches the Playground: a guest does only where a link shares a project.
    pub(crate) fn has_playground(self) -> bool {
        !self.is_guest() || self.me().is_some_and(|me| me.grants.has_anywhere(Role::View))
    }

    /// Fetches the account again after roles may have changed. The page stays as it is if the server does not answer.
    pub(crate) fn refresh(self) {
        spawn_local(async move {
            if let Ok(me) = api::me().await
                && matches!(&*self.sign_in.read_untracked(), SignIn::In(known) if *known != me)
            {
                self.sign_in.set(SignIn::In(me));
            }
        });
    }

    /// Shows the sign-in page after this browser was signed out on purpose.
    pub(crate) fn leave(self) {
        self.has_ended.set(false);
        self.sign_in.set(SignIn::Out);
    }

    /// Shows the page of someone who has just signed in. The server writes the page on which a program asks for access.
    pub(crate) fn enter(self, me: Me) {
        if open_path().starts_with("/oauth/") && window().location().reload().is_ok() {
            return;
        }
        self.has_ended.set(false);
        self.sign_in.set(SignIn::In(me));
    }

    fn grants(self, allows: impl FnOnce(&Grants) -> bool) -> bool {
        matches!(&*self.sign_in.read(), SignIn::In(me) if allows(&me.grants))
    }

    /// Whether this person can start runs: in the lab or in at least one project.
    pub(crate) fn can_steer(self) -> bool {
        self.grants(|grants| grants.has_anywhere(Role::Steer))
    }

    /// Whether this person can start runs and import datasets in a project.
    pub(crate) fn can_steer_in(self, project: &str) -> bool {
        self.grants(|grants| grants.in_project(project).is_some_and(|role| role.includes(Role::Steer)))
    }

    /// Whether this person can steer in the whole lab: change the queue, cancel jobs, save filters, label machines.
    pub(crate) fn can_steer_lab(self) -> bool {
        self.grants(|grants| grants.has_lab(Role::Steer))
    }

    /// Whether this person can see the whole lab: machines, the disk, device checks.
    pub(crate) fn can_view_lab(self) -> bool {
        self.grants(|grants| grants.has_lab(Role::View))
    }

    /// Whether this person can see the lab or one of its projects. A guest with a share link cannot.
    pub(crate) fn is_member(self) -> bool {
        self.grants(|grants| grants.has_anywhere(Role::View))
    }

    /// Whether the lab has people with accounts, or several projects. The page mentions neither where it has not.
    pub(crate) fn is_shared(self) -> bool {
        matches!(&*self.sign_in.read(), SignIn::In(me) if me.is_shared)
    }

    /// Whether this person can steer a run of a project.
    pub(crate) fn can_steer_run(self, run: &RunId, project: &str) -> bool {
        self.grants(|grants| grants.on_run(run, project).is_some_and(|role| role.includes(Role::Steer)))
    }

    /// Whether this person can manage the lab: tokens, people, machines, and all datasets.
    pub(crate) fn is_admin(self) -> bool {
        self.grants(|grants| grants.has_lab(Role::Admin))
    }

    /// Whether this person can manage the people of a project.
    pub(crate) fn is_admin_of(self, project: &str) -> bool {
        self.grants(|grants| grants.in_project(project).is_some_and(|role| role.includes(Role::Admin)))
    }

    /// Whether this person can manage the people of the lab or of at least one project.
    pub(crate) fn can_invite(self) -> bool {
        self.grants(|grants| grants.has_anywhere(Role::Admin))
    }

    /// The account, once known.
    pub(crate) fn me(self) -> Option<Me> {
        match &*self.sign_in.read() {
            SignIn::In(me) => Some(me.clone()),
            _ => None,
        }
    }
}
