//! Presentations. A page that presents sends what it shows: path, step, crosshair, scroll position and pointer ([`sender`]). A page that
//! follows shows the same, until its reader scrolls, clicks or types ([`follower`]); then it waits for the button that returns. The bar
//! and the pointer are in [`bar`].

mod anchor;
mod bar;
mod button;
mod follower;
mod reload;
mod sender;

use leptos::prelude::*;
use wire::access::TokenKind;

use crate::net::live::Live;
use crate::open_view::OpenView;
use crate::route::Route;
use crate::session::Session;
pub(crate) use bar::PresentationBar;
pub(crate) use button::PresentButton;

/// A followed presentation.
#[derive(Debug, Clone, PartialEq)]
struct Followed {
    id: u64,
    presenter: String,
    /// Whether the reader looks around.
    is_paused: bool,
    /// When following began, ms since 1970.
    since_ms: f64,
}

/// What this page presents and follows, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Presenting {
    live: Live,
    view: OpenView,
    session: Session,
    /// The number of the presentation that this page gives.
    own: RwSignal<Option<u64>>,
    followed: RwSignal<Option<Followed>>,
}

impl Presenting {
    /// Follows nothing yet, and presents only what a reload of this page has interrupted.
    pub(crate) fn start(live: Live, view: OpenView, session: Session) -> Self {
        let own = RwSignal::new(reload::interrupted());
        let presenting = Self { live, view, session, own, followed: RwSignal::new(None) };
        reload::start(own);
        sender::start(presenting);
        presenting
    }

    /// Whether this page presents.
    pub(crate) fn is_presenting(self) -> bool {
        self.own.read().is_some()
    }

    /// Whether this person may present; guests may only follow.
    pub(crate) fn may_present(self) -> bool {
        self.session.me().is_some_and(|me| me.kind != TokenKind::Guest)
    }

    /// Begins or ends the presentation of this page.
    pub(crate) fn toggle(self) {
        if self.own.get_untracked().is_some() {
            self.own.set(None);
            self.live.stop_presenting();
        } else if untrack(|| self.may_present()) {
            self.leave();
            self.own.set(Some(random()));
        }
    }

    /// Follows a presentation.
    fn follow(self, id: u64, presenter: String) {
        self.live.presentations.shown.set(None);
        self.followed.set(Some(Followed { id, presenter, is_paused: false, since_ms: js_sys::Date::now() }));
        self.live.follow(id);
    }

    /// Follows no longer.
    fn leave(self) {
        if self.followed.get_untracked().is_some() {
            self.followed.set(None);
            self.live.unfollow();
        }
    }

    /// Whether this page shows what a presenter shows, and its reader does not look around.
    fn is_following(self) -> bool {
        self.followed.read().as_ref().is_some_and(|followed| !followed.is_paused)
    }

    /// The reader looks around, or returns.
    fn pause(self, is_paused: bool) {
        let changes = |followed: &Option<Followed>| followed.as_ref().is_some_and(|it| it.is_paused != is_paused);
        if self.followed.with_untracked(changes) {
            self.followed.update(|followed| {
                if let Some(followed) = followed {
                    followed.is_paused = is_paused;
                }
            });
        }
    }
}

/// Whether a page can be presented by its button.
pub(crate) fn is_presentable(route: &Route) -> bool {
    matches!(route, Route::Lab | Route::Run(_) | Route::Xray(_) | Route::Compare)
}

/// A number that no other presentation has.
fn random() -> u64 {
    (js_sys::Math::random() * 9e15) as u64
}
