//! Weight edits: the interventions written into the weights of the run, with an entry in its journal, or into those of
//! a fork.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::intervention::{Component, Intervention};
use wire::run::spec::Parent;
use wire::{Command, RunSpec, RunState};

use crate::components::{Confirm, Failure, Question, clicks, isolated, says, shows};
use crate::net::api::{self, ApiFailure};
use crate::pages::xray::state::XrayState;
use crate::route::run_path;
use crate::session::Session;

/// Minimum number of steps that a fork of a finished run trains.
const MIN_STEPS: u64 = 100;
const CONTROL: &str = "A control run is a fork from the same state without the edit, trained on the same batches. The \
                       difference between the two runs is the effect of the edit. It queues a second run on the same \
                       device. Off by default.";
const APPLY: &str = "Multiply the weights of this run once, before its next step, after confirmation";
const FORK: &str = "Queue a new run from the newest checkpoint with this edit; this run does not change";

/// The outcome of the last action.
#[derive(Clone)]
enum Outcome {
    Idle,
    Waiting(&'static str),
    /// What was done, and the address of the run.
    Done(String, String),
    Refused(ApiFailure),
}

/// The form and its outcome.
#[derive(Clone, Copy)]
struct Edit {
    xray: XrayState,
    interventions: RwSignal<Vec<Intervention>>,
    reason: RwSignal<String>,
    /// Name of a fork; empty for a generated one.
    name: RwSignal<String>,
    has_control: RwSignal<bool>,
    outcome: RwSignal<Outcome>,
    /// Whether the run may be forked: a share link of the run does not permit new runs in its project.
    can_fork: Memo<bool>,
    on_applied: Callback<()>,
}

impl Edit {
    fn command(self) -> Command {
        let reason = Some(self.reason.get_untracked().trim().to_owned()).filter(|reason| !reason.is_empty());
        Command::EditWeights { interventions: self.interventions.get_untracked(), reason }
    }

    /// Steps of a fork: those of the run, or a tenth more if the run has done them all.
    fn extended_steps(self) -> Option<u64> {
        let summary = self.xray.summary.read();
        let is_at_its_end = !summary.state.is_live() && summary.step >= summary.steps;
        is_at_its_end.then(|| summary.steps + (summary.steps / 10).max(MIN_STEPS))
    }

    /// Asks, and then applies the edit.
    fn ask(self, confirm: Confirm) {
        let edit = |one: &Intervention| {
            format!("the weights of {} are multiplied by {}", one.component, number::short(f64::from(one.factor)))
        };
        let edits: Vec<String> = self.interventions.get_untracked().iter().map(edit).collect();
        let apply = move || {
            if !self.outcome.is_disposed() {
                self.apply();
            }
        };
        confirm.ask(Question {
            title: format!("Edit the weights of {}?", untrack(|| self.xray.name())),
            loses: format!(
                "Before the next step: {}. Training continues from the edited weights. You can undo the edit on the \
                 page of the run.",
                edits.join(", ")
            ),
            verb: "Apply",
            act: confirm.keep(apply),
        });
    }

    fn apply(self) {
        self.outcome.set(Outcome::Waiting("Applying the edit before the next step …"));
        let (command, has_control) = (self.command(), self.has_control.get_untracked());
        spawn_local(async move {
            let outcome = match api::command(&self.xray.run.get_value(), &command, has_control).await {
                Ok(record) => {
                    let control = if has_control { " The control run is in the queue of its device." } else { "" };
                    let step = number::whole(record.step);
                    let text = format!("Applied at step {step}: {}.{control}", record.event.phrase());
                    Outcome::Done(text, self.xray.run_href())
                }
                Err(failure) => Outcome::Refused(failure),
            };
            let is_done = matches!(outcome, Outcome::Done(..));
            if self.outcome.try_set(outcome).is_none() && is_done {
                self.on_applied.run(());
            }
        });
    }

    fn fork(self) {
        self.outcome.set(Outcome::Waiting("Creating the fork …"));
        let (run, steps) = (self.xray.run.get_value(), untrack(|| self.extended_steps()));
        let name = Some(self.name.get_untracked().trim().to_owned()).filter(|name| !name.is_empty());
        let parent = Parent {
            run,
            step: None,
            checkpoint: None,
            changes: vec![self.command()],
            refit_schedule: false,
            control_of: None,
        };
        spawn_local(async move {
            let spec = RunSpec { name, parent: Some(parent), steps, ..RunSpec::default() };
            let outcome = match api::create_run(&spec).await {
                Ok(view) => Outcome::Done(
                    format!("Queued {} with this edit.", isolated(&view.summary.name)),
                    run_path(&view.summary.id),
                ),
                Err(failure) => Outcome::Refused(failure),
            };
            self.outcome.try_set(outcome);
        });
    }

    /// Why the interventions cannot be applied, if so.
    fn obstacle(self, session: Session) -> Option<&'static str> {
        let summary = self.xray.summary.read();
        obstacle(session.can_steer_run(&summary.id, &summary.project), summary.state, &self.interventions.read())
    }
}

