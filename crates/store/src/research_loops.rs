//! Research loops. A round and the sweep or experiment that trains it are created in one transaction, and a round is decided once, so a server
//! that is killed in between continues the loop after a restart.

use wire::Author;
use wire::access::{Grants, Role, Visible};
use wire::research_loop::record::{
    LoopDecision, LoopEvent, LoopHints, LoopProposal, LoopRound, LoopState, LoopSummary, LoopVeto, LoopView, RoundKind,
    RoundOutcome, current,
};

use crate::access::{check_project, creator_grants};
use crate::clock::now_ms;
use crate::database::research_loops::{self, LoopEventPart, LoopRow, open_round};
use crate::database::{Change, Connection, commit};
use crate::error::StoreError;
use crate::new_experiment::NewExperiment;
use crate::new_loop::{NewLoop, NewRoundRuns};
use crate::store::Store;

/// Maximum number of loops of a lab that are running or paused.
const MAX_OPEN: u64 = 50;
/// Events of its journal that a loop is read with.
const NEWEST_EVENTS: u32 = 100;

/// What the next action of a loop depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopStanding {
    pub summary: LoopSummary,
    /// All rounds in their order.
    pub rounds: Vec<LoopRound>,
    pub person: Option<i64>,
    pub token: Option<i64>,
    /// The current grants of its creator.
    pub grants: Grants,
}

impl LoopStanding {
    /// The round without a decision.
    pub fn current(&self) -> Option<&LoopRound> {
        current(&self.rounds)
    }
}

impl Store {
    /// Creates a loop, which is running and has no rounds.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`], [`StoreError::TooManyLoops`].
    pub async fn create_loop(&self, new: &NewLoop) -> Result<LoopView, StoreError> {
        let (mut transaction, now_ms) = (self.database().write().await?, now_ms());
        check_project(&mut transaction, &new.project).await?;
        if research_loops::count_open(&mut transaction).await? >= MAX_OPEN {
            return Err(StoreError::TooManyLoops { most: MAX_OPEN });
        }
        let id = research_loops::insert(&mut transaction, new, now_ms).await?;
        let paths: Vec<&str> = new.goal.parameters.keys().map(String::as_str).collect();
        let text = format!("created: {}", paths.join(", "));
        research_loops::add_event(&mut transaction, id, now_ms, &new.author, &text).await?;
        committed(transaction, id).await
    }

    /// A loop with its rounds and its newest events; `None` for an unknown one.
    pub async fn research_loop(&self, id: u64) -> Result<Option<LoopView>, StoreError> {
        let mut connection = self.database().snapshot().await?;
        let Some(row) = research_loops::get(&mut connection, id).await? else { return Ok(None) };
        view_of(&mut connection, row).await.map(Some)
    }

    /// Events of the journal of a loop, in order.
    pub async fn loop_events(&self, id: u64, part: LoopEventPart) -> Result<Vec<LoopEvent>, StoreError> {
        research_loops::events(&mut *self.database().read().await?, id, part).await
    }

    /// The project of a loop; `None` for an unknown one.
    pub async fn project_of_loop(&self, id: u64) -> Result<Option<String>, StoreError> {
        research_loops::project(&mut *self.database().read().await?, id).await
    }

    /// The newest loops that may be seen, newest first, at most `limit`.
    pub async fn research_loops(&self, visible: &Visible, limit: u32) -> Result<Vec<LoopSummary>, StoreError> {
        research_loops::list(&mut *self.database().read().await?, visible, limit).await
    }

    /// The loops that are running or have a round that is not decided, oldest first.
    pub async fn active_loops(&self) -> Result<Vec<u64>, StoreError> {
        research_loops::active(&mut *self.database().read().await?).await
    }

    /// What the next action of a loop depends on; `None` for an unknown one. `decided` are its first rounds, all decided, which do not
    /// change: only the rounds after them are read.
    pub async fn loop_standing(&self, id: u64, decided: Vec<LoopRound>) -> Result<Option<LoopStanding>, StoreError> {
        let mut connection = self.database().snapshot().await?;
        let Some(row) = research_loops::get(&mut connection, id).await? else { return Ok(None) };
        let LoopRow { summary, person, token } = row;
        let grants = creator_grants(&mut connection, person, token, Role::Steer).await?;
        let mut rounds = decided;
        let after = rounds.last().map_or(0, |round| round.number);
        rounds.append(&mut research_loops::rounds(&mut connection, id, after).await?);
        Ok(Some(LoopStanding { summary, rounds, person, token, grants }))
    }

