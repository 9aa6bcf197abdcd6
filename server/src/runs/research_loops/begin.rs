//! Begins the next round of a loop: the decision of the strategy, and the sweep or the experiment that trains it.

use research::research_loop::{Next, is_tried, next, specs};
use store::{LoopStanding, NewExperiment, NewRoundRuns, NewSweep};
use wire::experiment::ExperimentSpec;
use wire::research_loop::record::{LoopProposal, LoopRound, LoopState, LoopSummary, RoundKind};
use wire::sweep::spec::SweepSpec;
use wire::{Author, RunSpec};

use super::create::new_round;
use super::pause;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

/// Begins the next round, or ends the loop.
///
/// # Errors
/// An error of the store.
pub(super) async fn begin(lab: &Lab, standing: &LoopStanding) -> Result<(), ApiError> {
    let (summary, rounds) = (&standing.summary, &standing.rounds);
    match (next(summary, rounds), &summary.queued) {
        (Next::NoiseFloor, _) => screen(lab, standing, RoundKind::NoiseFloor, None).await,
        (Next::Change(proposal), _) => screen(lab, standing, RoundKind::Change, Some(proposal)).await,
        (Next::AwaitProposal, Some(queued)) => match obstacle(summary, rounds, queued) {
            None => screen(lab, standing, RoundKind::Change, Some(queued.clone())).await,
            Some(why) => Ok(lab.store().drop_proposal(summary.id, queued, &why).await?),
        },
        (Next::AwaitProposal, None) => wait(lab, standing, "it waits for the proposal of an agent").await,
        (Next::Confirm(prediction), _) => {
            let round = round(standing, RoundKind::Confirmation, None);
            let spec = specs::confirmation(summary, rounds, &round, prediction);
            start(lab, standing, &round, NewRoundRuns::Experiment(experiment(standing, &round, spec))).await
        }
        (Next::Finish(reason), _) => {
            let (from, to) = ([LoopState::Running], LoopState::Finished);
            lab.store().move_loop(summary.id, &from, to, &Author::System, Some(&reason)).await?;
            Ok(())
        }
    }
}

/// Why a proposal that waits cannot begin any more: hints and rounds have followed since it was checked.
fn obstacle(summary: &LoopSummary, rounds: &[LoopRound], queued: &LoopProposal) -> Option<String> {
    let path = &queued.parameter;
    if summary.hints.pinned.contains(path) {
        return Some(format!("{path} is pinned"));
    }
    let tried = queued.values.iter().find(|value| is_tried(summary, rounds, path, value))?;
    Some(format!("{path} = {tried} was tried meanwhile"))
}

fn round(standing: &LoopStanding, kind: RoundKind, proposal: Option<LoopProposal>) -> LoopRound {
    let number = standing.rounds.len() as u32 + 1;
    LoopRound { proposal, hints: standing.summary.hints.clone(), ..new_round(number, kind) }
}

/// Begins a round with a sweep. If its specification is not valid, the loop is paused.
async fn screen(
    lab: &Lab,
    standing: &LoopStanding,
    kind: RoundKind,
    proposal: Option<LoopProposal>,
) -> Result<(), ApiError> {
    let (summary, rounds) = (&standing.summary, &standing.rounds);
    let round = round(standing, kind, proposal);
    let spec = specs::sweep(summary, rounds, &round);
    match spec.check().and_then(|space| spec.planned_trials(&space)) {
        Ok(trials) => start(lab, standing, &round, NewRoundRuns::Sweep(sweep(standing, spec, trials))).await,
        Err(error) => pause(lab, summary.id, &format!("round {} has no valid sweep: {error}", round.number)).await,
    }
}

async fn start(lab: &Lab, standing: &LoopStanding, round: &LoopRound, runs: NewRoundRuns) -> Result<(), ApiError> {
    match lab.store().begin_round(standing.summary.id, round, &runs).await {
        Ok(Some(begun)) => wake(lab, &begun),
        Ok(None) => {}
        // The lab has too many sweeps or experiments: the next check tries again.
        Err(error) => {
            let error = ApiError::from(error);
            if error.status.is_server_error() {
                return Err(error);
            }
            return wait(lab, standing, &error.to_string()).await;
        }
    }
    Ok(())
}

/// Wakes the tasks that train a round.
pub(super) fn wake(lab: &Lab, round: &LoopRound) {
    if let Some(sweep) = round.sweep {
        lab.feed.hub.trials.wake(sweep);
    }
    lab.feed.wake_queue();
    lab.feed.lab_changed();
}

pub(super) async fn wait(lab: &Lab, standing: &LoopStanding, reason: &str) -> Result<(), ApiError> {
    let summary = &standing.summary;
    if summary.reason.as_deref() != Some(reason) {
        lab.store().set_loop_reason(summary.id, Some(reason)).await?;
    }
    Ok(())
}

fn sweep(standing: &LoopStanding, spec: SweepSpec, trials: u64) -> NewSweep {
    let summary = &standing.summary;
    NewSweep {
        spec,
        project: summary.project.clone(),
        trials,
        creator: summary.author.name().to_owned(),
        person: standing.person,
        token: standing.token,
        created_ms: now_ms(),
    }
}

/// The experiment of a round. The predictions of the strategy are scored under its name, those of an agent under the agent's.
pub(super) fn experiment(standing: &LoopStanding, round: &LoopRound, spec: ExperimentSpec) -> NewExperiment {
    let summary = &standing.summary;
    let strategy = || Author::Rule(research::research_loop::STRATEGY.to_owned());
    let project = Some(summary.project.clone());
    let baseline = RunSpec { project, seed: None, ..spec.baseline.spec.clone().unwrap_or_default() };
    NewExperiment {
        project: summary.project.clone(),
        author: round.proposal.as_ref().map_or_else(strategy, |proposal| proposal.author.clone()),
        person: standing.person,
        token: standing.token,
        variant: spec.change.applied_to(&baseline),
        baseline,
        first_seed: specs::first_seed(summary, round),
        spec,
    }
}
