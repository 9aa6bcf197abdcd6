//! The state of a run: a shape and a word, with colour in addition.

use leptos::prelude::*;
use wire::RunState;

use super::Icon;

/// What a state means, in one sentence.
fn meaning(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "The run waits for its device or for its tokenized dataset.",
        RunState::Starting => "A worker is loading the dataset and the weights.",
        RunState::Running => "The run trains.",
        RunState::Paused => "The run is paused before its next step; the model stays loaded on the device.",
        RunState::Suspended => "The state of the run is saved and its device is released.",
        RunState::Finished => "The run has ended: all steps are done, or one of its limits was reached.",
        RunState::Stopped => "The run was stopped before its last step.",
        RunState::Failed => "The run ended with an error.",
        RunState::Lost => "The worker of the run stopped reporting.",
    }
}

/// Whether a run in this state can be resumed.
pub(crate) fn is_resumable(state: RunState) -> bool {
    matches!(state, RunState::Paused | RunState::Suspended | RunState::Stopped | RunState::Failed | RunState::Lost)
}

/// Icon and word; the word is also the CSS attribute and the name of the icon.
#[component]
pub(crate) fn StateMark(state: RunState) -> impl IntoView {
    let word = state.word();
    view! {
        <span class="state" data-state=word title=meaning(state)>
            <Icon name=word />
            {word}
        </span>
    }
}
