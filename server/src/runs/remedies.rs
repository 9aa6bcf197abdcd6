//! Remedies of a finding: the changes that its rule names, as commands and runs with the values of the run as it is now. Nothing is sent from
//! here.
//!
//! - `change`: the change of the run that may have caused a finding, and what undoes it.

mod change;
#[cfg(test)]
pub(super) mod tests;

use research::rules::{Remedy as Kind, began, rule};
use store::{Store, StoreError};
use wire::control::checkpoint::CheckpointInfo;
use wire::control::command::ScheduleChange;
use wire::diagnosis::{FindingChange, Health, Remedy, RemedyAction, RunFinding};
use wire::hyperparameters::accumulation::AccumulationSchedule;
use wire::hyperparameters::schedule::curves;
use wire::number::{brief, counted, grouped};
use wire::run::copy::spec_of;
use wire::run::history::History;
use wire::run::spec::Parent;
use wire::task::lab::TaskSchedule;
use wire::{CheckpointId, Command, LivePath, RunId, RunSpec, RunState, RunView};

/// How long a remedy may be looked at before it is applied, seconds: changes of schedules begin after this time.
const LOOKED_AT_SECS: f64 = 30.0;
/// Gradient clipping where it was off.
const USUAL_CLIP: f64 = 1.0;
/// Weight decay where it was off, and the factor where it was on.
const USUAL_DECAY: f64 = 0.1;
const MORE_DECAY: f64 = 3.0;
/// How far the seed of a run that starts again is from the one before. The next seeds are those of runs that measure the noise floor.
const OTHER_SEED: u64 = 1_000;
/// Fraction of the trained steps over which the learning rate decays.
const DECAY_FRACTION: f64 = 0.1;

/// A run as it is now, for the remedies of its findings.
pub struct PresentRun {
    view: RunView,
    history: History,
    /// Checkpoints on its path that are kept, newest first.
    kept: Vec<Kept>,
    /// The tasks on which its checkpoints are scored now.
    tasks: Vec<TaskSchedule>,
}

/// A checkpoint on the path.
struct Kept {
    info: CheckpointInfo,
    /// Number of changes on the path that it includes.
    changes: u32,
}

/// A remedy whose label, if it has none, is that of its kind: label, action, effect, obstacle.
type Prepared = (Option<String>, RemedyAction, String, Option<String>);

impl PresentRun {
    /// Reads a run.
    ///
    /// # Errors
    /// The errors of the store; the run does not exist.
    pub async fn read(store: &Store, run: &RunId) -> Result<Self, StoreError> {
        let view = store.run(run).await?.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
        let history = store.history(run).await?;
        let kept = store.checkpoints(run).await?.into_iter().map(|kept| kept.info).collect();
        let tasks = store.task_schedules(run).await?;
        Ok(Self { kept: on_path(&history, run, kept), history, view, tasks })
    }

    /// The numbers of its findings.
    pub fn health(&self) -> Health {
        self.view.summary.health
    }

    /// The remedies of a finding: what undoes the change before it, then those of its rule in their order. None for a finding of an abandoned
    /// branch.
    pub fn remedies(&self, found: &RunFinding) -> Vec<Remedy> {
        let Some(rule) = rule(&found.finding.rule).filter(|_| !found.is_abandoned) else { return vec![] };
        let change = change::before(&self.history, found);
        // The undone change gives the learning rate that was right; a factor of the wrong one does not.
        let is_rate = change.is_some_and(|change| change.is_of_learning_rate());
        let kinds = rule.remedies.iter().filter(|kind| !(is_rate && is_of_learning_rate(kind)));
        let undone = change.map(|change| self.undo(&change, found)).unwrap_or_default();
        undone.into_iter().chain(kinds.filter_map(|kind| self.remedy(kind, found))).collect()
    }

    /// The newest change of the run that came so shortly before a finding that it may be the cause.
    pub fn change_before(&self, found: &RunFinding) -> Option<FindingChange> {
        change::before(&self.history, found).map(|change| change::described(&change, found.finding.step))
    }

    /// The checkpoint for a rollback because of a finding, the newest before the fault began: before the change that may have caused it, or
    /// else before its window and at least `steps` steps before its step.
    pub fn checkpoint_before(&self, found: &RunFinding, steps: u64) -> Option<CheckpointId> {
        if let Some(change) = change::before(&self.history, found) {
            return self.kept_before(&change);
        }
        let last = began(&found.finding).min(found.finding.step.checked_sub(steps.max(1))?);
        self.kept.iter().map(|kept| kept.info.id).find(|id| id.step <= last)
    }

