//! The trials of sweeps. A trial and its queued run are created in one transaction, so after a kill there are both or neither. What a report
//! changes (the values of a trial, the decision about it, its state) is one transaction too, which drops what it has seen before.

use wire::sweep::record::{DecisionKind, Sweep, SweepState, Trial, TrialState};
use wire::sweep::space::Point;
use wire::sweep::stopping::StoppingRule;
use wire::{Author, RunId, RunState, RunSummary};

use crate::agents::count_for;
use crate::clock::now_ms;
use crate::database::{self, Change, Connection, commit};
use crate::error::StoreError;
use crate::new_run::NewRun;
use crate::store::Store;
use crate::sweep_records::{DecidedTrials, NewDecision, SERVER, TrialRecord, TrialValues};
use crate::sweeps::{at_revision, may_train, pause_in, sweep_in};

/// Points in a row that make no valid run before the sweep is paused.
const MAX_INVALID: u64 = 5;

/// A trial to create.
#[derive(Debug, Clone, Copy)]
pub struct NewTrial<'a> {
    pub sweep: i64,
    /// Revision of the sweep that asked for it.
    pub revision: u64,
    pub number: u64,
    pub point: &'a Point,
    pub run: &'a NewRun,
}

/// What came of the request to create a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialCreation {
    /// The trial and its queued run exist.
    Created(Box<RunSummary>),
    /// The sweep has changed, or has as many trials as it may have now: nothing was created.
    NotNow,
    /// The creator of the sweep may not train in its project any more: the sweep was paused, and nothing was created.
    CreatorLeft,
}

/// What the server has seen of a trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrialChange {
    /// The state of its run from which the rest follows. If the run has another one by now, such as after it was resumed, nothing is changed.
    pub run_state: Option<RunState>,
    /// Newer values.
    pub values: Option<TrialValues>,
    /// Decisions of the stopping rule that let it go on.
    pub continued: Vec<NewDecision>,
    /// A decision to stop it, and the state that it takes then. A trial that rules may not stop is not stopped.
    pub stop: Option<(NewDecision, TrialState)>,
    /// The state of its run, and why it ended.
    pub state: Option<(TrialState, Option<String>)>,
}

impl Store {
    /// The trials of a sweep, or those that changed after a count, by number.
    pub async fn trials(&self, sweep: i64, since: Option<u64>) -> Result<Vec<Trial>, StoreError> {
        let records = self.trial_records(sweep, since).await?;
        Ok(records.into_iter().map(|record| record.trial).collect())
    }

    /// As [`Store::trials`], with what only the server reads.
    pub async fn trial_records(&self, sweep: i64, since: Option<u64>) -> Result<Vec<TrialRecord>, StoreError> {
        database::trials::list(&mut *self.database().read().await?, sweep, since).await
    }

    /// The trials of a sweep that have not ended, by number.
    pub async fn unfinished_trials(&self, sweep: i64) -> Result<Vec<TrialRecord>, StoreError> {
        database::trials::unfinished(&mut *self.database().read().await?, sweep).await
    }

    /// The trials of a sweep whose values are to be read again for a new stopping rule, by number.
    pub async fn unread_trials(&self, sweep: i64) -> Result<Vec<TrialRecord>, StoreError> {
        database::trials::unread(&mut *self.database().read().await?, sweep).await
    }

