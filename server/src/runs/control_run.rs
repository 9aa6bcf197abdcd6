//! Control runs: a control run is a fork that omits one command of its parent, so that a comparison shows the effect of the
//! command.

use wire::control::author::Author;
use wire::control::event::EventRecord;
use wire::control::reason::FOR_CONTROL_RUN;
use wire::run::spec::Parent;
use wire::{Command, RunId, RunSpec, RunSummary};

use super::{commands, create, forks, steering};
use crate::error::ApiError;
use crate::lab::{Lab, name};

/// Carries out a command, and creates a control run: a fork from just before the command, which omits it.
///
/// # Errors
/// 422 for a command that does not affect training; all errors of the command and of the fork. The command has not taken effect then.
pub async fn command_with_control(
    lab: &Lab,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<(EventRecord, RunId), ApiError> {
    let run = &summary.id;
    if !affects_learning(&command) {
        let message = "a control run shows the effect of a change, and this command does not affect training";
        return Err(ApiError::invalid("no_control", message)
            .field("control")
            .hint("leave out control, or use it with set, set_schedule, edit_weights, rollback or undo"));
    }
    if !steering::is_trained(lab, summary) {
        return Err(commands::not_trained(summary));
    }
    let command = steering::expand(lab, summary, command).await?;
    let held = steering::verify(lab, summary, &command).await?;
    let checkpoint = forks::save_checkpoint(lab, run, author.clone(), FOR_CONTROL_RUN).await?;
    let mut parent = Parent {
        run: run.clone(),
        step: None,
        checkpoint: Some(checkpoint),
        changes: vec![],
        refit_schedule: false,
        control_of: None,
    };
    let mut spec =
        RunSpec { name: Some(control_name(&summary.name)), parent: Some(parent.clone()), ..RunSpec::default() };
    // Everything that could be refused is refused before the command takes effect.
    let fork = forks::prepare(lab, &spec, &parent, author.clone()).await?;
    create::check_queue(lab, &fork.view.plan.device, None, None).await?;
    let record = commands::send_counted(lab, summary, author.clone(), command).await?;
    drop(held);
    parent.control_of = Some(record.number);
    spec.parent = Some(parent);
    let control = create::insert(lab, spec, fork.view, fork.changes, author).await?;
    Ok((record, control))
}

fn affects_learning(command: &Command) -> bool {
    command.affects_learning() || matches!(command, Command::Set { .. } | Command::Undo { .. })
}

/// `amber-fox control`, within the maximum length of a name.
fn control_name(parent: &str) -> String {
    const SUFFIX: &str = " control";
    let short: String = parent.chars().take(name::NAME_CHARS - SUFFIX.len()).collect();
    format!("{short}{SUFFIX}")
}