    /// The newest checkpoint that does not include a change.
    fn kept_before(&self, change: &change::Change) -> Option<CheckpointId> {
        self.kept.iter().find(|kept| kept.changes <= change.place).map(|kept| kept.info.id)
    }

    fn remedy(&self, kind: &Kind, found: &RunFinding) -> Option<Remedy> {
        let (label, action, effect, obstacle) = match *kind {
            Kind::RollBackAndSkip { skip } => self.roll_back(found, skip),
            Kind::ScaleLearningRate { factor } => self.scale_learning_rate(found, factor),
            Kind::FitLearningRate { factor } => {
                let is_large = found.finding.value.is_none_or(|value| value > found.finding.threshold);
                self.scale_learning_rate(found, if is_large { factor.recip() } else { factor })
            }
            Kind::ScaleGradClip { factor } => self.scale_grad_clip(found, factor),
            Kind::ScaleAccumulation { factor } => self.scale_accumulation(found, factor),
            Kind::ScaleDatasetWeight { factor } => self.scale_weight(found, factor)?,
            Kind::DecayLearningRate => self.decay_learning_rate(found),
            Kind::ForkWithQkNorm => self.start_with_qk_norm()?,
            Kind::StartAgain => self.start_again()?,
            Kind::ForkAtLearningRate { factor } => self.fork_at_learning_rate(found, factor)?,
            Kind::ForkFromBest => self.fork_from_best(found),
            Kind::InspectBatch => self.inspect_batch(found),
            Kind::CheckDataset => {
                let effect = "Opens the datasets: check the split, repeated documents and the tokenizer. The run does not change.";
                (None, RemedyAction::Page("/data".to_owned()), effect.to_owned(), None)
            }
            Kind::CheckDevice => {
                let device = &self.view.summary.device;
                let effect = format!(
                    "Opens the history of {device}: temperature, clocks, memory and other programs. The run does not change."
                );
                (None, RemedyAction::Page(format!("/fleet/{device}")), effect, None)
            }
            Kind::Stop => {
                let command = Command::Stop { reason: Some(reason(found)) };
                let effect = "The run saves a checkpoint and ends. It can be resumed or forked from there.".to_owned();
                (None, RemedyAction::Command(command), effect, self.not_trained())
            }
        };
        Some(Remedy { label: label.unwrap_or_else(|| kind.label()), effect, action, obstacle })
    }

    fn roll_back(&self, found: &RunFinding, skip_batches: u64) -> Prepared {
        let Some(checkpoint) = self.checkpoint_before(found, 0) else {
            let obstacle =
                "No checkpoint from before the fault is kept; start a run with a shorter checkpoint interval.";
            let effect = "The run would return to a checkpoint before the fault began.";
            return (None, RemedyAction::Advice, effect.to_owned(), Some(obstacle.to_owned()));
        };
        let label =
            format!("Roll back to step {} and skip {}", grouped(checkpoint.step), counted(skip_batches, "batch"));
        let command = Command::Rollback { checkpoint, skip_batches, reason: Some(reason(found)) };
        let effect = self.rolled_back(checkpoint, skip_batches);
        (Some(label), RemedyAction::Command(command), effect, self.not_trained())
    }

    /// What a rollback does, with the hyperparameters that hold after it.
    fn rolled_back(&self, checkpoint: CheckpointId, skip_batches: u64) -> String {
        let RunView { summary, hyperparameters, .. } = &self.view;
        let after = self.history.hyperparameters_at(checkpoint);
        let values = LivePath::all().filter(|path| path.affects_learning()).filter_map(|path| {
            let (now, then) = (brief(hyperparameters.get(path, summary.step)), brief(after.get(path, checkpoint.step)));
            match now == then {
                true => (path == LivePath::LEARNING_RATE).then(|| format!("its {} {then}", path.row().label_in_text())),
                false => Some(format!("its {} {then} instead of {now}", path.row().label_in_text())),
            }
        });
        let values = values.collect::<Vec<_>>().join(" and ");
        let skip = match skip_batches {
            0 => String::new(),
            1 => " It skips the next batch of the plan.".to_owned(),
            batches => format!(" It skips the next {} batches of the plan.", grouped(batches)),
        };
        let paused = if summary.state == RunState::Paused { " The run stays paused." } else { "" };
        let since = match summary.step.saturating_sub(checkpoint.step) {
            1 => "The step since then becomes".to_owned(),
            steps => format!("The {} steps since then become", grouped(steps)),
        };
        format!(
            "The run returns to the checkpoint of step {}, which restores weights, optimizer state and hyperparameters, and continues with \
             {values}.{skip} {since} an abandoned branch, which stays visible. You can undo this with another rollback.{paused}",
            grouped(checkpoint.step)
        )
    }

