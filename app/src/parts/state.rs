//! How a run's state reads: a shape and a word, with colour only on top.

use leptos::prelude::*;
use wire::RunState;

use super::Icon;

/// The word for a state, also its style and its icon.
pub(crate) fn state_word(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "queued",
        RunState::Starting => "starting",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Parked => "parked",
        RunState::Finished => "finished",
        RunState::Stopped => "stopped",
        RunState::Failed => "failed",
        RunState::Lost => "lost",
    }
}

/// Icon and word.
#[component]
pub(crate) fn StateMark(state: RunState) -> impl IntoView {
    let word = state_word(state);
    view! {
        <span class="state" data-state=word>
            <Icon name=word />
            {word}
        </span>
    }
}
