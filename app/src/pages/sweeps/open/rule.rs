//! The stopping rule of the open sweep, which can be changed until the sweep is stopped. Earlier decisions stay.

use leptos::prelude::*;
use wire::sweep::command::SweepCommand;
use wire::sweep::record::SweepState;
use wire::sweep::stopping::StoppingRule;

use super::state::OpenSweep;
use crate::components::shows;
use crate::pages::sweeps::form::{RuleFields, Thresholds};

/// Whether a sweep in this state accepts another rule.
pub(super) fn can_change_rule(state: Option<SweepState>) -> bool {
    state.is_some_and(|state| state != SweepState::Stopped)
}

/// Sends the command that changes the rule.
pub(super) fn set_rule(open: OpenSweep, stopping: Option<StoppingRule>) {
    open.send(
        SweepCommand::SetStopping { stopping },
        "The stopping rule was changed",
        "The stopping rule was not changed",
    );
}

#[component]
pub(super) fn RuleForm() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let own = Memo::new(move |_| open.sweep.read().as_ref().and_then(|sweep| sweep.spec.stopping));
    view! {
        <details>
            <summary>"Change the stopping rule"</summary>
            {shows(move || view! { <RuleOf own=own.get() /> })}
        </details>
    }
}

/// The form, with the rule that the sweep has.
#[component]
fn RuleOf(own: Option<StoppingRule>) -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let typed = Thresholds::of(own);
    let read = Memo::new(move |_| typed.read().map_err(|fault| fault.message));
    let is_idle = move || open.is_sending.get() || read.get() == Ok(own);
    let change = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Ok(stopping) = read.get_untracked() {
            set_rule(open, stopping);
        }
    };
    view! {
        <form class="stack" on:submit=change>
            <RuleFields typed />
            <p class="small dim">
                "The new rule applies to values that are reported from now on. Stopped trials stay stopped; you can resume them."
            </p>
            <div class="row">
                <button type="submit" disabled=move || is_idle() || read.read().is_err()>"Change rule"</button>
            </div>
        </form>
    }
}