    fn scale_learning_rate(&self, found: &RunFinding, factor: f64) -> Prepared {
        let path = LivePath::LEARNING_RATE;
        let before = self.view.hyperparameters.get(path, self.view.summary.step);
        let label = Kind::ScaleLearningRate { factor }.label();
        let effect = format!(
            "The learning rate of the next step is {} instead of {}, and the rest of its schedule is scaled by the same factor.",
            brief(before * factor),
            brief(before)
        );
        self.set((path, before * factor), label, effect, found)
    }

    fn scale_grad_clip(&self, found: &RunFinding, factor: f64) -> Prepared {
        let before = self.view.hyperparameters.optimizer.grad_clip;
        let (after, was) = match before > 0.0 {
            true => (before * factor, format!("instead of {}", brief(before))),
            false => (USUAL_CLIP, "and were not clipped before".to_owned()),
        };
        let label = format!("Clip gradients to norm {}", brief(after));
        let effect = format!("Gradients are clipped to norm {} from the next step on, {was}.", brief(after));
        self.set((LivePath::GRAD_CLIP, after), label, effect, found)
    }

    fn set(&self, (path, value): (LivePath, f64), label: String, effect: String, found: &RunFinding) -> Prepared {
        let command = Command::Set { path, value, reason: Some(reason(found)) };
        (Some(label), RemedyAction::Command(command), effect, self.not_trained().or(out_of_range(path, value)))
    }

    fn scale_accumulation(&self, found: &RunFinding, factor: u64) -> Prepared {
        let from = self.soon();
        let before = self.view.hyperparameters.accumulation.at(from);
        let changes = scaled(&self.view.hyperparameters.accumulation, from, factor);
        let effect = format!(
            "From step {} on, each step accumulates {} instead of {}: its batch is {} times as large, and it takes about {} times as long.{}",
            grouped(from),
            counted(before.saturating_mul(factor), "micro-batch"),
            grouped(before),
            grouped(factor),
            grouped(factor),
            if changes.len() > 1 {
                " Later changes of the accumulation schedule are scaled by the same factor."
            } else {
                ""
            }
        );
        let obstacle = AccumulationSchedule::check(&changes, from).err().map(|error| format!("{}.", error.message));
        let schedule = ScheduleChange::Accumulation { changes };
        let command = Command::SetSchedule { schedule, reason: Some(reason(found)) };
        (None, RemedyAction::Command(command), effect, self.not_trained().or(obstacle))
    }

    /// `None` for a run with one dataset.
    fn scale_weight(&self, found: &RunFinding, factor: f64) -> Option<Prepared> {
        let (mix, dataset) = (&self.view.plan.mix, &found.finding.subject);
        let place = mix.iter().position(|part| part.corpus.as_str() == dataset).filter(|_| mix.len() > 1)?;
        let from = self.soon();
        let mut points = self.view.hyperparameters.mix.rest(from);
        points.iter_mut().filter_map(|point| point.weights.get_mut(place)).for_each(|weight| *weight *= factor);
        let before = self.view.hyperparameters.mix.at(from).get(place).copied()?;
        let label = format!("Multiply the weight of {dataset} in the mix by {}", brief(factor));
        let effect = format!(
            "From step {} on, the fraction of sequences drawn from {dataset} is {} instead of {}; the other datasets get less.",
            grouped(from),
            brief(before * factor / (1.0 + before * (factor - 1.0))),
            brief(before)
        );
        let schedule = ScheduleChange::Mix { points };
        let command = Command::SetSchedule { schedule, reason: Some(reason(found)) };
        Some((Some(label), RemedyAction::Command(command), effect, self.not_trained()))
    }

