//! The sweep and the experiment of a round with their runs: read from the store, and paused, resumed and stopped with the loop.

use research::compare::bits_per_byte;
use wire::experiment::record::{ExperimentAction, ExperimentState, ExperimentView, REASON_CHARS, complete_pairs};
use wire::research_loop::record::{LoopRound, ScreenedTrial};
use wire::sweep::command::SweepCommand;
use wire::sweep::record::{Sweep, SweepState, Trial, TrialState};
use wire::{Author, RunId};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::experiments;

/// The author of the commands that a loop sends to its sweeps.
const LOOP: &str = "the research loop";
/// The reason of an experiment that is paused with its loop.
const PAUSED: &str = "its research loop is paused";
/// The reason of an experiment that a person has paused.
const ON_REQUEST: &str = "on request";

/// The sweep and the experiment of a round.
pub(super) struct Trained {
    sweep: Option<(Sweep, Vec<Trial>)>,
    /// Runs of earlier attempts of trials that were retried, with their training time, seconds.
    earlier: Vec<(RunId, f64)>,
    experiment: Option<ExperimentView>,
    /// Training time of all their runs until now, seconds.
    pub(super) device_secs: f64,
}

impl Trained {
    /// Reads the sweep and the experiment of a round.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn read(lab: &Lab, round: &LoopRound) -> Result<Self, ApiError> {
        let mut found = Self { sweep: None, earlier: vec![], experiment: None, device_secs: 0.0 };
        if let Some(id) = round.sweep
            && let Some(sweep) = lab.store().sweep(id).await?
        {
            let trials = lab.store().trials(id, None).await?;
            for trial in &trials {
                found.device_secs += secs(lab, trial).await?;
            }
            if trials.iter().any(|trial| trial.attempt > 1) {
                found.earlier = lab.store().earlier_attempts(id).await?;
                found.device_secs += found.earlier.iter().map(|(_, secs)| secs).sum::<f64>();
            }
            found.sweep = Some((sweep, trials));
        }
        if let Some(id) = round.experiment {
            found.experiment = lab.store().experiment(id).await?;
        }
        if let Some(view) = &found.experiment {
            found.device_secs += view.device_secs();
            for run in view.runs.iter().filter(|run| run.is_open()) {
                found.device_secs += lab.store().summary(&run.run).await?.map_or(0.0, |summary| summary.elapsed_secs);
            }
        }
        Ok(found)
    }

    /// Whether no run of the sweep or the experiment trains or waits, and none follows. Deleted ones have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.sweep_has_ended()
            && self.experiment.as_ref().is_none_or(|view| {
                let is_over = matches!(view.summary.state, ExperimentState::Decided | ExperimentState::Stopped);
                is_over && !view.runs.iter().any(|run| run.is_open())
            })
    }

    /// Whether all trials of the sweep have ended.
    pub(super) fn sweep_has_ended(&self) -> bool {
        self.sweep.as_ref().is_none_or(|(sweep, _)| {
            sweep.ended_ms.is_some() && matches!(sweep.state, SweepState::Finished | SweepState::Stopped)
        })
    }

    /// Why the sweep or the experiment cannot continue by itself.
    pub(super) fn failure(&self) -> Option<String> {
        let of_sweep = self.sweep.as_ref().and_then(|(sweep, _)| {
            let message = sweep.message.clone()?;
            (sweep.state == SweepState::Paused).then_some(message)
        });
        let of_experiment = self.experiment.as_ref().and_then(|view| {
            let reason = view.summary.reason.clone()?;
            let is_own = reason == PAUSED || reason == ON_REQUEST;
            (view.summary.state == ExperimentState::Paused && !is_own).then_some(reason)
        });
        of_sweep.or(of_experiment)
    }

    /// The test of the round, or the confirmation, if there is one.
    pub(super) fn experiment(&self) -> Option<&ExperimentView> {
        self.experiment.as_ref()
    }

    /// The results of the pairs of the experiment, [without, with] the change.
    pub(super) fn pairs(&self) -> Vec<[f64; 2]> {
        let runs = self.experiment.as_ref().map(|view| view.runs.as_slice()).unwrap_or_default();
        complete_pairs(runs).into_iter().map(|(without, with)| [without, with]).collect()
    }

    /// The results of the trials of the sweep, in their order, and the training time of earlier attempts after them.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn screened(&self, lab: &Lab, round: &LoopRound) -> Result<Vec<ScreenedTrial>, ApiError> {
        let mut found = vec![];
        let Some((sweep, trials)) = &self.sweep else { return Ok(found) };
        for trial in trials {
            let value = match &round.proposal {
                Some(proposal) => trial.point.values.get(&proposal.parameter).cloned(),
                None => None,
            };
            found.push(ScreenedTrial {
                value,
                seed: trial.point.seed.or(sweep.spec.base.seed).unwrap_or_default(),
                run: trial.run.clone(),
                loss: loss(lab, trial).await?,
                device_secs: secs(lab, trial).await?,
            });
        }
        let seed = sweep.spec.base.seed.unwrap_or_default();
        let earlier = |(run, device_secs): &(RunId, f64)| ScreenedTrial {
            value: None,
            seed,
            run: Some(run.clone()),
            loss: None,
            device_secs: *device_secs,
        };
        found.extend(self.earlier.iter().map(earlier));
        Ok(found)
    }

    /// Pauses the sweep or the experiment. The runs that train continue.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn pause(&self, lab: &Lab) -> Result<(), ApiError> {
        self.command_sweep(lab, &[SweepState::Running], SweepCommand::Pause).await;
        if let Some(view) = self.experiment.as_ref().filter(|view| view.summary.state == ExperimentState::Running) {
            lab.store().pause_experiment(view.summary.id, &Author::System, PAUSED).await?;
        }
        Ok(())
    }

    /// Resumes the sweep or the experiment if it is paused and can continue.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn resume(&self, lab: &Lab) -> Result<(), ApiError> {
        self.command_sweep(lab, &[SweepState::Paused], SweepCommand::Resume).await;
        if let Some(view) = self.experiment.as_ref().filter(|view| view.summary.state == ExperimentState::Paused) {
            lab.store().resume_experiment(view.summary.id, &Author::System).await?;
            lab.feed.wake_queue();
        }
        Ok(())
    }

    /// Stops the sweep and the experiment if they have not ended, with their runs. The next check repeats it if necessary.
    pub(super) async fn stop(&self, lab: &Lab, reason: &str) {
        self.command_sweep(lab, &[SweepState::Running, SweepState::Paused], SweepCommand::Stop).await;
        let open = [ExperimentState::Running, ExperimentState::Paused];
        if let Some(view) = self.experiment.as_ref().filter(|view| open.contains(&view.summary.state)) {
            let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARS).collect();
            let (id, action) = (view.summary.id, ExperimentAction::Stop { reason });
            if let Err(error) = experiments::change(lab, id, Author::System, action).await {
                tracing::info!("the experiment {id} of a research loop could not be stopped now: {error}");
            }
        }
    }

    /// Sends a command to the sweep if it has one of these states. A person may command it at the same time.
    async fn command_sweep(&self, lab: &Lab, states: &[SweepState], command: SweepCommand) {
        let Some((sweep, _)) = self.sweep.as_ref().filter(|(sweep, _)| states.contains(&sweep.state)) else { return };
        match lab.store().command_sweep(sweep.id, sweep.revision, command, LOOP, None).await {
            Ok(_) => lab.feed.hub.trials.wake(sweep.id),
            Err(error) => tracing::info!("sweep {} of a research loop was not commanded: {error}", sweep.id),
        }
    }
}

async fn secs(lab: &Lab, trial: &Trial) -> Result<f64, ApiError> {
    let Some(run) = &trial.run else { return Ok(0.0) };
    Ok(lab.store().summary(run).await?.map_or(0.0, |summary| summary.elapsed_secs))
}

/// The last validation loss of a trial that trained all its steps, bits/byte.
async fn loss(lab: &Lab, trial: &Trial) -> Result<Option<f64>, ApiError> {
    let (Some(run), Some(nats), TrialState::Finished) = (&trial.run, trial.last, trial.state) else { return Ok(None) };
    let Some(view) = lab.store().run(run).await? else { return Ok(None) };
    let bits = view.references.bytes_per_token.map(|bytes| bits_per_byte(nats, bytes));
    Ok(bits.filter(|bits| bits.is_finite()))
}
