//! Follows the current round of a loop: pauses, resumes and stops its sweep or experiment with the loop, and decides the round when they have
//! ended.

use research::research_loop::{decided, noise_floor, screen, specs};
use store::LoopStanding;
use wire::experiment::record::{ExperimentState, Verdict};
use wire::number::{brief, counted};
use wire::research_loop::UNIT;
use wire::research_loop::record::{LoopDecision, LoopRound, LoopState, RoundKind, RoundOutcome, used_secs};

use super::begin::{experiment, wait, wake};
use super::trained::Trained;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

const SECS_PER_HOUR: f64 = 3600.0;
/// Smallest change of the training time that is stored, seconds.
const NEW_SECS: f64 = 1.0;

/// A round that is being followed.
struct Followed<'a> {
    lab: &'a Lab,
    standing: &'a LoopStanding,
    /// The rounds before it.
    earlier: &'a [LoopRound],
    /// The round with the results that are known now.
    round: LoopRound,
    trained: Trained,
}

/// Advances a round that is not decided.
///
/// # Errors
/// An error of the store.
pub(super) async fn follow(lab: &Lab, standing: &LoopStanding, round: &LoopRound) -> Result<(), ApiError> {
    let trained = Trained::read(lab, round).await?;
    let summary = &standing.summary;
    // A run that was deleted or trained again has used its time of the budget nevertheless.
    let device_secs = trained.device_secs.max(round.device_secs);
    if device_secs - round.device_secs >= NEW_SECS {
        lab.store().set_round_secs(summary.id, round.number, device_secs).await?;
    }
    let earlier = &standing.rounds[..standing.rounds.len() - 1];
    let round = LoopRound { device_secs, ..round.clone() };
    let followed = Followed { lab, standing, earlier, round, trained };
    if let Some(veto) = &followed.round.veto {
        let sentence = format!("{} vetoed it: {}", veto.author.name(), veto.reason);
        return followed.stop(RoundOutcome::Vetoed, sentence).await;
    }
    match summary.state {
        LoopState::Stopped | LoopState::Finished => {
            followed.stop(RoundOutcome::Failed, "The loop was stopped.".to_owned()).await
        }
        LoopState::Paused => followed.trained.pause(lab).await,
        LoopState::Running => followed.run().await,
    }
}

impl Followed<'_> {
    /// Advances a round of a running loop.
    async fn run(self) -> Result<(), ApiError> {
        if let Some(why) = self.trained.failure() {
            return self.stop(RoundOutcome::Failed, format!("It could not continue: {why}")).await;
        }
        self.trained.resume(self.lab).await?;
        match self.round.experiment {
            Some(_) => self.tested().await,
            None if self.trained.sweep_has_ended() => self.screened().await,
            None if self.is_over_budget() => {
                // The results of the finished trials count.
                self.trained.stop(self.lab, "the budget of the loop is used").await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn is_over_budget(&self) -> bool {
        let budget = self.standing.summary.goal.budget.device_hours * SECS_PER_HOUR;
        used_secs(self.earlier) + self.round.device_secs >= budget
    }

    /// Stops the sweep and the experiment of the round, and decides it once their runs have ended.
    async fn stop(self, outcome: RoundOutcome, sentence: String) -> Result<(), ApiError> {
        if !self.trained.has_ended() {
            self.trained.stop(self.lab, &sentence).await;
            return Ok(());
        }
        let screened = match self.round.screened.as_slice() {
            [] => self.trained.screened(self.lab, &self.round).await?,
            known => known.to_vec(),
        };
        let pairs = self.trained.pairs();
        Followed { round: LoopRound { screened, pairs, ..self.round.clone() }, ..self }
            .decide(outcome, None, sentence)
            .await
    }

    /// Decides by the results of the sweep: tests the promising value, or ends the round.
    async fn screened(mut self) -> Result<(), ApiError> {
        self.round.screened = self.trained.screened(self.lab, &self.round).await?;
        if self.round.kind == RoundKind::NoiseFloor {
            return self.measured().await;
        }
        match screen(&self.standing.summary, self.earlier, &self.round) {
            Ok(promoted) => {
                let spec = specs::test(&self.standing.summary, self.earlier, &self.round, &promoted);
                let test = experiment(self.standing, &self.round, spec);
                self.round.promoted = Some(promoted);
                self.promote(test).await
            }
            Err((outcome, sentence)) => self.decide(outcome, None, sentence).await,
        }
    }

    async fn promote(self, test: store::NewExperiment) -> Result<(), ApiError> {
        match self.lab.store().promote_round(self.standing.summary.id, &self.round, test).await {
            Ok(Some(begun)) => wake(self.lab, &begun),
            Ok(None) => {}
            // The lab has too many experiments: the next check tries again.
            Err(error) => {
                let error = ApiError::from(error);
                if error.status.is_server_error() {
                    return Err(error);
                }
                return wait(self.lab, self.standing, &error.to_string()).await;
            }
        }
        Ok(())
    }

    async fn measured(self) -> Result<(), ApiError> {
        let losses: Vec<f64> = self.round.screened.iter().filter_map(|trial| trial.loss).collect();
        let runs = counted(losses.len() as u64, "run");
        let (outcome, sentence) = match noise_floor(std::slice::from_ref(&self.round)) {
            Some(sigma) => {
                let steps = self.standing.summary.start.short_steps;
                let sigma = brief(sigma);
                let sentence = format!(
                    "The losses of {runs} of the default recipe after {steps} steps have a standard deviation of {sigma} {UNIT}."
                );
                (RoundOutcome::Measured, sentence)
            }
            None => {
                let sentence =
                    format!("At least 2 runs of the default recipe need a validation loss; it is known for {runs}.");
                (RoundOutcome::Failed, sentence)
            }
        };
        self.decide(outcome, None, sentence).await
    }

    /// Decides by the result of the experiment, if it has ended.
    async fn tested(mut self) -> Result<(), ApiError> {
        let Some(view) = self.trained.experiment() else {
            return self.decide(RoundOutcome::Failed, None, "Its experiment was deleted.".to_owned()).await;
        };
        match (&view.summary.verdict, view.summary.state) {
            (Some(verdict), _) => {
                let verdict = verdict.clone();
                self.round.pairs = self.trained.pairs();
                let (outcome, sentence) = decided(&self.round, &verdict);
                self.decide(outcome, Some(verdict), sentence).await
            }
            (None, ExperimentState::Stopped) => {
                let reason = view.summary.reason.clone().unwrap_or_default();
                self.stop(RoundOutcome::Failed, format!("Its experiment was stopped: {reason}")).await
            }
            (None, _) => Ok(()),
        }
    }

    async fn decide(self, outcome: RoundOutcome, verdict: Option<Verdict>, sentence: String) -> Result<(), ApiError> {
        let decision = LoopDecision { outcome, verdict, sentence, at_ms: now_ms() };
        self.lab.store().decide_round(self.standing.summary.id, &self.round, decision).await?;
        self.lab.feed.lab_changed();
        Ok(())
    }
}