    fn decay_learning_rate(&self, found: &RunFinding) -> Prepared {
        let schedule = &self.view.hyperparameters.schedule;
        let (from, step) = (self.soon(), self.view.summary.step);
        let over = ((step as f64 * DECAY_FRACTION) as u64).max(1) + from.saturating_sub(step);
        let end = step + over;
        let effect = format!(
            "The learning rate decays linearly from {} to {} at step {}, where the run ends.",
            brief(schedule.learning_rate(step)),
            brief(schedule.final_learning_rate()),
            grouped(end)
        );
        let curve = curves::cooldown(schedule, step, over);
        let schedule = ScheduleChange::LearningRate { curve, steps: Some(end) };
        let command = Command::SetSchedule { schedule, reason: Some(reason(found)) };
        (None, RemedyAction::Command(command), effect, self.not_trained())
    }

    fn start_with_qk_norm(&self) -> Option<Prepared> {
        let plan = &self.view.plan;
        if plan.recipe.model.qk_norm {
            return None;
        }
        let mut spec = self.copy();
        spec.overrides.insert("model.qk_norm".to_owned(), true.into());
        let effect = format!(
            "A new run with normalized queries and keys trains {} from random weights, because its architecture differs; this run \
             continues.",
            counted(plan.steps, "step")
        );
        Some((None, RemedyAction::Run(Box::new(spec)), effect, None))
    }

    fn start_again(&self) -> Option<Prepared> {
        let plan = &self.view.plan;
        if plan.mix.is_empty() {
            return None;
        }
        let seed = plan.seed.wrapping_add(OTHER_SEED) & 0xffff_ffff;
        let effect = format!(
            "A new run with seed {seed} instead of {} trains {} from the start; this run continues.",
            plan.seed,
            counted(plan.steps, "step")
        );
        Some((None, RemedyAction::Run(Box::new(RunSpec { seed: Some(seed), ..self.copy() })), effect, None))
    }

    fn fork_at_learning_rate(&self, found: &RunFinding, factor: f64) -> Option<Prepared> {
        let Some(checkpoint) = self.checkpoint_before(found, 0) else {
            return self.start_at_learning_rate(factor);
        };
        let path = LivePath::LEARNING_RATE;
        let before = self.history.hyperparameters_at(checkpoint).get(path, checkpoint.step);
        let value = before * factor;
        let label =
            format!("Fork from step {} and multiply the learning rate by {}", grouped(checkpoint.step), brief(factor));
        let effect = format!(
            "A fork starts from the checkpoint of step {}, before the fault began. Its learning rate is {} instead of {}, and the rest of the \
             schedule is scaled by the same factor. This run continues.",
            grouped(checkpoint.step),
            brief(value),
            brief(before)
        );
        Some((Some(label), self.fork(checkpoint, path, value, found), effect, out_of_range(path, value)))
    }

    fn start_at_learning_rate(&self, factor: f64) -> Option<Prepared> {
        let (path, plan) = (LivePath::LEARNING_RATE, &self.view.plan);
        if plan.mix.is_empty() {
            return None;
        }
        let before = plan.recipe.optimizer.learning_rate;
        let value = before * factor;
        let mut spec = self.copy();
        spec.overrides.insert(path.row().path.to_owned(), value.into());
        let label = format!("Start a run with {} times the learning rate", brief(factor));
        let effect = format!(
            "No checkpoint from before the fault is kept. A new run trains {} from the start with a peak learning rate of {} instead of {}; \
             this run continues.",
            counted(plan.steps, "step"),
            brief(value),
            brief(before)
        );
        Some((Some(label), RemedyAction::Run(Box::new(spec)), effect, out_of_range(path, value)))
    }

    /// The specification of a run with the same plan and tasks.
    fn copy(&self) -> RunSpec {
        let RunView { summary, plan, .. } = &self.view;
        RunSpec {
            copied_from: Some(summary.id.clone()),
            project: Some(summary.project.clone()),
            tasks: self.tasks.clone(),
            ..spec_of(plan)
        }
    }