    /// Stores the values that the stopping rule of the sweep reads of an attempt of a trial, if they were to be read again.
    pub async fn set_kept(
        &self,
        sweep: i64,
        trial: (u64, u32),
        rule: Option<StoppingRule>,
        kept: &[(u64, f64)],
    ) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        // A rule that was changed once more reads other values.
        if sweep_in(&mut transaction, sweep).await?.spec.stopping == rule {
            let changed = database::sweeps::count_change(&mut transaction, sweep).await?;
            database::trials::set_kept(&mut transaction, sweep, trial, kept, changed).await?;
            commit(transaction).await?;
        }
        Ok(())
    }

    /// Which trials of a sweep have ended.
    pub async fn decided_trials(&self, sweep: i64) -> Result<DecidedTrials, StoreError> {
        database::trials::decided(&mut *self.database().read().await?, sweep).await
    }

    /// A trial; `None` for an unknown one.
    pub async fn trial(&self, sweep: i64, number: u64) -> Result<Option<Trial>, StoreError> {
        let found = database::trials::get(&mut *self.database().read().await?, sweep, number).await?;
        Ok(found.map(|record| record.trial))
    }

    /// As [`Store::trial`], with fields that only the server reads.
    pub async fn trial_record(&self, sweep: i64, number: u64) -> Result<Option<TrialRecord>, StoreError> {
        database::trials::get(&mut *self.database().read().await?, sweep, number).await
    }

    /// The runs of earlier attempts of the trials of a sweep that are not deleted for good, with their training time, seconds.
    pub async fn earlier_attempts(&self, sweep: i64) -> Result<Vec<(RunId, f64)>, StoreError> {
        database::trials::earlier_attempts(&mut *self.database().read().await?, sweep).await
    }

    /// Sweep and number of the trial that a run belongs to.
    pub async fn trial_of_run(&self, run: &RunId) -> Result<Option<(i64, u64)>, StoreError> {
        database::trials::of_run(&mut *self.database().read().await?, run).await
    }

    /// Creates the next trial of a running sweep with its queued run, which has the tag of the sweep.
    ///
    /// # Errors
    /// [`StoreError::RunExists`], [`StoreError::UnknownProject`]: nothing was created.
    pub async fn create_trial(&self, new: &NewTrial<'_>) -> Result<TrialCreation, StoreError> {
        let mut transaction = self.database().write().await?;
        let Some(sweep) = database::sweeps::get(&mut transaction, new.sweep).await? else {
            return Ok(TrialCreation::NotNow);
        };
        if !takes_trial(&sweep, new.revision, new.number) {
            return Ok(TrialCreation::NotNow);
        }
        if !may_train(&mut transaction, new.sweep).await? {
            let why = format!("{} may not train in the project {} any more.", sweep.creator, sweep.project);
            pause_in(&mut transaction, new.sweep, new.revision, &why).await?;
            commit(transaction).await?;
            return Ok(TrialCreation::CreatorLeft);
        }
        let summary = self.create_run_of_trial(&mut transaction, new).await?;
        let changed = database::sweeps::count_change(&mut transaction, new.sweep).await?;
        let trial = Trial { run: Some(new.run.id.clone()), ..first_of(new.number, new.point, TrialState::Queued) };
        if !database::trials::insert(&mut transaction, new.sweep, &trial, changed).await? {
            return Ok(TrialCreation::NotNow);
        }
        database::sweeps::set_message(&mut transaction, new.sweep, None).await?;
        commit(transaction).await?;
        Ok(TrialCreation::Created(Box::new(summary)))
    }

    /// Trains a trial that has ended again, as a new run, and journals that. A finished sweep runs again.
    ///
    /// # Errors
    /// Those of [`Store::command_sweep`] and [`Store::create_trial`]; [`StoreError::UnknownTrial`]; [`StoreError::TrialNotOver`].
    pub async fn retry_trial(&self, new: &NewTrial<'_>, by: &str) -> Result<RunSummary, StoreError> {
        let (id, number) = (new.sweep, new.number);
        let mut transaction = self.database().write().await?;
        let sweep = at_revision(&mut transaction, id, new.revision).await?;
        let unknown = StoreError::UnknownTrial { sweep: id, number };
        let trial = database::trials::get(&mut transaction, id, number).await?.ok_or(unknown)?.trial;
        if !trial.state.is_over() {
            return Err(StoreError::TrialNotOver { sweep: id, number, state: trial.state });
        }
        let summary = self.create_run_of_trial(&mut transaction, new).await?;
        continue_finished(&mut transaction, &sweep).await?;
        let changed = database::sweeps::count_change(&mut transaction, id).await?;
        database::trials::begin_again(&mut transaction, id, number, &new.run.id, changed).await?;
        journal(&mut transaction, id, number, by, format!("{by} retried trial {number}.")).await?;
        commit(transaction).await?;
        Ok(summary)
    }

    /// Journals that a person resumed a stopped trial; [`Store::resume_run`] resumes its run.
    pub async fn note_resumed_trial(&self, sweep: i64, number: u64, by: &str) -> Result<Sweep, StoreError> {
        let mut transaction = self.database().write().await?;
        let sentence = format!("{by} resumed trial {number}. Rules do not stop it again.");
        journal(&mut transaction, sweep, number, by, sentence).await?;
        database::sweeps::count_change(&mut transaction, sweep).await?;
        let after = sweep_in(&mut transaction, sweep).await?;
        commit(transaction).await?;
        Ok(after)
    }

    /// The worker of a lost run has reconnected: its trial, which failed with it, continues. Returns the sweep of that trial.
    pub async fn continue_lost_trial(&self, run: &RunId) -> Result<Option<i64>, StoreError> {
        let mut transaction = self.database().write().await?;
        let Some(id) = database::trials::reconnected(&mut transaction, run).await? else { return Ok(None) };
        let sweep = sweep_in(&mut transaction, id).await?;
        continue_finished(&mut transaction, &sweep).await?;
        commit(transaction).await?;
        Ok(Some(id))
    }

    /// Records a point that makes no valid run as a failed trial; `why` is a sentence. After several in a row the sweep is paused.
    pub async fn add_invalid_trial(
        &self,
        sweep: i64,
        revision: u64,
        number: u64,
        point: &Point,
        why: &str,
    ) -> Result<TrialCreation, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::sweeps::get(&mut transaction, sweep).await?;
        if !found.is_some_and(|found| takes_trial(&found, revision, number)) {
            return Ok(TrialCreation::NotNow);
        }
        let changed = database::sweeps::count_change(&mut transaction, sweep).await?;
        let first = first_of(number, point, TrialState::Failed);
        let trial = Trial { reason: Some(why.to_owned()), ended_ms: Some(first.created_ms), ..first };
        database::trials::insert(&mut transaction, sweep, &trial, changed).await?;
        let decision = NewDecision {
            kind: DecisionKind::Invalid,
            by: SERVER.to_owned(),
            trial: Some(number),
            step: Some(0),
            rung: None,
            sentence: why.to_owned(),
            value: None,
            threshold: None,
        };
        database::sweeps::decide(&mut transaction, sweep, Some(1), &decision, trial.created_ms).await?;
        let invalid = database::trials::invalid_in_a_row(&mut transaction, sweep).await?;
        if invalid >= MAX_INVALID {
            let why = format!("{invalid} points in a row made no valid run, the last one for this reason: {why}");
            pause_in(&mut transaction, sweep, revision, &why).await?;
        }
        commit(transaction).await?;
        Ok(TrialCreation::NotNow)
    }

    /// Stores what was seen of an attempt of a trial. Values of steps that are stored are dropped, so are decisions about a trial that has ended,
    /// that is to be stopped already, or that rules may not stop. Returns the trial as it is then; `None`, and nothing changes, if it was begun again
    /// meanwhile, has ended, its run has left the state that was seen, or the stopping rule has changed.
    pub async fn change_trial(
        &self,
        sweep: i64,
        number: u64,
        attempt: u32,
        change: &TrialChange,
    ) -> Result<Option<TrialRecord>, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::trials::get(&mut transaction, sweep, number).await?;
        let Some(before) = found.filter(|found| found.trial.attempt == attempt && !found.trial.state.is_over()) else {
            return Ok(None);
        };
        // Decisions of the old rule no longer count.
        if before.is_unread || !is_current(&mut transaction, &before.trial, change.run_state).await? {
            return Ok(None);
        }
        let changed = database::sweeps::count_change(&mut transaction, sweep).await?;
        let is_newer = |values: &&TrialValues| before.trial.last_step.is_none_or(|step| values.last_step > step);
        if let Some(values) = change.values.as_ref().filter(is_newer) {
            database::trials::set_values(&mut transaction, sweep, number, values, changed).await?;
        }
        let may_stop = before.stop_as.is_none() && !before.trial.is_exempt;
        for decision in change.continued.iter().filter(|_| may_stop) {
            database::sweeps::decide(&mut transaction, sweep, Some(attempt), decision, now_ms()).await?;
        }
        if let Some((decision, stop_as)) = change.stop.as_ref().filter(|_| before.stop_as.is_none()) {
            stop(&mut transaction, sweep, &before.trial, decision, *stop_as, changed).await?;
        }
        if let Some((state, reason)) = &change.state {
            let ended_ms = state.is_over().then(now_ms);
            let reason = reason.as_deref();
            database::trials::set_state(&mut transaction, sweep, number, *state, reason, ended_ms, changed).await?;
        }
        let after = database::trials::get(&mut transaction, sweep, number).await?;
        commit(transaction).await?;
        Ok(after)
    }

    async fn create_run_of_trial(
        &self,
        transaction: &mut Change,
        NewTrial { sweep, run, .. }: &NewTrial<'_>,
    ) -> Result<RunSummary, StoreError> {
        self.create_in(transaction, run, None).await?;
        let owner = database::sweeps::owner(transaction, *sweep).await?;
        if let Some(token) = owner.and_then(|owner| owner.token).filter(|_| run.author == Author::System) {
            count_for(transaction, token, run).await?;
        }
        database::run_table::set_tags(transaction, &run.id, &[format!("sweep:{sweep}")]).await?;
        self.summary_in(transaction, &run.id).await
    }
}