    /// Begins a round: adds it with the sweep or the experiment that trains it, and returns it with their id. Returns `None`, and nothing
    /// changes, if the loop is no longer running, or has a round with this number or one that is not decided.
    ///
    /// # Errors
    /// [`StoreError::UnknownLoop`], [`StoreError::TooManySweeps`], [`StoreError::TooManyExperiments`].
    pub async fn begin_round(
        &self,
        id: u64,
        round: &LoopRound,
        runs: &NewRoundRuns,
    ) -> Result<Option<LoopRound>, StoreError> {
        let mut transaction = self.database().write().await?;
        let before = known(&mut transaction, id).await?.summary;
        if before.state != LoopState::Running {
            return Ok(None);
        }
        let mut round = round.clone();
        train(&mut transaction, &mut round, runs).await?;
        if !research_loops::insert_round(&mut transaction, id, &round).await? {
            return Ok(None);
        }
        let text = match &round.proposal {
            Some(proposal) => format!("round {}: {}. {}", round.number, round.phrase(), proposal.reason),
            None => format!("round {}: {}", round.number, round.phrase()),
        };
        let author = round.proposal.as_ref().map_or(Author::System, |proposal| proposal.author.clone());
        research_loops::add_event(&mut transaction, id, now_ms(), &author, &text).await?;
        // The round of a suggested value leaves the proposal of an agent for the next one.
        if before.queued.is_some() && before.queued == round.proposal {
            research_loops::set_queued(&mut transaction, id, None).await?;
        }
        set_reason(&mut transaction, id, None).await?;
        commit(transaction).await?;
        Ok(Some(round))
    }

    /// Stores the results of the screening trials of a round, and adds the experiment that tests the promoted value. Returns the
    /// round with its id; `None`, and nothing changes, if the loop is no longer running, or the round has an experiment, a veto or a decision.
    ///
    /// # Errors
    /// [`StoreError::UnknownLoop`], [`StoreError::TooManyExperiments`].
    pub async fn promote_round(
        &self,
        id: u64,
        round: &LoopRound,
        test: NewExperiment,
    ) -> Result<Option<LoopRound>, StoreError> {
        let mut transaction = self.database().write().await?;
        let row = known(&mut transaction, id).await?;
        let stored = open_round(&mut transaction, id, round.number).await?;
        let is_open = stored.is_some_and(|stored| stored.experiment.is_none() && stored.veto.is_none());
        if row.summary.state != LoopState::Running || !is_open {
            return Ok(None);
        }
        let mut round = round.clone();
        train(&mut transaction, &mut round, &NewRoundRuns::Experiment(test)).await?;
        research_loops::set_round(&mut transaction, id, &round).await?;
        let value = round.promoted.as_ref().map(|promoted| promoted.value.to_string()).unwrap_or_default();
        let text = format!("round {}: {value} is tested with full-length runs", round.number);
        research_loops::add_event(&mut transaction, id, now_ms(), &Author::System, &text).await?;
        commit(transaction).await?;
        Ok(Some(round))
    }

