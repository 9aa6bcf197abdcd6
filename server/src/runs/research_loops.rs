//! Advances research loops from round to round. The state of a loop is in the store alone, so a restarted server continues it; the task keeps
//! only decided rounds in memory, which do not change. A loop trains nothing by itself: its rounds are sweeps and experiments, whose tasks
//! start the runs.
//!
//! - here: the task that advances all loops; [`create`]: a new one, checked against the lab; [`steer`]: what people and agents do with it;
//! - [`begin`]: the next round; [`follow`]: the current one; [`trained`]: its sweep and its experiment.
//!
//! The decisions are those of `research::research_loop`.

mod begin;
pub mod create;
mod follow;
pub mod steer;
mod trained;

use std::collections::BTreeMap;
use std::mem::take;
use std::time::Duration;

use store::{LoopStanding, StoreError};
use wire::Author;
use wire::access::Role;
use wire::research_loop::record::{LoopRound, LoopState, LoopView};

use crate::error::ApiError;
use crate::lab::Lab;

/// Time between two checks of the active loops. Without an active loop, a check is one query.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Advances all loops for as long as the server runs. A failure of one is logged and does not stop the others.
pub async fn serve(lab: Lab) {
    let mut decided = BTreeMap::new();
    loop {
        match lab.store().active_loops().await {
            Ok(active) => decided = advance_all(&lab, active, decided).await,
            Err(error) => tracing::error!("the research loops could not be read: {error}"),
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Advances the active loops. Returns their decided rounds, which the next check does not read again.
async fn advance_all(
    lab: &Lab,
    active: Vec<u64>,
    mut decided: BTreeMap<u64, Vec<LoopRound>>,
) -> BTreeMap<u64, Vec<LoopRound>> {
    let mut known = BTreeMap::new();
    for id in active {
        // In its own task, so that a panic does not stop the others.
        let (one, mut rounds) = (lab.clone(), decided.remove(&id).unwrap_or_default());
        let step = async move {
            let done = advance_from(&one, id, &mut rounds).await;
            (done, rounds)
        };
        match tokio::spawn(step).await {
            Ok((done, rounds)) => {
                known.insert(id, rounds);
                if let Err(error) = done {
                    tracing::error!("the research loop {id} could not be continued: {error}");
                }
            }
            Err(panic) => tracing::error!("the research loop {id} could not be continued: {panic}"),
        }
    }
    known
}

/// Advances a loop: follows its current round, or begins the next one.
///
/// # Errors
/// An error of the store. Nothing is decided then, and the next check tries again.
pub async fn advance(lab: &Lab, id: u64) -> Result<(), ApiError> {
    advance_from(lab, id, &mut vec![]).await
}

/// As [`advance`]. `decided` are the first rounds of the loop, all decided; then it has those that were decided before this step.
async fn advance_from(lab: &Lab, id: u64, decided: &mut Vec<LoopRound>) -> Result<(), ApiError> {
    let Some(mut standing) = lab.store().loop_standing(id, take(decided)).await? else { return Ok(()) };
    let done = step(lab, &standing).await;
    standing.rounds.retain(|round| round.decision.is_some());
    *decided = standing.rounds;
    done
}

async fn step(lab: &Lab, standing: &LoopStanding) -> Result<(), ApiError> {
    let summary = &standing.summary;
    let may_train = standing.grants.in_project(&summary.project).is_some_and(|role| role.includes(Role::Steer));
    if summary.state == LoopState::Running && !may_train {
        let reason = format!("its author may not start runs in the project {} any more", summary.project);
        return pause(lab, summary.id, &reason).await;
    }
    match standing.current() {
        Some(round) => follow::follow(lab, standing, round).await,
        None if summary.state == LoopState::Running => begin::begin(lab, standing).await,
        None => Ok(()),
    }
}

/// Pauses a running loop, with the reason.
async fn pause(lab: &Lab, id: u64, reason: &str) -> Result<(), ApiError> {
    lab.store().move_loop(id, &[LoopState::Running], LoopState::Paused, &Author::System, Some(reason)).await?;
    Ok(())
}

/// A loop.
///
/// # Errors
/// 404; an error of the store.
pub async fn view(lab: &Lab, id: u64) -> Result<LoopView, ApiError> {
    Ok(lab.store().research_loop(id).await?.ok_or(StoreError::UnknownLoop { id })?)
}
