//! Sweeps: created, listed, commanded, paused by the server, and finished; and the decisions about them. Their trials are in `trials`.
//!
//! Each command and each change of the state counts the revision of the sweep. A command names the revision for which it was meant, so of two
//! people who change a sweep at the same time, the second gets an error.

use wire::PlanError;
use wire::access::{Role, Visible};
use wire::number::grouped;
use wire::sweep::command::SweepCommand;
use wire::sweep::record::{DecisionKind, Sweep, SweepDecision, SweepState};
use wire::sweep::spec::{MAX_TRIALS, SweepSpec};
use wire::sweep::stopping::StoppingRule;

use crate::access::{Creator, check_project, creator_grants};
use crate::clock::now_ms;
use crate::database::{self, Change, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;
use crate::sweep_records::{NewDecision, NewSweep, SERVER};

/// Most sweeps of a lab that run or are paused.
const MAX_UNFINISHED: u64 = 500;
/// Most sweeps and decisions of one answer.
const MAX_LISTED: u32 = 1_000;

impl Store {
    /// Creates a running sweep without trials.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`], [`StoreError::TooManySweeps`].
    pub async fn create_sweep(&self, new: &NewSweep) -> Result<Sweep, StoreError> {
        let mut transaction = self.database().write().await?;
        let sweep = create_in(&mut transaction, new).await?;
        commit(transaction).await?;
        Ok(sweep)
    }

    /// A sweep; `None` for an unknown one.
    pub async fn sweep(&self, id: i64) -> Result<Option<Sweep>, StoreError> {
        database::sweeps::get(&mut *self.database().read().await?, id).await
    }

    /// The newest sweeps that may be seen with ids below `before`, newest first, at most `limit`.
    pub async fn sweeps(&self, visible: &Visible, before: Option<i64>, limit: u32) -> Result<Vec<Sweep>, StoreError> {
        database::sweeps::list(&mut *self.database().read().await?, visible, before, limit.min(MAX_LISTED)).await
    }

    /// The project of a sweep; `None` for an unknown one.
    pub async fn project_of_sweep(&self, id: i64) -> Result<Option<String>, StoreError> {
        let owner = database::sweeps::owner(&mut *self.database().read().await?, id).await?;
        Ok(owner.map(|owner| owner.project))
    }

    /// The sweeps that run or have trials that have not ended.
    pub async fn active_sweeps(&self) -> Result<Vec<i64>, StoreError> {
        database::sweeps::active(&mut *self.database().read().await?).await
    }

    /// The decisions about a sweep after a number, oldest first, at most `limit`.
    pub async fn sweep_decisions(&self, id: i64, after: u64, limit: u32) -> Result<Vec<SweepDecision>, StoreError> {
        database::sweeps::decisions(&mut *self.database().read().await?, id, after, limit.min(MAX_LISTED)).await
    }

    /// Carries out a command of a person about the whole sweep, and journals it. The trials that a stop ends are to be stopped afterwards. A
    /// sweep that is resumed or extended trains with the rights of `owner` from then on, if it is given.
    ///
    /// # Errors
    /// [`StoreError::UnknownSweep`]; [`StoreError::SweepChanged`] if the revision is not the current one; [`StoreError::SweepState`] if the state
    /// does not allow it; [`StoreError::InvalidQuery`] for more trials than a sweep may have, and for a threshold out of range.
    pub async fn command_sweep(
        &self,
        id: i64,
        revision: u64,
        command: SweepCommand,
        by: &str,
        owner: Option<Creator<'_>>,
    ) -> Result<Sweep, StoreError> {
        let mut transaction = self.database().write().await?;
        let before = at_revision(&mut transaction, id, revision).await?;
        let (state, trials, sentence) = carried_out(&before, command, by)?;
        let (message, ended_ms) = match command {
            SweepCommand::SetStopping { .. } => (before.message.as_deref(), before.ended_ms),
            _ => (None, (state == SweepState::Stopped && before.counts.unfinished() == 0).then(now_ms)),
        };
        database::sweeps::change(&mut transaction, id, state, message, trials, ended_ms).await?;
        if let SweepCommand::SetStopping { stopping } = command {
            let spec = SweepSpec { stopping, ..before.spec.clone() };
            database::sweeps::set_spec(&mut transaction, id, &spec).await?;
            database::trials::read_again(&mut transaction, id).await?;
        }
        let continues = matches!(command, SweepCommand::Resume | SweepCommand::Extend { .. });
        if let Some(owner) = owner.filter(|_| continues) {
            database::sweeps::set_owner(&mut transaction, id, owner.name, owner.person, owner.token).await?;
        }
        if state == SweepState::Stopped {
            let changed = database::sweeps::count_change(&mut transaction, id).await?;
            database::trials::stop_all(&mut transaction, id, &format!("{by} stopped the sweep."), changed).await?;
        }
        let decision = NewDecision::about_sweep(DecisionKind::Command, by, sentence);
        database::sweeps::decide(&mut transaction, id, None, &decision, now_ms()).await?;
        let after = sweep_in(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(after)
    }

    /// Pauses a running sweep, because it cannot continue by itself; `why` is a sentence. Returns whether it was running with this revision.
    pub async fn pause_sweep(&self, id: i64, revision: u64, why: &str) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let is_paused = pause_in(&mut transaction, id, revision, why).await?;
        commit(transaction).await?;
        Ok(is_paused)
    }

    /// Stores why the next trial of a running sweep waits, as a sentence. Returns whether that is new.
    pub async fn set_sweep_message(&self, id: i64, message: Option<&str>) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let is_new = database::sweeps::set_message(&mut transaction, id, message).await?;
        commit(transaction).await?;
        Ok(is_new)
    }

    /// The sampler of a running sweep has no further point: the sweep plans the trials that it has.
    pub async fn exhaust_sweep(&self, id: i64, revision: u64) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let Some(sweep) = database::sweeps::get(&mut transaction, id).await? else { return Ok(()) };
        if sweep.revision == revision && sweep.state == SweepState::Running {
            let message = "The sampler has no further point.";
            let created = sweep.counts.created();
            database::sweeps::change(&mut transaction, id, sweep.state, Some(message), created, None).await?;
            commit(transaction).await?;
        }
        Ok(())
    }

    /// Ends a sweep whose trials have all ended. Returns whether it ended.
    pub async fn finish_sweep(&self, id: i64) -> Result<bool, StoreError> {
        // Most calls find nothing to do, and do not wait for the lock of the database.
        if self.sweep(id).await?.as_ref().and_then(end_state).is_none() {
            return Ok(false);
        }
        let mut transaction = self.database().write().await?;
        let Some(sweep) = database::sweeps::get(&mut transaction, id).await? else { return Ok(false) };
        let Some(state) = end_state(&sweep) else { return Ok(false) };
        let message = sweep.message.as_deref();
        database::sweeps::change(&mut transaction, id, state, message, sweep.trials, Some(now_ms())).await?;
        commit(transaction).await?;
        Ok(true)
    }
}

