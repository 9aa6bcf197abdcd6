//! Who is signed in, asked once at the start and whenever the server says 401.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiFailure, Me};

/// How the question "who am I" stands.
#[derive(Clone)]
pub(crate) enum Standing {
    /// Not answered yet.
    Asking,
    /// Signed in.
    In(Me),
    /// Not signed in.
    Out,
    /// The lab did not answer.
    Failed(ApiFailure),
}

/// The answer, in context for everyone.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    /// How it stands.
    pub(crate) standing: RwSignal<Standing>,
}

impl Session {
    /// Asks, and follows every 401 from here on.
    pub(crate) fn start() -> Self {
        let session = Self { standing: RwSignal::new(Standing::Asking) };
        let signed_out = RwSignal::new(false);
        api::on_signed_out(signed_out);
        Effect::new(move || {
            if signed_out.get() {
                signed_out.set(false);
                session.standing.set(Standing::Out);
            }
        });
        session.ask();
        session
    }

    /// Asks who is signed in.
    pub(crate) fn ask(self) {
        spawn_local(async move {
            let standing = match api::me().await {
                Ok(me) => Standing::In(me),
                Err(failure) if failure.status == 401 => Standing::Out,
                Err(failure) => Standing::Failed(failure),
            };
            self.standing.set(standing);
        });
    }

    /// Whether this person may start, steer and delete.
    pub(crate) fn can_steer(self) -> bool {
        matches!(&*self.standing.read(), Standing::In(me) if me.can_steer())
    }

    /// Whether this person may make and revoke tokens.
    pub(crate) fn is_admin(self) -> bool {
        matches!(&*self.standing.read(), Standing::In(me) if me.is_admin())
    }

    /// Who, once known.
    pub(crate) fn me(self) -> Option<Me> {
        match &*self.standing.read() {
            Standing::In(me) => Some(me.clone()),
            _ => None,
        }
    }
}
