//! Experiments. All that follows one decision is one transaction: the runs of a pair with their record, a result, the verdict. A server that is
//! killed in between reads where the experiment stands and goes on: each run has a unique pair, side and attempt, and only an experiment that is
//! running gets runs, results that were stored stay, and a verdict is stored once.

use wire::access::{Grants, Role, Visible};
use wire::experiment::record::{ExperimentRun, ExperimentState, ExperimentSummary, ExperimentView, Verdict};
use wire::{Author, Event, RunId, RunSummary};

use crate::access::{check_project, creator_grants};
use crate::agents::count_for;
use crate::clock::now_ms;
use crate::database::experiments::{self, ExperimentRow};
use crate::database::{self, Change, Connection, commit};
use crate::error::StoreError;
use crate::new_experiment::{NewExperiment, NewExperimentRun};
use crate::store::Store;

/// Experiments of a lab that are running or paused.
const MAX_OPEN: u64 = 200;

/// What decides about the next run of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentStanding {
    pub view: ExperimentView,
    pub first_seed: u64,
    /// Runs of one side of the present pair that may be started, failed ones included.
    pub attempts: u32,
    /// Those of its creator at this moment.
    pub grants: Grants,
}

impl Store {
    /// Creates an experiment, which is running and has no runs.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`], [`StoreError::TooManyExperiments`].
    pub async fn create_experiment(&self, new: &NewExperiment) -> Result<ExperimentView, StoreError> {
        let mut transaction = self.database().write().await?;
        let id = create_in(&mut transaction, new).await?;
        self.committed(transaction, id).await
    }

