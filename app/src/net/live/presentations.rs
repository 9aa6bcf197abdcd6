//! Presentations on the page's socket: the one that this page gives, the one that it follows, and the list of those that it may follow.

use leptos::prelude::*;
use wire::transport::live::{FromPage, ToPage};
use wire::transport::presenting::{Presentation, PresenterState};

use super::Live;

/// What the server has sent about presentations.
#[derive(Clone, Copy)]
pub(crate) struct Presentations {
    /// The presentations that this page may follow, and its own.
    pub(crate) list: RwSignal<Vec<Presentation>>,
    /// What the followed one shows, with its number.
    pub(crate) shown: RwSignal<Option<(u64, PresenterState)>>,
    /// Who follows, by the number of the presentation: names, and how many they are.
    pub(crate) watchers: RwSignal<Option<(u64, Vec<String>, u32)>>,
    /// The followed presentation that has ended.
    pub(crate) ended: RwSignal<Option<u64>>,
}

impl Presentations {
    pub(super) fn new() -> Self {
        Self {
            list: RwSignal::default(),
            shown: RwSignal::new(None),
            watchers: RwSignal::new(None),
            ended: RwSignal::new(None),
        }
    }

    /// Forgets the list of the connection before: on a new one, no list means that there is no presentation.
    pub(super) fn forget(self) {
        self.list.try_set(vec![]);
    }

    /// Takes a message; other ones are returned.
    pub(super) fn take(self, message: ToPage) -> Option<ToPage> {
        match message {
            ToPage::Presentations { presentations } => drop(self.list.try_set(presentations)),
            ToPage::Presenter { presentation, state } => drop(self.shown.try_set(Some((presentation, state)))),
            ToPage::PresentationEnded { presentation } => drop(self.ended.try_set(Some(presentation))),
            ToPage::Watchers { presentation, names, total } => {
                drop(self.watchers.try_set(Some((presentation, names, total))));
            }
            other => return Some(other),
        }
        None
    }
}

/// The presentations of a page, which it repeats after a reconnection.
#[derive(Default)]
pub(super) struct Requested {
    presented: Option<(u64, PresenterState)>,
    followed: Option<u64>,
}

impl Requested {
    pub(super) fn messages(&self) -> impl Iterator<Item = FromPage> {
        let presented = self.presented.clone();
        let presented = presented.map(|(presentation, state)| FromPage::Present { presentation, state });
        presented.into_iter().chain(self.followed.map(|presentation| FromPage::Follow { presentation }))
    }
}

impl Live {
    /// Presents what this page shows, under a number that it chose at random.
    pub(crate) fn present(self, presentation: u64, state: PresenterState) {
        self.with_state(|known| known.requested.presented = Some((presentation, state.clone())));
        self.send(&FromPage::Present { presentation, state });
    }

    /// Ends the presentation of this page.
    pub(crate) fn stop_presenting(self) {
        self.with_state(|known| known.requested.presented = None);
        self.send(&FromPage::StopPresenting);
    }

    /// Follows a presentation.
    pub(crate) fn follow(self, presentation: u64) {
        self.with_state(|known| known.requested.followed = Some(presentation));
        self.send(&FromPage::Follow { presentation });
    }

    /// Follows none.
    pub(crate) fn unfollow(self) {
        self.with_state(|known| known.requested.followed = None);
        self.send(&FromPage::Unfollow);
    }
}
