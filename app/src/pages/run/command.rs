//! Commands of the page: from which step they apply, how they are sent, and how their answer is shown.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Author, Command, Event, EventRecord, RunState};

use super::RunContext;
use super::context::Answer;
use super::phrases::{in_progress, phrase};
use crate::components::{is_resumable, isolated, sentence};
use crate::net::api;

/// How long a command may take to arrive before the steps that it names are in the past.
const DELIVERY_SECS: f64 = 0.75;

/// The step before which a command sent now is applied, as the controls write it.
pub(super) fn step_now(context: RunContext) -> String {
    number::whole(context.summary.read().step)
}

/// Whether all planned steps are trained: a breakpoint can pause the run there before it ends.
pub(super) fn is_at_end(context: RunContext) -> bool {
    context.summary.read().step >= context.hyperparameters.read().steps
}

/// Pauses the run, or resumes one that does not train.
pub(super) fn pause_or_resume(context: RunContext) {
    match is_resumable(context.state.get_untracked()) {
        true => context.send(Command::Resume { reason: None }),
        false => context.send(Command::Pause { reason: None }),
    }
}

impl RunContext {
    /// The first step that a command sent now can affect: a run continues to train while the request travels.
    pub(super) fn next_step(self) -> u64 {
        let run = self.run.read_untracked();
        let summary = &run.view.summary;
        let micro_batches = run.view.hyperparameters.accumulation.at(summary.step).max(1);
        let tokens_per_step = micro_batches * run.view.plan.tokens_per_micro_batch();
        let steps_per_sec = summary.tokens_per_sec.unwrap_or(0.0) / tokens_per_step.max(1) as f64;
        let travelled =
            if summary.state == RunState::Running { (steps_per_sec * DELIVERY_SECS).ceil() as u64 + 1 } else { 0 };
        summary.step + travelled
    }

    /// Sends a command and shows its answer.
    pub(super) fn send(self, command: Command) {
        self.change(command, false);
    }

    /// Saves a checkpoint now.
    pub(super) fn save(self) {
        self.send(Command::Checkpoint { reason: None });
    }

    /// Sends a change, with a control run if one is wanted, and shows its answer.
    pub(super) fn change(self, command: Command, with_control_run: bool) {
        // A run that is suspended or has ended early can be resumed, and a note can be added to any run; every other command
        // needs it on a worker.
        let needs_no_worker = match command {
            Command::Resume { .. } => is_resumable(self.state.get_untracked()),
            Command::Annotate { .. } => true,
            _ => false,
        };
        let reason =
            if needs_no_worker { self.no_permission.get_untracked() } else { self.disabled_reason.get_untracked() };
        if let Some(reason) = reason {
            self.answer.set(Answer::Refused(reason));
            return;
        }
        let run = self.id();
        self.answer.set(Answer::Waiting(in_progress(&command)));
        spawn_local(async move {
            let answered = api::command(&run, &command, with_control_run).await;
            // Nobody reads the answer once the page is closed, and the run that its text needs is gone.
            if self.answer.is_disposed() {
                return;
            }
            let answer = match answered {
                Ok(record) if self.is_undone_by_rule(record.number) => Answer::None,
                Ok(EventRecord { event: Event::Refused { message, .. }, .. }) => {
                    Answer::Refused(api::sentence(&message))
                }
                Ok(record) => match answer(self, &record) {
                    Answer::Applied(what) if with_control_run => {
                        Answer::Applied(format!("{what} The control run is queued."))
                    }
                    answer => answer,
                },
                Err(failure) => Answer::Refused(failure.sentence()),
            };
            self.answer.set(answer);
        });
    }

    /// Whether a rule has rolled the run back since an event: the answer of a command may arrive after what the rule did.
    fn is_undone_by_rule(self, number: u64) -> bool {
        let by_rule =
            |later: &EventRecord| matches!((&later.author, &later.event), (Author::Rule(_), Event::RolledBack { .. }));
        self.run.with_untracked(|run| run.events.range(number + 1..).any(|(_, later)| by_rule(later)))
    }
}

/// What was applied, and at which step.
fn applied(context: RunContext, record: &EventRecord) -> String {
    match &record.event {
        Event::Annotated { .. } => format!("Note added at step {}.", number::whole(record.step)),
        // The reason of an undo says which change it undoes.
        event @ (Event::Changed { .. } | Event::ScheduleChanged { .. } | Event::WeightsEdited { .. }) => {
            let reason = record.reason.as_deref().map(|reason| format!(" ({})", isolated(reason))).unwrap_or_default();
            format!("At step {}: {}{reason}.", number::whole(record.step), context.phrase_of(event, record.step))
        }
        // It names both of its steps.
        event @ Event::RolledBack { .. } => sentence(&phrase(event)),
        event => format!("At step {}: {}.", number::whole(record.step), phrase(event)),
    }
}

/// The answer to a command that caused an event.
fn answer(context: RunContext, record: &EventRecord) -> Answer {
    match &record.event {
        Event::Stepping { steps } => Answer::Stepping { from: record.step, steps: *steps },
        Event::Paused => Answer::Transition { what: applied(context, record), state: RunState::Paused },
        Event::Resumed => Answer::Transition { what: applied(context, record), state: RunState::Running },
        Event::Queued => Answer::Transition { what: applied(context, record), state: RunState::Queued },
        _ => Answer::Applied(applied(context, record)),
    }
}