/// The form.
#[component]
pub(super) fn WeightEdit(
    xray: XrayState,
    interventions: RwSignal<Vec<Intervention>>,
    /// Called once the run has the edit: the effect was computed on other weights.
    on_applied: Callback<()>,
) -> impl IntoView {
    let (session, confirm) = (expect_context::<Session>(), expect_context::<Confirm>());
    let (reason, name) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let has_control = RwSignal::new(false);
    let outcome = RwSignal::new(Outcome::Idle);
    let can_fork = Memo::new(move |_| session.can_steer_in(&xray.summary.read().project));
    let edit = Edit { xray, interventions, reason, name, has_control, outcome, can_fork, on_applied };
    let is_live = Memo::new(move |_| xray.summary.read().state.is_live());
    let cannot_act = move || edit.obstacle(session).is_some() || matches!(*outcome.read(), Outcome::Waiting(_));
    let cannot_apply = move || cannot_act() || !is_live.get();
    let is_empty = Memo::new(move |_| interventions.read().is_empty() && matches!(*outcome.read(), Outcome::Idle));
    let note = move || match edit.obstacle(session) {
        Some(obstacle) => obstacle.to_owned(),
        None => consequence(is_live.get(), edit.extended_steps()),
    };
    view! {
        <section class="weight-edit" aria-label="Weight edit" hidden=is_empty>
            <h3>"Weight edit"</h3>
            <p class="small dim">{shows(note)}</p>
            <Fields edit />
            <div class="row">
                <button
                    class="primary"
                    title=FORK
                    hidden=move || !can_fork.get()
                    disabled=cannot_act
                    on:click=clicks(move |_| edit.fork())
                >
                    "Fork with this edit"
                </button>
                <button title=APPLY disabled=cannot_apply on:click=clicks(move |_| edit.ask(confirm))>
                    "Apply to the run …"
                </button>
            </div>
            <div role="status">{shows(move || outcome_view(outcome.get()))}</div>
        </section>
    }
}

#[component]
fn Fields(edit: Edit) -> impl IntoView {
    let Edit { reason, name, has_control, .. } = edit;
    view! {
        <div class="row">
            <label class="field" title="Name of the fork. Default: a generated name." hidden=move || !edit.can_fork.get()>
                <span class="label">"Name of the fork"</span>
                <input
                    type="text"
                    maxlength="80"
                    autocomplete="off"
                    placeholder="e.g. russet-lark"
                    prop:value=says(move || name.get())
                    on:input:target=move |event| name.set(event.target().value())
                />
            </label>
            <label
                class="field grow"
                title="Shown beside the edit in the journal and on the charts. Optional, up to 300 characters."
            >
                <span class="label">"Reason"</span>
                <input
                    type="text"
                    maxlength="300"
                    placeholder="optional"
                    prop:value=says(move || reason.get())
                    on:input:target=move |event| reason.set(event.target().value())
                />
            </label>
            <label class="check" title=CONTROL hidden=move || !edit.can_fork.get()>
                <input type="checkbox" on:change:target=move |event| has_control.set(event.target().checked()) />
                "Start a control run"
            </label>
        </div>
    }
}

fn outcome_view(outcome: Outcome) -> AnyView {
    match outcome {
        Outcome::Idle => ().into_any(),
        Outcome::Waiting(text) => view! { <p class="dim">{text}</p> }.into_any(),
        Outcome::Done(text, href) => {
            view! { <p>{text}" "<a href=href title="The page of the run">"Open the run"</a></p> }.into_any()
        }
        Outcome::Refused(failure) => view! { <Failure what="Nothing was changed" failure /> }.into_any(),
    }
}

/// The effect of the two buttons.
fn consequence(is_live: bool, extended_steps: Option<u64>) -> String {
    match extended_steps {
        _ if is_live => {
            "The weights of the component are multiplied by the factor once, and the journal records it under your name. Training continues \
                         from there and may relearn the component. You can undo the edit on the page of the run."
                .to_owned()
        }
        None => "This run is not training. A fork starts from its newest checkpoint with this edit.".to_owned(),
        Some(steps) => format!(
            "The run has finished. A fork starts from its newest checkpoint with this edit and trains beyond the end of \
             this run, to step {} (a tenth more steps, at least 100).",
            number::whole(steps)
        ),
    }
}

fn obstacle(can_steer: bool, state: RunState, interventions: &[Intervention]) -> Option<&'static str> {
    let has_position = interventions.iter().any(|one| matches!(one.component, Component::Position { .. }));
    match state {
        _ if !can_steer => Some("Your role permits reading only. To change the run you need the role steer or admin."),
        _ if interventions.is_empty() => Some("Compute an intervention first."),
        _ if has_position => Some(
            "An intervention on the embedding of a token applies to this text only. Remove it to apply the others.",
        ),
        RunState::Queued | RunState::Starting => Some("The run has not started."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_needs_a_role_an_intervention_and_weights() {
        let head = Intervention { component: Component::Head { layer: 0, head: 0 }, factor: 0.0 };
        let token = Intervention { component: Component::Position { at: 0 }, factor: 0.0 };
        let has =
            |can_steer, state, interventions: &[Intervention]| obstacle(can_steer, state, interventions).is_some();
        assert!(!has(true, RunState::Running, std::slice::from_ref(&head)));
        assert!(has(false, RunState::Running, std::slice::from_ref(&head)));
        assert!(has(true, RunState::Running, &[]));
        assert!(has(true, RunState::Queued, std::slice::from_ref(&head)));
        assert!(has(true, RunState::Running, &[head, token]));
    }
}