    /// Stores the training time of a round that is not decided, seconds.
    pub async fn set_round_secs(&self, id: u64, number: u32, device_secs: f64) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if let Some(mut round) = open_round(&mut transaction, id, number).await? {
            round.device_secs = device_secs;
            research_loops::set_round(&mut transaction, id, &round).await?;
            commit(transaction).await?;
        }
        Ok(())
    }

    /// Decides a round: stores it with its results. Returns false, and nothing changes, if it is decided already, or was vetoed and the decision
    /// is another one: a veto that was accepted counts.
    pub async fn decide_round(&self, id: u64, round: &LoopRound, decision: LoopDecision) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let Some(stored) = open_round(&mut transaction, id, round.number).await? else { return Ok(false) };
        if stored.veto.is_some() && decision.outcome != RoundOutcome::Vetoed {
            return Ok(false);
        }
        let text = format!("round {}: {}. {}", round.number, decision.outcome.word(), decision.sentence);
        let round = LoopRound { veto: stored.veto, decision: Some(decision), ..round.clone() };
        research_loops::set_round(&mut transaction, id, &round).await?;
        research_loops::add_event(&mut transaction, id, now_ms(), &Author::System, &text).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Vetoes the round with a number. Returns false, and nothing changes, if it is decided or vetoed, or is not a change.
    pub async fn veto_round(&self, id: u64, number: u32, veto: LoopVeto) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let stored = open_round(&mut transaction, id, number).await?;
        let Some(mut round) = stored.filter(|round| round.veto.is_none() && round.kind == RoundKind::Change) else {
            return Ok(false);
        };
        let text = format!("round {number} vetoed: {}", veto.reason);
        research_loops::add_event(&mut transaction, id, now_ms(), &veto.author, &text).await?;
        round.veto = Some(veto);
        research_loops::set_round(&mut transaction, id, &round).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Changes the hints of a loop that has not ended, and adds a line to its journal if they differ. Returns false if it has ended.
    ///
    /// # Errors
    /// [`StoreError::UnknownLoop`].
    pub async fn change_loop_hints(
        &self,
        id: u64,
        author: &Author,
        text: &str,
        change: impl FnOnce(&mut LoopHints),
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let LoopSummary { state, hints: before, .. } = known(&mut transaction, id).await?.summary;
        if state.is_over() {
            return Ok(false);
        }
        let mut hints = before.clone();
        change(&mut hints);
        if hints == before {
            return Ok(true);
        }
        research_loops::set_hints(&mut transaction, id, &hints).await?;
        research_loops::add_event(&mut transaction, id, now_ms(), author, text).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Stores a proposal for the next round. Returns false, and nothing changes, if there is one already, or the loop has ended.
    ///
    /// # Errors
    /// [`StoreError::UnknownLoop`].
    pub async fn queue_proposal(&self, id: u64, proposal: &LoopProposal) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let summary = known(&mut transaction, id).await?.summary;
        if summary.state.is_over() || summary.queued.is_some() {
            return Ok(false);
        }
        research_loops::set_queued(&mut transaction, id, Some(proposal)).await?;
        let values: Vec<String> = proposal.values.iter().map(ToString::to_string).collect();
        let text = format!("proposed for the next round: {} = {}", proposal.parameter, values.join(", "));
        research_loops::add_event(&mut transaction, id, now_ms(), &proposal.author, &text).await?;
        commit(transaction).await?;
        Ok(true)
    }

    /// Removes a proposal that cannot begin any more, and says why in the journal. Nothing changes if another one or none waits.
    ///
    /// # Errors
    /// [`StoreError::UnknownLoop`].
    pub async fn drop_proposal(&self, id: u64, proposal: &LoopProposal, why: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if known(&mut transaction, id).await?.summary.queued.as_ref() == Some(proposal) {
            research_loops::drop_queued(&mut transaction, id, proposal, why, now_ms()).await?;
            commit(transaction).await?;
        }
        Ok(())
    }

    /// Changes the state of a loop, with the reason. Returns false, and nothing changes, if its state is none of `from`.
    pub async fn move_loop(
        &self,
        id: u64,
        from: &[LoopState],
        to: LoopState,
        author: &Author,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let (mut transaction, now_ms) = (self.database().write().await?, now_ms());
        let ended_ms = to.is_over().then_some(now_ms);
        for state in from {
            if research_loops::set_state(&mut transaction, id, *state, to, reason, ended_ms).await? {
                let text = reason.map_or_else(|| to.word().to_owned(), |reason| format!("{}: {reason}", to.word()));
                research_loops::add_event(&mut transaction, id, now_ms, author, &text).await?;
                commit(transaction).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores what a running loop waits for; `None` when it no longer waits.
    pub async fn set_loop_reason(&self, id: u64, reason: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        set_reason(&mut transaction, id, reason).await?;
        commit(transaction).await
    }
}

/// Creates what trains a round, and puts its id into the round.
async fn train(transaction: &mut Change, round: &mut LoopRound, runs: &NewRoundRuns) -> Result<(), StoreError> {
    match runs {
        NewRoundRuns::Sweep(new) => round.sweep = Some(crate::sweeps::create_in(transaction, new).await?.id),
        NewRoundRuns::Experiment(new) => {
            round.experiment = Some(crate::experiments::create_in(transaction, new).await?)
        }
    }
    Ok(())
}

async fn known(connection: &mut Connection, id: u64) -> Result<LoopRow, StoreError> {
    research_loops::get(connection, id).await?.ok_or(StoreError::UnknownLoop { id })
}

async fn set_reason(connection: &mut Connection, id: u64, reason: Option<&str>) -> Result<(), StoreError> {
    research_loops::set_state(connection, id, LoopState::Running, LoopState::Running, reason, None).await?;
    Ok(())
}

async fn committed(mut transaction: Change, id: u64) -> Result<LoopView, StoreError> {
    let row = known(&mut transaction, id).await?;
    let view = view_of(&mut transaction, row).await?;
    commit(transaction).await?;
    Ok(view)
}

async fn view_of(connection: &mut Connection, row: LoopRow) -> Result<LoopView, StoreError> {
    let id = row.summary.id;
    let rounds = research_loops::rounds(connection, id, 0).await?;
    let newest = LoopEventPart { limit: NEWEST_EVENTS, ..LoopEventPart::default() };
    let events = research_loops::events(connection, id, newest).await?;
    Ok(LoopView { summary: row.summary, rounds, events })
}
