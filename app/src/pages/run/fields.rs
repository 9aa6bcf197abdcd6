//! Form fields that several changes share: the reason for the journal, the control run, the checkpoint, and the step
//! from which a schedule changes.

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::{CheckpointId, PlanError, RunState};

use super::{RunContext, checkpoint_list};
use crate::components::{NumberField, Select, TypedNumber, sentence as as_sentence};

/// The reason to send; `None` if the field is empty.
pub(super) fn reason_of(reason: RwSignal<String>) -> Option<String> {
    Some(reason.get_untracked().trim().to_owned()).filter(|reason| !reason.is_empty())
}

/// A refused value and what to do, as sentences.
pub(super) fn sentence(error: &PlanError) -> String {
    let hint = error.hint.as_deref().map(|hint| format!(" {}", as_sentence(hint))).unwrap_or_default();
    as_sentence(&error.message) + &hint
}

/// The reason for the journal.
#[component]
pub(super) fn ReasonField(reason: RwSignal<String>) -> impl IntoView {
    view! {
        <label title="Shown beside the change in the journal and on the charts. Optional, up to 300 characters.">
            "Reason"
            <input
                type="text"
                maxlength="300"
                placeholder="optional"
                prop:value=reason
                on:input:target=move |event| reason.set(event.target().value())
            />
        </label>
    }
}

/// What the control run of a change shows that keeps the batches.
pub(super) const SAME_BATCHES: &str = "A control run is a fork of the current step without this change, on the same \
                                       batches. The difference of the two losses at equal steps is the effect of the \
                                       change. It queues a second run on the same device.";
/// What the control run of a change shows that leads to other batches.
pub(super) const OTHER_BATCHES: &str = "A control run is a fork of the current step without this change, on the batches \
                                        of the plan. The difference of the two losses at equal steps is the effect of \
                                        the change. It queues a second run on the same device.";

/// Whether a control run is started with the change.
#[component]
pub(super) fn ControlRunField(
    /// Whether one is wanted; each form has a signal of its own.
    wanted: RwSignal<bool>,
    /// Tooltip: the batches of the control run, and what it measures.
    #[prop(default = SAME_BATCHES)]
    meaning: &'static str,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    view! {
        <label
            class="check"
            hidden=move || context.no_fork.read().is_some()
            title=meaning
        >
            <input
                type="checkbox"
                prop:checked=wanted
                on:change:target=move |event| wanted.set(event.target().checked())
            />
            "Start a control run"
        </label>
        {move || wanted.get().then(|| view! {
            <p class="small dim">{control_run_note(context)}</p>
        })}
    }
}

fn control_run_note(context: RunContext) -> String {
    let device = context.summary.read().device.clone();
    match context.state.get() {
        RunState::Running | RunState::Paused => {
            format!("The control run is queued on {device} and starts when this run ends or is suspended.")
        }
        _ => format!("The control run is queued on {device}."),
    }
}

/// A list of checkpoints to choose from. A chosen checkpoint that has been deleted stays in it until another is chosen.
#[component]
pub(super) fn CheckpointSelect(
    /// The first option, for the current state; `None` if a checkpoint must be chosen.
    #[prop(optional_no_strip)]
    now: Option<String>,
    /// The choice.
    #[prop(into)]
    chosen: Signal<Option<CheckpointId>>,
    /// Called with the checkpoint that the user selects; `None` for the current state.
    choose: impl Fn(Option<CheckpointId>) + 'static,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let entries = Memo::new(move |_| {
        let gone = chosen.get().filter(|_| checkpoint_list::is_gone(context, chosen.get()));
        let gone = gone.map(|id| (id.to_string(), format!("step {} · deleted", number::whole(id.step))));
        let kept = checkpoint_list::entries(context, |_| true);
        now.clone().map(|now| (String::new(), now)).into_iter().chain(gone).chain(kept).collect::<Vec<_>>()
    });
    let value = Signal::derive(move || chosen.get().map(|id| id.to_string()).unwrap_or_default());
    view! { <Select entries chosen=value choose=move |value: String| choose(value.parse().ok()) /> }
}

/// The step from which a change applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartAt {
    /// The next step.
    Now,
    /// A later step.
    Step(u64),
    /// Linear from the next step to this one.
    Linear(u64),
}

/// Which of [`StartAt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transition {
    Now,
    Step,
    Linear,
}

/// A choice of [`StartAt`].
#[derive(Clone, Copy)]
pub(super) struct StartChoice {
    transition: RwSignal<Transition>,
    step: TypedNumber,
    context: RunContext,
}

impl StartChoice {
    /// The next step; a later one is first a tenth of the remaining steps ahead.
    pub(super) fn new(context: RunContext) -> Self {
        let summary = context.summary.read_untracked();
        let later = summary.step + (summary.steps.saturating_sub(summary.step) / 10).max(10);
        let step = TypedNumber::new(Values::Integer { min: 0, max: u64::MAX }, later);
        Self { transition: RwSignal::new(Transition::Now), step, context }
    }

    fn has_step(self) -> bool {
        self.transition.get() != Transition::Now
    }

    /// The choice; `None` while the step has no number.
    fn chosen(self) -> Option<StartAt> {
        Some(match self.transition.get() {
            Transition::Now => StartAt::Now,
            Transition::Step => StartAt::Step(self.step.integer()?),
            Transition::Linear => StartAt::Linear(self.step.integer()?),
        })
    }

    /// The choice, where the run is not past it.
    ///
    /// # Errors
    /// Why it cannot be applied, as a sentence; empty where the field of the step says it.
    pub(super) fn read(self) -> Result<StartAt, String> {
        let chosen = self.chosen().ok_or_else(String::new)?;
        let now = self.context.summary.read().step;
        match chosen {
            StartAt::Step(step) | StartAt::Linear(step) if step <= now => {
                Err(format!("Step {} is in the past: the run is at step {}.", number::whole(step), number::whole(now)))
            }
            chosen => Ok(chosen),
        }
    }
}

/// The field of a [`StartChoice`].
#[component]
pub(super) fn StartField(
    /// The choice.
    start: StartChoice,
    /// Whether a linear transition is offered.
    #[prop(default = false)]
    has_linear: bool,
) -> impl IntoView {
    let choose = move |word: String| {
        start.transition.set(match word.as_str() {
            "step" => Transition::Step,
            "linear" => Transition::Linear,
            _ => Transition::Now,
        });
    };
    view! {
        <div class="start-at">
            <label title="Step from which the change applies">
                "From"
                <select on:change:target=move |event| choose(event.target().value())>
                    <option value="now">"the next step"</option>
                    <option value="step">"a later step"</option>
                    {has_linear.then(|| view! {
                        <option value="linear">"the next step, linear up to a later step"</option>
                    })}
                </select>
            </label>
            <Show when=move || start.has_step()>
                <label>"Step"<NumberField number=start.step /></label>
            </Show>
        </div>
    }
}

impl StartAt {
    /// In words, after the value: "from step 4 120 on".
    pub(super) fn words(self, context: RunContext) -> String {
        match self {
            Self::Now => format!("from step {} on", number::whole(context.summary.read().step)),
            Self::Step(step) => format!("from step {} on", number::whole(step)),
            Self::Linear(step) => format!("linearly up to step {}, constant after it", number::whole(step)),
        }
    }
}