/// Whether the run of a trial has the state that was seen, if one is given.
async fn is_current(connection: &mut Connection, trial: &Trial, seen: Option<RunState>) -> Result<bool, StoreError> {
    let (Some(seen), Some(run)) = (seen, &trial.run) else { return Ok(true) };
    let found = database::runs::state_and_device(connection, run).await?;
    Ok(found.is_some_and(|(state, _)| state == seen))
}

/// Stores a decision to stop a trial, unless it is stored or rules may not stop the trial. One that diverges again after it was resumed is
/// stopped again, because it would hold its device forever.
async fn stop(
    transaction: &mut Change,
    sweep: i64,
    trial: &Trial,
    decision: &NewDecision,
    stop_as: TrialState,
    changed: i64,
) -> Result<(), StoreError> {
    let has_diverged = decision.kind == DecisionKind::Diverged;
    if trial.is_exempt && !has_diverged {
        return Ok(());
    }
    let is_new = database::sweeps::decide(transaction, sweep, Some(trial.attempt), decision, now_ms()).await?;
    if is_new || has_diverged {
        database::trials::set_stop(transaction, sweep, trial.number, stop_as, &decision.sentence, changed).await?;
    }
    Ok(())
}

/// Whether a sweep takes this trial now. At most one of its trials waits in the queue, so that it keeps out no run of others, and takes no
/// point that nothing can train.
fn takes_trial(sweep: &Sweep, revision: u64, number: u64) -> bool {
    let counts = &sweep.counts;
    sweep.state == SweepState::Running
        && sweep.revision == revision
        && number == counts.created()
        && number < sweep.trials
        && counts.queued == 0
        && counts.unfinished() < u64::from(sweep.spec.at_once)
}

