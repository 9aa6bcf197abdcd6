//! Advances research loops from round to round. The state of a loop is in the store alone, so a restarted server continues it. A loop
//! trains nothing by itself: its rounds are sweeps and experiments, whose tasks start the runs.
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

use std::time::Duration;

use store::StoreError;
use wire::Author;
use wire::access::Role;
use wire::research_loop::record::{LoopState, LoopView};

use crate::error::ApiError;
use crate::lab::Lab;

/// Time between two checks of the active loops. Without an active loop, a check is one query.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Advances all loops for as long as the server runs. A failure of one is logged and does not stop the others.
pub async fn serve(lab: Lab) {
    loop {
        match lab.store().active_loops().await {
            Ok(active) => {
                for id in active {
                    // In its own task, so that a panic does not stop the others.
                    let one = lab.clone();
                    match tokio::spawn(async move { advance(&one, id).await }).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::error!("the research loop {id} could not be continued: {error}"),
                        Err(panic) => tracing::error!("the research loop {id} could not be continued: {panic}"),
                    }
                }
            }
            Err(error) => tracing::error!("the research loops could not be read: {error}"),
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Advances a loop: follows its current round, or begins the next one.
///
/// # Errors
/// An error of the store. Nothing is decided then, and the next check tries again.
pub async fn advance(lab: &Lab, id: u64) -> Result<(), ApiError> {
    let Some(standing) = lab.store().loop_standing(id).await? else { return Ok(()) };
    let summary = &standing.view.summary;
    let may_train = standing.grants.in_project(&summary.project).is_some_and(|role| role.includes(Role::Steer));
    if summary.state == LoopState::Running && !may_train {
        let reason = format!("its author may not start runs in the project {} any more", summary.project);
        return pause(lab, id, &reason).await;
    }
    match standing.view.current() {
        Some(round) => follow::follow(lab, &standing, round).await,
        None if summary.state == LoopState::Running => begin::begin(lab, &standing).await,
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
