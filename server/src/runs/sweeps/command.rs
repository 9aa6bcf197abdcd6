//! Commands of people to sweeps.

use store::{Identity, NewTrial, StoreError};
use wire::access::Role;
use wire::number::grouped;
use wire::sweep::command::{SweepCommand, SweepRequest};
use wire::sweep::record::{Sweep, TrialState};
use wire::sweep::sampler::SamplerKind;
use wire::{Command, PlanError, RunState, RunSummary};

use super::next::run_of;
use super::start::grid_trials;
use crate::auth::spec::permit_priority;
use crate::auth::{author, run};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::commands;
use crate::runs::create::announce;

/// Carries out a command to a sweep, if its revision is the one that the sender has seen.
///
/// # Errors
/// 403 for a share link that retries a trial of a sweep with a high priority; 404 for an unknown sweep or trial; 409 for an imported sweep, for
/// another revision, and if the state of the sweep, trial or run does not allow it; 422 for an invalid value; an error of the store.
pub async fn carry_out(lab: &Lab, identity: &Identity, id: i64, request: SweepRequest) -> Result<Sweep, ApiError> {
    let SweepRequest { revision, command } = request;
    let sweep = lab.store().sweep(id).await?.ok_or(StoreError::UnknownSweep { id })?;
    if sweep.revision != revision {
        return Err(StoreError::SweepChanged { id, revision, current: sweep.revision }.into());
    }
    if let Some(source) = &sweep.spec.imported_from {
        let message = format!("sweep {id} was imported from the {source} and trains nothing");
        return Err(
            ApiError::conflict("sweep_imported", message).hint("start another sweep over hyperparameters of this lab")
        );
    }
    let by = identity.name.as_str();
    // A share link gives no rights that outlast it.
    let own = lab.store().own_grants(identity.token_id).await?;
    let steers = own.in_project(&sweep.project).is_some_and(|role| role.includes(Role::Steer));
    let owner = steers.then(|| identity.creator());
    let after = match command {
        SweepCommand::Retry { trial } => retry(lab, identity, &sweep, trial).await?,
        SweepCommand::ResumeTrial { trial } => resume_trial(lab, identity, &sweep, trial).await?,
        SweepCommand::Extend { trials } => {
            check_grid(lab, &sweep, trials).await?;
            lab.store().command_sweep(id, revision, command, by, owner).await?
        }
        SweepCommand::Resume => {
            let after = lab.store().command_sweep(id, revision, command, by, owner).await?;
            resume_suspended(lab, identity, &after).await?;
            after
        }
        SweepCommand::Pause | SweepCommand::Stop | SweepCommand::SetStopping { .. } => {
            lab.store().command_sweep(id, revision, command, by, owner).await?
        }
    };
    lab.feed.hub.trials.wake(id);
    lab.feed.lab_changed();
    Ok(after)
}

/// A grid has no more trials than combinations.
async fn check_grid(lab: &Lab, sweep: &Sweep, more: u64) -> Result<(), ApiError> {
    if sweep.spec.sampler != SamplerKind::Grid {
        return Ok(());
    }
    let most = grid_trials(lab, &sweep.spec).await?;
    if sweep.trials.saturating_add(more) <= most {
        return Ok(());
    }
    let message = format!("the grid has {} trials, and {} are planned", grouped(most), grouped(sweep.trials));
    Err(PlanError::new("command.trials", message).hint("start another sweep with more points").into())
}

async fn retry(lab: &Lab, identity: &Identity, sweep: &Sweep, number: u64) -> Result<Sweep, ApiError> {
    let unknown = StoreError::UnknownTrial { sweep: sweep.id, number };
    let trial = lab.store().trial(sweep.id, number).await?.ok_or(unknown)?;
    if !trial.state.is_over() {
        return Err(StoreError::TrialNotOver { sweep: sweep.id, number, state: trial.state }.into());
    }
    permit_priority(lab, identity, &sweep.project, sweep.spec.priority).await?;
    let run = run_of(lab, sweep, &trial.point, number, author(identity)).await?;
    let (id, revision, point) = (sweep.id, sweep.revision, &trial.point);
    let new = NewTrial { sweep: id, revision, number, point, run: &run };
    let summary = lab.store().retry_trial(&new, &identity.name).await?;
    lab.feed.hub.trials.watch(id, &sweep.spec.metric.name, &summary);
    announce(lab, &run, summary).await?;
    Ok(lab.store().sweep(id).await?.ok_or(StoreError::UnknownSweep { id })?)
}

async fn resume_trial(lab: &Lab, identity: &Identity, sweep: &Sweep, number: u64) -> Result<Sweep, ApiError> {
    let unknown = StoreError::UnknownTrial { sweep: sweep.id, number };
    let trial = lab.store().trial(sweep.id, number).await?.ok_or(unknown)?;
    let run = match (&trial.run, trial.state) {
        (Some(run), TrialState::Stopped | TrialState::Failed) => run,
        (None, TrialState::Stopped | TrialState::Failed) => {
            return Err(ApiError::conflict(
                "trial_without_run",
                format!("trial {number} has no run that could continue"),
            )
            .hint("retry it: {\"kind\": \"retry\"}"));
        }
        (_, state) => {
            let message = format!("trial {number} is {} and was not stopped", state.label());
            return Err(ApiError::conflict("trial_not_stopped", message));
        }
    };
    let summary = lab.feed.summary(run).await?;
    run::check(lab, identity, run, Role::Steer).await?;
    if summary.project != sweep.project {
        let message = format!("the run of trial {number} is in another project, where the sweep does not follow it");
        return Err(ApiError::conflict("trial_moved", message)
            .hint("resume the run itself, or move it to the project of the sweep first"));
    }
    let reason = Some(format!("{} resumed trial {number} of sweep {}.", identity.name, sweep.spec.name));
    resume_run(lab, identity, &summary, reason).await?;
    Ok(lab.store().note_resumed_trial(sweep.id, number, &identity.name).await?)
}

/// Resumes the trials that were suspended, for example with the whole lab. One that cannot be resumed now stays suspended.
async fn resume_suspended(lab: &Lab, identity: &Identity, sweep: &Sweep) -> Result<(), ApiError> {
    for record in lab.store().unfinished_trials(sweep.id).await? {
        let Some(run) = &record.trial.run else { continue };
        let Some(summary) = lab.store().summary(run).await? else { continue };
        if summary.state == RunState::Suspended
            && summary.project == sweep.project
            && record.stop_as.is_none()
            && let Err(error) = resume_run(lab, identity, &summary, None).await
        {
            tracing::info!("{run} of sweep {} could not be resumed: {error}", sweep.id);
        }
    }
    Ok(())
}

/// Resumes the run of a trial. The run may have been moved to a project that the sender may not steer.
async fn resume_run(
    lab: &Lab,
    identity: &Identity,
    summary: &RunSummary,
    reason: Option<String>,
) -> Result<(), ApiError> {
    run::check(lab, identity, &summary.id, Role::Steer).await?;
    commands::carry_out(lab, summary, author(identity), Command::Resume { reason }).await.map(drop)
}