    fn fork_from_best(&self, found: &RunFinding) -> Prepared {
        // Later checkpoints keep the loss of the last evaluation before them: the first one with it was saved at that loss.
        let with_loss = self.kept.iter().rev().filter_map(|Kept { info, .. }| Some((info.id, info.loss_valid?)));
        let Some((checkpoint, loss)) = with_loss.min_by(|(_, one), (_, other)| one.total_cmp(other)) else {
            let obstacle = "No checkpoint with a validation loss is kept.".to_owned();
            let effect = "A fork would start from the best checkpoint.".to_owned();
            return (None, RemedyAction::Advice, effect, Some(obstacle));
        };
        let before = self.view.hyperparameters.optimizer.weight_decay;
        let value = if before > 0.0 { before * MORE_DECAY } else { USUAL_DECAY };
        let effect = format!(
            "A fork starts from the checkpoint of step {}, whose last validation loss, {} nats/token, is the lowest of all kept \
             checkpoints, with weight decay {} instead of {}. This run continues.",
            grouped(checkpoint.step),
            brief(loss),
            brief(value),
            brief(before)
        );
        let action = self.fork(checkpoint, LivePath::WEIGHT_DECAY, value, found);
        (None, action, effect, out_of_range(LivePath::WEIGHT_DECAY, value))
    }

    /// A fork from a checkpoint with a changed value.
    fn fork(&self, checkpoint: CheckpointId, path: LivePath, value: f64, found: &RunFinding) -> RemedyAction {
        let parent = Parent {
            run: self.view.summary.id.clone(),
            step: None,
            checkpoint: Some(checkpoint),
            changes: vec![Command::Set { path, value, reason: Some(reason(found)) }],
            refit_schedule: false,
            control_of: None,
        };
        RemedyAction::Run(Box::new(RunSpec { parent: Some(parent), ..RunSpec::default() }))
    }

    fn inspect_batch(&self, found: &RunFinding) -> Prepared {
        let address = format!("/runs/{}/xray?batch={}", self.view.summary.id, found.finding.step);
        let effect = format!(
            "Opens the sequences of the batch with the loss of each token. Look for unusual text in the batch of step {}.",
            grouped(found.finding.step)
        );
        (None, RemedyAction::Page(address), effect, None)
    }

    /// A step that the run has probably not passed when the command arrives.
    fn soon(&self) -> u64 {
        let summary = &self.view.summary;
        let secs = summary.secs_per_step.filter(|secs| *secs > 0.0 && summary.state == RunState::Running);
        summary.step + secs.map_or(0, |secs| (LOOKED_AT_SECS / secs).ceil() as u64 + 1)
    }

    /// Why the run takes no commands now.
    fn not_trained(&self) -> Option<String> {
        let state = self.view.summary.state;
        match state {
            state if state.is_live() => None,
            RunState::Queued => Some("The run is queued; wait until it trains.".to_owned()),
            RunState::Suspended => Some("The run is suspended; resume it first.".to_owned()),
            _ => {
                Some(format!("The run is {}; fork it from a checkpoint instead.", format!("{state:?}").to_lowercase()))
            }
        }
    }
}

/// Whether a remedy multiplies the learning rate.
fn is_of_learning_rate(kind: &Kind) -> bool {
    matches!(kind, Kind::ScaleLearningRate { .. } | Kind::FitLearningRate { .. } | Kind::ForkAtLearningRate { .. })
}

/// Why a value cannot be set, with the range; `None` if it can.
fn out_of_range(path: LivePath, value: f64) -> Option<String> {
    let error = path.check(value).err()?;
    let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(format!("The {} would be {}, which is out of range{hint}.", path.row().label_in_text(), brief(value)))
}

/// The rest of a schedule of gradient accumulation from a step on, each of its values times `factor`.
fn scaled(schedule: &AccumulationSchedule, from: u64, factor: u64) -> Vec<(u64, u64)> {
    schedule.rest(from).into_iter().map(|(step, micro_batches)| (step, micro_batches.saturating_mul(factor))).collect()
}

/// The reason of a command that a finding led to.
pub(crate) fn reason(found: &RunFinding) -> String {
    format!("{} at step {}: {}", found.label, grouped(found.finding.step), found.text)
}

/// The checkpoints on the path, newest first.
fn on_path(history: &History, run: &RunId, kept: Vec<CheckpointInfo>) -> Vec<Kept> {
    let ids: Vec<CheckpointId> = kept.iter().map(|info| info.id).collect();
    let path = history.path_checkpoints(run, &ids);
    let info = |id: CheckpointId| kept.iter().find(|info| info.id == id).cloned();
    path.into_iter()
        .filter_map(|found| Some(Kept { info: info(found.at.checkpoint)?, changes: found.changes }))
        .collect()
}
