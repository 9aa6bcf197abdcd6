//! Commands: received between two optimizer steps, checked, executed, and answered with an event.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use wire::control::checkpoint::Cause;
use wire::control::command::{Command, NumberedCommand};
use wire::control::event::Event;
use wire::control::intervention::{self, Intervention};
use wire::control::reason::BREAKPOINT;
use wire::inspect::request::UNKNOWN_CHARACTERS;
use wire::number::grouped;
use wire::run::RunState;
use wire::transport::link::Report;

use super::checkpoint_writer::{CheckpointWriter, Requester};
use super::{Reporter, Session};
use crate::error::EngineError;
use crate::model::weight_edit;
use crate::train::trainer::Trainer;

/// Interval at which a paused run polls for commands and inspections.
const PAUSED_WAIT: Duration = Duration::from_millis(100);
/// Poll interval of a paused run while a checkpoint is being written, so that its end is reported at once.
const WRITING_WAIT: Duration = Duration::from_millis(20);
/// Wait of a paused run whose command channel is closed.
const DISCONNECTED_WAIT: Duration = Duration::from_secs(1);
/// Interval at which a run checks whether reports can be stored again.
const BLOCKED_WAIT: Duration = Duration::from_millis(500);

/// The continuation of the loop after its commands.
pub(super) enum Next {
    Train,
    Stop,
}