/// As [`Store::create_sweep`], inside a transaction.
pub(crate) async fn create_in(connection: &mut Connection, new: &NewSweep) -> Result<Sweep, StoreError> {
    check_project(connection, &new.project).await?;
    let unfinished = database::sweeps::unfinished(connection).await?;
    if unfinished >= MAX_UNFINISHED {
        return Err(StoreError::TooManySweeps { unfinished });
    }
    let id = database::sweeps::insert(connection, new).await?;
    sweep_in(connection, id).await
}

/// The state in which a sweep ends now; `None` while a trial is to end or to begin, and for a sweep that has ended.
fn end_state(sweep: &Sweep) -> Option<SweepState> {
    match sweep.state {
        _ if sweep.counts.unfinished() > 0 || sweep.ended_ms.is_some() => None,
        SweepState::Stopped => Some(SweepState::Stopped),
        _ if sweep.counts.created() < sweep.trials => None,
        _ => Some(SweepState::Finished),
    }
}

/// State, planned trials and sentence after a command.
fn carried_out(sweep: &Sweep, command: SweepCommand, by: &str) -> Result<(SweepState, u64, String), StoreError> {
    let refused = |to: &'static str| Err(StoreError::SweepState { id: sweep.id, state: sweep.state, to });
    let trials = sweep.trials;
    match (command, sweep.state) {
        (SweepCommand::Pause, SweepState::Running) => {
            Ok((SweepState::Paused, trials, format!("{by} paused the sweep.")))
        }
        (SweepCommand::Pause, _) => refused("paused"),
        (SweepCommand::Resume, SweepState::Running | SweepState::Paused) => {
            Ok((SweepState::Running, trials, format!("{by} resumed the sweep.")))
        }
        (SweepCommand::Resume, _) => refused("resumed"),
        (SweepCommand::Stop, SweepState::Running | SweepState::Paused) => {
            Ok((SweepState::Stopped, trials, format!("{by} stopped the sweep.")))
        }
        (SweepCommand::Stop, _) => refused("stopped"),
        (SweepCommand::Extend { .. }, SweepState::Stopped) => refused("extended"),
        (SweepCommand::Extend { trials: more }, state) => {
            let trials = extended(trials, more)?;
            let state = if state == SweepState::Finished { SweepState::Running } else { state };
            Ok((state, trials, format!("{by} extended the sweep by {} trials.", grouped(more))))
        }
        (SweepCommand::SetStopping { .. }, SweepState::Stopped) => refused("given another stopping rule"),
        (SweepCommand::SetStopping { stopping }, state) => {
            stopping.as_ref().map_or(Ok(()), StoppingRule::check).map_err(|error| StoreError::InvalidQuery {
                source: PlanError { field: format!("command.stopping.{}", error.field), ..error },
            })?;
            Ok((state, trials, rule_changed(by, sweep.spec.stopping, stopping)))
        }
        (SweepCommand::Retry { .. }, _) => refused("changed by a command to one of its trials"),
        (SweepCommand::ResumeTrial { .. }, _) => refused("changed by a command to one of its trials"),
    }
}