    /// An experiment in full; `None` for an unknown one.
    pub async fn experiment(&self, id: u64) -> Result<Option<ExperimentView>, StoreError> {
        let mut connection = self.database().read().await?;
        match experiments::get(&mut connection, id).await? {
            Some(row) => view_of(&mut connection, row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The project of an experiment; `None` for an unknown one.
    pub async fn project_of_experiment(&self, id: u64) -> Result<Option<String>, StoreError> {
        experiments::project(&mut *self.database().read().await?, id).await
    }

    /// The newest experiments that may be seen, newest first, at most `limit`.
    pub async fn experiments(&self, visible: &Visible, limit: u32) -> Result<Vec<ExperimentSummary>, StoreError> {
        experiments::list(&mut *self.database().read().await?, visible, limit).await
    }

    /// The experiments that are running or have runs that were not settled, oldest first.
    pub async fn active_experiments(&self) -> Result<Vec<u64>, StoreError> {
        experiments::active(&mut *self.database().read().await?).await
    }

    /// What decides about the next run of an experiment; `None` unless it is running.
    pub async fn experiment_standing(&self, id: u64) -> Result<Option<ExperimentStanding>, StoreError> {
        let mut connection = self.database().snapshot().await?;
        let row = experiments::get(&mut connection, id).await?;
        let Some(row) = row.filter(|row| row.summary.state == ExperimentState::Running) else { return Ok(None) };
        let (first_seed, attempts) = (row.first_seed, row.attempts);
        let grants = creator_grants(&mut connection, row.person, row.token, Role::Steer).await?;
        let view = view_of(&mut connection, row).await?;
        Ok(Some(ExperimentStanding { view, first_seed, attempts, grants }))
    }

    /// Creates runs of an experiment, puts them into the queue and records them. `None`, and nothing changes, if it is not running any more or
    /// has one of them already.
    ///
    /// # Errors
    /// [`StoreError::UnknownExperiment`], [`StoreError::UnknownProject`], [`StoreError::RunExists`].
    pub async fn start_experiment_runs(
        &self,
        id: u64,
        new: &[NewExperimentRun],
    ) -> Result<Option<Vec<RunSummary>>, StoreError> {
        let (mut transaction, now_ms) = (self.database().write().await?, now_ms());
        let ExperimentRow { summary, token, .. } = self.known_experiment(&mut transaction, id).await?;
        if summary.state != ExperimentState::Running {
            return Ok(None);
        }
        let last_pair = experiments::runs(&mut transaction, id).await?.iter().map(|run| run.pair).max().unwrap_or(0);
        if new.iter().any(|run| run.pair > last_pair) {
            experiments::set_attempts(&mut transaction, id, 0).await?;
        }
        let mut created = vec![];
        for one in new {
            if !experiments::insert_run(&mut transaction, id, &record_of(one)).await? {
                return Ok(None);
            }
            created.push(self.create_experiment_run(&mut transaction, &summary, one).await?);
            // The author is the strategy of a research loop: the runs count for the agent that has started the loop.
            if let (Author::Rule(_), Some(token)) = (&one.run.author, token) {
                count_for(&mut transaction, token, &one.run).await?;
            }
            experiments::add_event(&mut transaction, id, now_ms, &Author::System, &started(one)).await?;
        }
        set_reason(&mut transaction, id, None).await?;
        commit(transaction).await?;
        Ok(Some(created))
    }

    async fn create_experiment_run(
        &self,
        transaction: &mut Change,
        experiment: &ExperimentSummary,
        new: &NewExperimentRun,
    ) -> Result<RunSummary, StoreError> {
        let (id, NewExperimentRun { pair, side, run, .. }) = (experiment.id, new);
        self.create_in(transaction, run, None).await?;
        database::run_table::set_tags(transaction, &run.id, &[format!("experiment:{id}")]).await?;
        let (title, side) = (&experiment.spec.title, side.word());
        let text = format!("Run of the experiment {id}, {title:?}: {side} of pair {pair}, seed {}.", run.plan.seed);
        let mut note = run.report(0, None, Event::Annotated { text }, None);
        note.author = Author::System;
        Ok(self.journal(transaction, &run.id, note).await?.1)
    }

    /// Stores what a run of an experiment has given, a value or a failure, and its training time, seconds. Returns whether it had neither.
    pub async fn settle_experiment_run(
        &self,
        run: &RunId,
        result: Result<f64, &str>,
        device_secs: f64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let is_new = settle_in(&mut transaction, run, result, device_secs).await?;
        commit(transaction).await?;
        Ok(is_new)
    }

    /// Stores the verdict of an experiment that is running. Returns false, and nothing changes, for another one.
    pub async fn decide_experiment(&self, id: u64, verdict: &Verdict) -> Result<bool, StoreError> {
        let (mut transaction, now_ms) = (self.database().write().await?, now_ms());
        let (from, to) = (ExperimentState::Running, ExperimentState::Decided);
        if !experiments::set_state(&mut transaction, id, from, to, None, Some(now_ms)).await? {
            return Ok(false);
        }
        experiments::set_verdict(&mut transaction, id, verdict).await?;
        experiments::add_event(&mut transaction, id, now_ms, &Author::System, &verdict.sentence).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Pauses an experiment that is running, with the reason. Returns false, and nothing changes, for another one.
    pub async fn pause_experiment(&self, id: u64, author: &Author, reason: &str) -> Result<bool, StoreError> {
        let (from, to) = (ExperimentState::Running, ExperimentState::Paused);
        self.move_experiment(id, from, to, author, reason).await
    }

    /// Stops an experiment without a verdict, with the reason. Returns false, and nothing changes, for one that has ended.
    pub async fn stop_experiment(&self, id: u64, author: &Author, reason: &str) -> Result<bool, StoreError> {
        for from in [ExperimentState::Running, ExperimentState::Paused] {
            if self.move_experiment(id, from, ExperimentState::Stopped, author, reason).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn move_experiment(
        &self,
        id: u64,
        from: ExperimentState,
        to: ExperimentState,
        author: &Author,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let (mut transaction, now_ms) = (self.database().write().await?, now_ms());
        let ended_ms = (to == ExperimentState::Stopped).then_some(now_ms);
        if !experiments::set_state(&mut transaction, id, from, to, Some(reason), ended_ms).await? {
            return Ok(false);
        }
        let text = format!("{}: {reason}", to.word());
        experiments::add_event(&mut transaction, id, now_ms, author, &text).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Lets a paused experiment go on; a run that failed is started again. Returns false, and nothing changes, for another one.
    pub async fn resume_experiment(&self, id: u64, author: &Author) -> Result<bool, StoreError> {
        let (mut transaction, now_ms) = (self.database().write().await?, now_ms());
        let (from, to) = (ExperimentState::Paused, ExperimentState::Running);
        if !experiments::set_state(&mut transaction, id, from, to, None, None).await? {
            return Ok(false);
        }
        let runs = experiments::runs(&mut transaction, id).await?;
        let pair = runs.iter().map(|run| run.pair).max().unwrap_or(0);
        let failed = runs.iter().filter(|run| run.pair == pair && run.failure.is_some()).map(|run| run.attempt);
        experiments::set_attempts(&mut transaction, id, failed.max().unwrap_or(0)).await?;
        experiments::add_event(&mut transaction, id, now_ms, author, "resumed").await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Says what an experiment that is running waits for; `None` when it waits no more.
    pub async fn set_experiment_reason(&self, id: u64, reason: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        set_reason(&mut transaction, id, reason).await?;
        commit(transaction).await
    }

    async fn known_experiment(&self, connection: &mut Connection, id: u64) -> Result<ExperimentRow, StoreError> {
        experiments::get(connection, id).await?.ok_or(StoreError::UnknownExperiment { id })
    }

    async fn committed(&self, mut transaction: Change, id: u64) -> Result<ExperimentView, StoreError> {
        let row = self.known_experiment(&mut transaction, id).await?;
        let view = view_of(&mut transaction, row).await?;
        commit(transaction).await?;
        Ok(view)
    }
}

/// As [`Store::create_experiment`], inside a transaction. Returns its id.
pub(crate) async fn create_in(connection: &mut Connection, new: &NewExperiment) -> Result<u64, StoreError> {
    let now_ms = now_ms();
    check_project(connection, &new.project).await?;
    if experiments::count_open(connection).await? >= MAX_OPEN {
        return Err(StoreError::TooManyExperiments { most: MAX_OPEN });
    }
    let id = experiments::insert(connection, new, now_ms).await?;
    let text = format!("created: {}", new.spec.change.phrase());
    experiments::add_event(connection, id, now_ms, &new.author, &text).await?;
    Ok(id)
}

/// As [`Store::settle_experiment_run`], inside a transaction.
pub(crate) async fn settle_in(
    connection: &mut Connection,
    run: &RunId,
    result: Result<f64, &str>,
    device_secs: f64,
) -> Result<bool, StoreError> {
    let Some(id) = experiments::settle_run(connection, run, result, device_secs).await? else { return Ok(false) };
    if let Err(failure) = result {
        let text = format!("{run} gave no value: {failure}");
        experiments::add_event(connection, id, now_ms(), &Author::System, &text).await?;
    }
    Ok(true)
}

async fn set_reason(connection: &mut Connection, id: u64, reason: Option<&str>) -> Result<(), StoreError> {
    let state = ExperimentState::Running;
    experiments::set_state(connection, id, state, state, reason, None).await?;
    Ok(())
}

async fn view_of(connection: &mut Connection, row: ExperimentRow) -> Result<ExperimentView, StoreError> {
    let ExperimentRow { summary, baseline, variant, .. } = row;
    let mut runs = experiments::runs(connection, summary.id).await?;
    let open: Vec<RunId> = runs.iter().filter(|run| run.is_open()).map(|run| run.run.clone()).collect();
    for found in database::runs::of(connection, &open).await? {
        let Some(run) = runs.iter_mut().find(|run| run.run == found.id) else { continue };
        run.state = Some(found.state);
        run.progress = found.step as f64 / found.steps.max(1) as f64;
    }
    let events = experiments::events(connection, summary.id).await?;
    Ok(ExperimentView { summary, baseline, variant, runs, events })
}

fn record_of(new: &NewExperimentRun) -> ExperimentRun {
    let NewExperimentRun { pair, side, attempt, run } = new;
    ExperimentRun {
        pair: *pair,
        side: *side,
        attempt: *attempt,
        seed: run.plan.seed,
        run: run.id.clone(),
        value: None,
        failure: None,
        device_secs: None,
        state: None,
        progress: 0.0,
    }
}

fn started(new: &NewExperimentRun) -> String {
    let NewExperimentRun { pair, side, attempt, run } = new;
    let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    format!("pair {pair}, {}, seed {}{again}: {} is queued", side.word(), run.plan.seed, run.id)
}
