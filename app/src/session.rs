//! Who is signed in: fetched at the start and again after every 401.

use leptos::prelude::*;
use leptos::task::spawn_local;

use wire::access::{Me, Role};

use crate::net::api::{self, ApiFailure};

/// Whether someone is signed in.
#[derive(Clone)]
pub(crate) enum SignIn {
    /// Not known yet.
    Loading,
    /// Signed in.
    In(Me),
    /// Not signed in.
    Out,
    /// The server did not answer.
    Failed(ApiFailure),
}

/// The session, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    /// Whether someone is signed in.
    pub(crate) sign_in: RwSignal<SignIn>,
}

impl Session {
    /// Fetches the account, and follows every 401.
    pub(crate) fn start() -> Self {
        let session = Self { sign_in: RwSignal::new(SignIn::Loading) };
        let signed_out = RwSignal::new(false);
        api::on_signed_out(signed_out);
        Effect::new(move || {
            if signed_out.get() {
                signed_out.set(false);
                session.sign_in.set(SignIn::Out);
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
                Err(failure) if failure.status == 401 => SignIn::Out,
                Err(failure) => SignIn::Failed(failure),
            };
            self.sign_in.set(sign_in);
        });
    }

    /// Whether this person can start runs and send commands.
    pub(crate) fn can_steer(self) -> bool {
        matches!(&*self.sign_in.read(), SignIn::In(me) if me.role.includes(Role::Steer))
    }

    /// Whether this person can manage tokens and delete datasets.
    pub(crate) fn is_admin(self) -> bool {
        matches!(&*self.sign_in.read(), SignIn::In(me) if me.role.includes(Role::Admin))
    }

    /// The account, once known.
    pub(crate) fn me(self) -> Option<Me> {
        match &*self.sign_in.read() {
            SignIn::In(me) => Some(me.clone()),
            _ => None,
        }
    }
}