/// The first attempt of a trial, as of now.
fn first_of(number: u64, point: &Point, state: TrialState) -> Trial {
    Trial {
        number,
        point: point.clone(),
        run: None,
        attempt: 1,
        state,
        last: None,
        last_step: None,
        best: None,
        reason: None,
        is_exempt: false,
        created_ms: now_ms(),
        ended_ms: None,
    }
}

/// A finished sweep runs again, because one of its trials does.
async fn continue_finished(transaction: &mut Change, sweep: &Sweep) -> Result<(), StoreError> {
    let state = if sweep.state == SweepState::Finished { SweepState::Running } else { sweep.state };
    let message = sweep.message.as_deref();
    database::sweeps::change(transaction, sweep.id, state, message, sweep.trials, None).await
}

/// The run of a trial was resumed, by whatever surface: the trial continues with it. `had_ended` is whether the run had ended, which the trial
/// may not show yet.
pub(crate) async fn run_resumed(transaction: &mut Change, run: &RunId, had_ended: bool) -> Result<(), StoreError> {
    if let Some(id) = database::trials::resumed(transaction, run, had_ended).await? {
        let sweep = sweep_in(transaction, id).await?;
        continue_finished(transaction, &sweep).await?;
    }
    Ok(())
}

async fn journal(
    transaction: &mut Change,
    sweep: i64,
    number: u64,
    by: &str,
    sentence: String,
) -> Result<(), StoreError> {
    let about = NewDecision::about_sweep(DecisionKind::Command, by, sentence);
    let decision = NewDecision { trial: Some(number), ..about };
    database::sweeps::decide(transaction, sweep, None, &decision, now_ms()).await?;
    Ok(())
}