/// The change of a stopping rule, in a sentence.
fn rule_changed(by: &str, old: Option<StoppingRule>, new: Option<StoppingRule>) -> String {
    let label = |rule: Option<StoppingRule>| rule.map_or_else(|| "none".to_owned(), |rule| rule.label());
    format!("{by} changed the stopping rule from {} to {}.", label(old), label(new))
}

fn extended(trials: u64, more: u64) -> Result<u64, StoreError> {
    let left = MAX_TRIALS.saturating_sub(trials);
    if (1..=left).contains(&more) {
        return Ok(trials + more);
    }
    let message = format!("a sweep of {} trials cannot be extended by {}", grouped(trials), grouped(more));
    let hint = match left {
        0 => format!("start another sweep: {} trials are the maximum", grouped(MAX_TRIALS)),
        left => format!("enter 1 to {}", grouped(left)),
    };
    Err(StoreError::InvalidQuery { source: PlanError::new("command.trials", message).hint(hint) })
}

/// Pauses a sweep by the server, inside a transaction.
pub(crate) async fn pause_in(transaction: &mut Change, id: i64, revision: u64, why: &str) -> Result<bool, StoreError> {
    let Some(sweep) = database::sweeps::get(transaction, id).await? else { return Ok(false) };
    if sweep.revision != revision || sweep.state != SweepState::Running {
        return Ok(false);
    }
    database::sweeps::change(transaction, id, SweepState::Paused, Some(why), sweep.trials, None).await?;
    let decision = NewDecision::about_sweep(DecisionKind::Paused, SERVER, why.to_owned());
    database::sweeps::decide(transaction, id, None, &decision, now_ms()).await?;
    Ok(true)
}

/// A sweep, inside a transaction.
pub(crate) async fn sweep_in(connection: &mut Connection, id: i64) -> Result<Sweep, StoreError> {
    database::sweeps::get(connection, id).await?.ok_or(StoreError::UnknownSweep { id })
}

/// A sweep that has this revision, inside a transaction.
pub(crate) async fn at_revision(connection: &mut Connection, id: i64, revision: u64) -> Result<Sweep, StoreError> {
    let sweep = sweep_in(connection, id).await?;
    match sweep.revision == revision {
        true => Ok(sweep),
        false => Err(StoreError::SweepChanged { id, revision, current: sweep.revision }),
    }
}

/// Whether the creator of a sweep may still train in its project.
pub(crate) async fn may_train(connection: &mut Connection, id: i64) -> Result<bool, StoreError> {
    let Some(owner) = database::sweeps::owner(connection, id).await? else { return Ok(false) };
    let grants = creator_grants(connection, owner.person, owner.token, Role::Steer).await?;
    Ok(grants.in_project(&owner.project).is_some_and(|role| role.includes(Role::Steer)))
}
