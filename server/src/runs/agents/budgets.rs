//! Pauses the runs of agents whose budget of device hours or steps is used up, with the reason in their journals.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use wire::control::author::Author;
use wire::{Command, RunId};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::commands;

/// Time between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Pauses runs for as long as the server runs. A worker may answer late, so each pause has a task of its own.
pub async fn serve(lab: Lab) {
    let (mut pausing, mut tasks): (HashSet<RunId>, JoinSet<RunId>) = (HashSet::new(), JoinSet::new());
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        while let Some(ended) = tasks.try_join_next() {
            match ended {
                Ok(run) => drop(pausing.remove(&run)),
                // The run that it was about is not known.
                Err(_) => pausing.clear(),
            }
        }
        let trained = lab.workers.fleet.processes().into_iter().filter_map(|process| process.run).collect::<Vec<_>>();
        match lab.store().exhausted_agent_runs(&trained).await {
            Ok(exhausted) => {
                for one in exhausted.into_iter().filter(|one| pausing.insert(one.run.clone())) {
                    let lab = lab.clone();
                    tasks.spawn(async move {
                        if let Err(error) = pause(&lab, &one.run, one.reason).await {
                            // It is tried again each second.
                            tracing::debug!("{} of an agent without budget could not be paused: {error}", one.run);
                        }
                        one.run
                    });
                }
            }
            Err(error) => tracing::error!("the budgets of agents could not be read: {error}"),
        }
    }
}

async fn pause(lab: &Lab, run: &RunId, reason: String) -> Result<(), ApiError> {
    let summary = lab.feed.summary(run).await?;
    let command = Command::Pause { reason: Some(reason) };
    commands::carry_out(lab, &summary, Author::System, command).await.map(drop)
}
