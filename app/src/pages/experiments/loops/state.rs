//! The research loop of the page: fetched while it can change, and commanded. Earlier events of its journal are fetched on request.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::research_loop::record::{LoopAction, LoopEvent, LoopView};

use crate::components::Toasts;
use crate::components::interval::every;
use crate::net::api::{ApiFailure, research_loops};
use crate::session::Session;

/// Time between two requests while the loop can change.
const REFRESH: Duration = Duration::from_secs(2);

/// The loop of the page.
#[derive(Clone, Copy)]
pub(super) struct OpenLoop {
    pub(super) id: u64,
    pub(super) view: RwSignal<Option<LoopView>>,
    /// The events of its journal that are known, oldest first, without gaps.
    pub(super) journal: RwSignal<Vec<LoopEvent>>,
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    pub(super) is_sending: RwSignal<bool>,
    toasts: Toasts,
}

impl OpenLoop {
    pub(super) fn open(id: u64) -> Self {
        let (view, failure, is_sending) = (RwSignal::new(None), RwSignal::new(None), RwSignal::new(false));
        let open = Self { id, view, journal: RwSignal::default(), failure, is_sending, toasts: expect_context() };
        open.fetch();
        every(REFRESH, move || {
            let can_change = |view: &LoopView| !view.summary.state.is_over() || view.current().is_some();
            if open.view.try_with_untracked(|view| view.as_ref().is_some_and(can_change)) == Some(true) {
                open.fetch();
            }
        });
        open
    }

    pub(super) fn fetch(self) {
        spawn_local(async move {
            match research_loops::view(self.id).await {
                Ok(found) => self.put(found),
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
        });
    }

    /// Shows what has changed.
    fn put(self, found: LoopView) {
        self.failure.try_set(None);
        let known = self.journal.try_get_untracked().unwrap_or_default();
        if known.last() != found.events.last() {
            self.journal.try_set(continued(known, &found.events));
        }
        if self.view.try_with_untracked(|known| known.as_ref() == Some(&found)) == Some(false) {
            self.view.try_set(Some(found));
        }
    }

    /// Fetches the events before those that are known.
    pub(super) fn fetch_earlier(self) {
        let Some(first) = self.journal.with_untracked(|known| known.first().map(|event| event.number)) else { return };
        self.is_sending.set(true);
        spawn_local(async move {
            match research_loops::events(self.id, first).await {
                Ok(mut earlier) => {
                    let known = self.journal.try_get_untracked().unwrap_or_default();
                    // Unless the journal has begun anew meanwhile.
                    if known.first().map(|event| event.number) == Some(first) {
                        earlier.extend(known);
                        self.journal.try_set(earlier);
                    }
                }
                Err(failure) => self.toasts.fail("Earlier events could not be fetched", &failure),
            }
            self.is_sending.try_set(false);
        });
    }

    pub(super) fn act(self, what: &'static str, action: LoopAction) {
        self.is_sending.set(true);
        spawn_local(async move {
            match research_loops::change(self.id, &action).await {
                Ok(found) => self.put(found),
                Err(failure) => self.toasts.fail(what, &failure),
            }
            self.is_sending.try_set(false);
        });
    }

    /// A part of the loop, once it is known.
    pub(super) fn part<T: Clone + PartialEq + Send + Sync + 'static>(
        self,
        part: impl Fn(&LoopView) -> T + Send + Sync + 'static,
    ) -> Memo<Option<T>> {
        Memo::new(move |_| self.view.read().as_ref().map(&part))
    }

    /// Whether this person may steer the loop and it has not ended.
    pub(super) fn can_steer(self) -> Memo<bool> {
        let session = expect_context::<Session>();
        Memo::new(move |_| {
            let view = self.view.read();
            let summary = view.as_ref().map(|view| &view.summary);
            summary.is_some_and(|summary| !summary.state.is_over() && session.can_steer_in(&summary.project))
        })
    }
}

/// The known events and the newest ones. Without the events between them, the newest ones alone.
fn continued(mut known: Vec<LoopEvent>, newest: &[LoopEvent]) -> Vec<LoopEvent> {
    let last = known.last().map_or(0, |event| event.number);
    let has_gap = newest.first().is_some_and(|first| first.number > last + 1);
    if has_gap {
        return newest.to_vec();
    }
    known.extend(newest.iter().filter(|event| event.number > last).cloned());
    known
}

#[cfg(test)]
mod tests {
    use wire::Author;

    use super::*;

    #[test]
    fn newest_events_continue_the_known_ones_unless_some_are_missing() {
        let event = |number| LoopEvent { number, at_ms: 0, author: Author::System, text: String::new() };
        let check = |known: &[u32], newest: &[u32], expected: &[u32]| {
            let [known, newest] = [known, newest].map(|all| all.iter().copied().map(event).collect::<Vec<_>>());
            let numbers: Vec<u32> = continued(known, &newest).iter().map(|event| event.number).collect();
            assert_eq!(numbers, expected);
        };
        check(&[], &[6, 7], &[6, 7]);
        check(&[3, 4, 5, 6], &[5, 6, 7], &[3, 4, 5, 6, 7]);
        check(&[3, 4], &[5, 6], &[3, 4, 5, 6]);
        check(&[3, 4], &[6, 7], &[6, 7]);
    }
}
