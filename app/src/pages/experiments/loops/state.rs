//! The research loop of the page: fetched while it can change, and commanded. [`ReasonForm`] sends commands that need a reason.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::experiment::record::REASON_CHARS;
use wire::research_loop::record::{LoopAction, LoopView};

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
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    pub(super) is_sending: RwSignal<bool>,
    toasts: Toasts,
}

impl OpenLoop {
    pub(super) fn open(id: u64) -> Self {
        let (view, failure, is_sending) = (RwSignal::new(None), RwSignal::new(None), RwSignal::new(false));
        let open = Self { id, view, failure, is_sending, toasts: expect_context() };
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
        if self.view.try_with_untracked(|known| known.as_ref() == Some(&found)) == Some(false) {
            self.view.try_set(Some(found));
        }
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

/// A reason, and the button that sends it.
#[component]
pub(super) fn ReasonForm(word: &'static str, send: Callback<String>) -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let reason = RwSignal::new(String::new());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let reason = reason.get_untracked().trim().to_owned();
        if !reason.is_empty() {
            send.run(reason);
        }
    };
    view! {
        <form class="row" on:submit=submit>
            <label title="Stored in the journal of the loop">
                "Reason "
                <input
                    type="text"
                    maxlength=REASON_CHARS.to_string()
                    prop:value=reason
                    on:input:target=move |event| reason.set(event.target().value())
                />
            </label>
            <button
                class="danger"
                type="submit"
                title="This cannot be undone"
                disabled=move || open.is_sending.get() || reason.read().trim().is_empty()
            >
                {word}
            </button>
        </form>
    }
}