impl Session {
    /// Executes all queued commands. Blocks while the run is paused.
    pub(super) fn process_commands(
        &mut self,
        commands: &Receiver<NumberedCommand>,
        out: &mut dyn Reporter,
    ) -> Result<Next, EngineError> {
        loop {
            if let Some(reason) = out.blocked() {
                self.pause_until_reports_are_stored(reason, out);
            }
            self.replay_changes();
            if self.replay.pauses(self.steps()) {
                self.is_paused = true;
                self.emit(out, Event::Paused, Some(RunState::Paused));
            }
            self.report_written_checkpoints(out);
            let command = if self.is_paused {
                self.read_steps(out)?;
                self.inspect(out)?;
                let is_writing = self.writer.as_ref().is_some_and(CheckpointWriter::is_busy);
                match commands.recv_timeout(if is_writing { WRITING_WAIT } else { PAUSED_WAIT }) {
                    Ok(command) => command,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => {
                        std::thread::sleep(DISCONNECTED_WAIT);
                        continue;
                    }
                }
            } else {
                match commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(Next::Train),
                }
            };
            if let Next::Stop = self.carry_out(command, out)? {
                return Ok(Next::Stop);
            }
        }
    }

    fn carry_out(&mut self, numbered: NumberedCommand, out: &mut dyn Reporter) -> Result<Next, EngineError> {
        self.read_steps(out)?;
        if let Some(message) = self.refusal_reason(&numbered.command) {
            self.answer(numbered.clone(), refuse(&numbered, &message), None, out);
            return Ok(Next::Train);
        }
        // An ablation can be undone only by a rollback, so the state before a weight edit is always saved.
        let is_weight_edit = matches!(numbered.command, Command::EditWeights { .. });
        let before_changes = self.trainer.plan.recipe.retention.before_changes;
        if is_weight_edit || numbered.command.affects_learning() && before_changes {
            self.checkpoint(Cause::BeforeChange, Requester::system())?;
        }
        if let Command::Checkpoint { reason } = &numbered.command {
            let NumberedCommand { command_id, author, .. } = &numbered;
            let requester = Requester { command_id: Some(*command_id), author: author.clone(), reason: reason.clone() };
            // Answered when the checkpoint is complete on disk.
            self.checkpoint(Cause::Requested, requester)?;
            return Ok(Next::Train);
        }
        let (event, state) = self.perform(&numbered, out)?;
        let ends = matches!(state, Some(RunState::Stopped | RunState::Suspended));
        if ends {
            self.save_last_checkpoint(out)?;
        }
        self.answer(numbered, event, state, out);
        Ok(if ends { Next::Stop } else { Next::Train })
    }

    /// Executes a command. Returns its event, and the new state of the run if the state changes.
    fn perform(
        &mut self,
        numbered: &NumberedCommand,
        out: &mut dyn Reporter,
    ) -> Result<(Event, Option<RunState>), EngineError> {
        Ok(match &numbered.command {
            Command::Pause { .. } if self.is_paused => (refuse(numbered, "the run is already paused"), None),
            Command::Pause { .. } => {
                (self.is_paused, self.steps_left) = (true, None);
                (Event::Paused, Some(RunState::Paused))
            }
            Command::Resume { .. } if !self.is_paused => (refuse(numbered, "the run is not paused"), None),
            Command::Resume { .. } => {
                (self.is_paused, self.steps_left) = (false, None);
                (Event::Resumed, Some(RunState::Running))
            }
            Command::Step { steps: 0 } => (refuse(numbered, "0 steps; enter 1 or more"), None),
            Command::Step { steps } => {
                (self.is_paused, self.steps_left) = (false, Some(*steps));
                (Event::Stepping { steps: *steps }, Some(RunState::Running))
            }
            Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
            Command::Suspend { .. } => (Event::Suspended, Some(RunState::Suspended)),
            Command::Set { .. } | Command::SetSchedule { .. } => (self.change(numbered), None),
            Command::EditWeights { interventions, .. } => (self.edit_weights(numbered, interventions), None),
            Command::Rollback { checkpoint, skip_batches, .. } => {
                (self.roll_back(numbered, *checkpoint, *skip_batches, out)?, None)
            }
            Command::Evaluate => (self.evaluate_now(out)?, None),
            Command::Sample { prompt: Some(prompt), .. } if !self.unknown_chars(prompt).is_empty() => {
                let unknown = self.unknown_chars(prompt);
                let message = format!("{UNKNOWN_CHARACTERS} ({unknown}); remove them from the prompt");
                (refuse(numbered, &message), None)
            }
            Command::Sample { prompt, tokens, temperature } => {
                (self.sample_now(prompt.as_deref(), *tokens, *temperature)?, None)
            }
            Command::Annotate { text } => (Event::Annotated { text: text.clone() }, None),
            Command::Undo { .. } => {
                (refuse(numbered, "undo must be sent to the server, which replaces it with the inverse command"), None)
            }
            Command::Checkpoint { .. } => {
                (refuse(numbered, "unreachable: the checkpoint writer answers this command"), None)
            }
        })
    }

    fn answer(&self, numbered: NumberedCommand, event: Event, state: Option<RunState>, out: &mut dyn Reporter) {
        let reason = numbered.command.reason().map(str::to_owned);
        out.report(Report {
            command_id: Some(numbered.command_id),
            author: numbered.author,
            reason,
            ..self.report(event, state)
        });
    }

    /// The reason why a command cannot currently be executed; `None` if it can.
    fn refusal_reason(&self, command: &Command) -> Option<String> {
        let needs_folder =
            matches!(command, Command::Checkpoint { .. } | Command::Rollback { .. } | Command::Suspend { .. });
        if needs_folder && self.writer.is_none() {
            return Some("this run saves no checkpoints".into());
        }
        if self.is_edited_here() && matches!(command, Command::Checkpoint { .. } | Command::EditWeights { .. }) {
            let step = grouped(self.steps());
            return Some(format!(
                "the weights were edited at step {step}, and the checkpoint of this step has the weights before the edit; train a step first, or roll back to that checkpoint"
            ));
        }
        if matches!(command, Command::EditWeights { .. }) && self.steps() >= self.trainer.live.steps {
            return Some(format!("the run is at its last step, {}; fork it with these changes", grouped(self.steps())));
        }
        if matches!(command, Command::Step { steps: 1.. }) && self.steps() >= self.trainer.live.steps {
            return Some("all steps are trained; resume the run to end it, extend it, or roll it back".into());
        }
        let last = self.replay.catching_up(self.steps()).filter(|_| command.affects_learning())?;
        Some(format!(
            "the run replays its steps up to {} and is at {}; try again after that",
            grouped(last),
            grouped(self.steps())
        ))
    }

    /// Characters of a prompt that the tokenizer has no token for, quoted.
    fn unknown_chars(&self, prompt: &str) -> String {
        let (_, unknown) = self.trainer.data.tokenizer().encode_prompt(prompt);
        unknown.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
    }

    fn change(&mut self, numbered: &NumberedCommand) -> Event {
        match self.trainer.live.change(&numbered.command, self.steps()) {
            Ok(Some(event)) => {
                self.apply_change(&event, self.steps());
                event
            }
            Ok(None) => refuse(numbered, "it changes nothing"),
            Err(error) => refuse(numbered, &error.to_string()),
        }
    }

    fn edit_weights(&mut self, numbered: &NumberedCommand, interventions: &[Intervention]) -> Event {
        if let Err(error) = intervention::check_weight_edit(interventions, &self.trainer.plan.recipe.model) {
            return refuse(numbered, &error.to_string());
        }
        let event = Event::WeightsEdited { interventions: interventions.to_vec() };
        self.apply_change(&event, self.steps());
        self.inspections.state_changed();
        event
    }

    /// Whether the current weights are those of a weight edit, before any later step.
    pub(super) fn is_edited_here(&self) -> bool {
        self.edited_at == Some((self.segment, self.steps()))
    }

    /// Applies a change to the hyperparameters or the weights of the run.
    pub(super) fn apply_change(&mut self, event: &Event, step: u64) {
        if let Event::WeightsEdited { interventions } = event {
            let Trainer { plan, specs, state, .. } = &mut self.trainer;
            // The journal of an imported run may name components that the model does not have.
            if intervention::check_weight_edit(interventions, &plan.recipe.model).is_ok() {
                weight_edit::apply(&plan.recipe.model, specs, &mut state.weights, interventions);
            }
            self.edited_at = Some((self.segment, self.steps()));
            // These losses were measured before the edit.
            (self.loss_train, self.loss_valid) = (None, None);
        }
        self.trainer.live.apply(event, step);
    }

    /// Pauses while reports cannot be stored, so that no step is trained whose report would be lost.
    fn pause_until_reports_are_stored(&mut self, reason: String, out: &mut dyn Reporter) {
        self.emit(out, Event::Annotated { text: format!("paused: {reason}") }, Some(RunState::Paused));
        while out.blocked().is_some() {
            std::thread::sleep(BLOCKED_WAIT);
        }
        let state = if self.is_paused { RunState::Paused } else { RunState::Running };
        self.emit(out, Event::Annotated { text: "reports can be stored again: resumed".into() }, Some(state));
    }

    /// Counts the steps of a `step` command down, and pauses again after the last.
    pub(super) fn count_down(&mut self, out: &mut dyn Reporter) {
        let Some(left) = self.steps_left.as_mut() else { return };
        *left -= 1;
        if *left == 0 {
            (self.steps_left, self.is_paused) = (None, true);
            self.emit(out, Event::Paused, Some(RunState::Paused));
        }
    }

    /// Pauses at each breakpoint of the plan, once per segment.
    pub(super) fn pause_at_breakpoint(&mut self, out: &mut dyn Reporter) {
        let step = self.steps();
        let is_due = self.trainer.plan.recipe.breakpoints.contains(&step)
            && self.replay.catching_up(step).is_none()
            && !self.replay.is_reported(&Event::Paused, self.segment, step);
        if is_due && !self.is_paused {
            (self.is_paused, self.steps_left) = (true, None);
            let reason = Some(BREAKPOINT.to_owned());
            out.report(Report { reason, ..self.report(Event::Paused, Some(RunState::Paused)) });
        }
    }
}

/// The event that refuses a command.
pub(super) fn refuse(numbered: &NumberedCommand, message: &str) -> Event {
    Event::Refused { command: numbered.command.clone(), message: message.to_owned() }
}
