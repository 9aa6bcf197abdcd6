//! What drawers of changes have in common: the reason for the journal, the wish for a twin, and from which step a course is
//! to hold.

use figure::number;
use leptos::prelude::*;
use wire::RunState;

use super::Desk;

/// A reason as it is sent: nothing for nothing.
pub(super) fn reason_of(reason: RwSignal<String>) -> Option<String> {
    Some(reason.get_untracked().trim().to_owned()).filter(|reason| !reason.is_empty())
}

/// Why, in one's own words.
#[component]
pub(super) fn ReasonField(reason: RwSignal<String>) -> impl IntoView {
    view! {
        <label>
            "Reason"<span class="unit">" for the journal"</span>
            <input type="text" maxlength="300" placeholder="why" prop:value=reason on:input:target=move |event| reason.set(event.target().value()) />
        </label>
    }
}

/// The wish for an untouched fork beside the change.
#[component]
pub(super) fn TwinField() -> impl IntoView {
    let desk = expect_context::<Desk>();
    desk.wants_twin.set(false);
    view! {
        <label class="check" title="A fork without this change goes on from the same state, with the same batches: the difference of the two is what the change did.">
            <input type="checkbox" prop:checked=desk.wants_twin on:change:target=move |event| desk.wants_twin.set(event.target().checked()) />
            "also run an untouched twin"
        </label>
        {move || desk.wants_twin.get().then(|| view! { <p class="small dim">{twin_note(desk)}</p> })}
    }
}

fn twin_note(desk: Desk) -> String {
    let device = desk.summary.read().device.clone();
    match desk.state.get() {
        RunState::Running | RunState::Paused => {
            format!(
                "The twin waits in the queue of {device} while this run holds it; release this run, or let another device take it."
            )
        }
        _ => format!("The twin waits in the queue of {device}."),
    }
}

/// From when a drawn course holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onset {
    /// The next step.
    Now,
    /// A later step, at once.
    At(u64),
    /// In a straight line up to a later step.
    Until(u64),
}

/// A choice of [`Onset`].
#[component]
pub(super) fn OnsetField(
    /// The choice.
    onset: RwSignal<Onset>,
    /// Whether the value can glide.
    #[prop(default = false)]
    glides: bool,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let later = move || {
        let summary = desk.summary.read_untracked();
        let ahead = (summary.steps.saturating_sub(summary.step) / 10).max(10);
        summary.step + ahead
    };
    let choose = move |word: String| {
        let step = match onset.get_untracked() {
            Onset::At(step) | Onset::Until(step) => step,
            Onset::Now => later(),
        };
        onset.set(match word.as_str() {
            "at" => Onset::At(step),
            "until" => Onset::Until(step),
            _ => Onset::Now,
        });
    };
    let set_step = move |typed: &str| {
        if let Ok(step) = typed.trim().parse() {
            onset.update(|onset| {
                *onset = match *onset {
                    Onset::Until(_) => Onset::Until(step),
                    _ => Onset::At(step),
                }
            });
        }
    };
    let step = move || match onset.get() {
        Onset::Now => None,
        Onset::At(step) | Onset::Until(step) => Some(step),
    };
    view! {
        <div class="onset">
            <label>
                "From"
                <select on:change:target=move |event| choose(event.target().value())>
                    <option value="now">"the next step on"</option>
                    <option value="at">"a later step on"</option>
                    {glides.then(|| view! { <option value="until">"here, in a line up to a later step"</option> })}
                </select>
            </label>
            {move || step().is_some().then(|| view! {
                <label>
                    "Step"
                    <input type="number" min=move || desk.summary.read().step.to_string() prop:value=move || step().map(|step| step.to_string())
                        on:input:target=move |event| set_step(&event.target().value()) />
                </label>
            })}
        </div>
    }
}

impl Onset {
    /// In words, after the value: "from step 4 120 on".
    pub(super) fn words(self, desk: Desk) -> String {
        match self {
            Self::Now => format!("from step {} on", number::whole(desk.summary.read().step)),
            Self::At(step) => format!("from step {} on", number::whole(step)),
            Self::Until(step) => format!("step by step up to {}, then level", number::whole(step)),
        }
    }

    /// Whether the step can still be reached.
    pub(super) fn check(self, desk: Desk) -> Result<(), String> {
        let now = desk.summary.read().step;
        match self {
            Self::At(step) | Self::Until(step) if step <= now => {
                Err(format!("Step {} lies behind; the run is at {}.", number::whole(step), number::whole(now)))
            }
            _ => Ok(()),
        }
    }
}
