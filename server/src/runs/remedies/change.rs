//! The change of a run that may have caused a finding, and what undoes it. Both are computed from the journal when a finding is read.

use research::rules::rule;
use wire::control::command::ScheduleChange;
use wire::control::event::{Event, EventRecord};
use wire::control::live::LiveHyperparameters;
use wire::control::saved_schedule::SavedSchedule;
use wire::diagnosis::{Finding, FindingChange, Level, Remedy, RemedyAction, RunFinding};
use wire::number::{brief, counted, grouped};
use wire::run::history::History;
use wire::{Command, LivePath};

use super::{PresentRun, reason};

/// Steps at which two schedules of the learning rate are compared.
const RATES: u64 = 32;

/// A change on the path of a finding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) record: &'a EventRecord,
    /// Number of changes before it on the path.
    pub(super) place: u32,
}

impl Change<'_> {
    /// Whether it set the learning rate.
    pub(super) fn is_of_learning_rate(&self) -> bool {
        matches!(
            self.record.event,
            Event::Changed { path: LivePath::LEARNING_RATE, .. }
                | Event::ScheduleChanged { new: SavedSchedule::LearningRate { .. }, .. }
        )
    }
}

/// The newest change of the training before a finding, if it came within the steps that the rule states.
pub(super) fn before<'a>(history: &'a History, found: &RunFinding) -> Option<Change<'a>> {
    let Finding { rule: id, step, .. } = &found.finding;
    let onset = rule(id).map_or(0, |rule| rule.onset_steps);
    let path = history.path_of(found.segment);
    let place = path.iter().rposition(|record| record.step <= *step && is_cause(&record.event))?;
    let record = path[place];
    (onset > 0 && step - record.step <= onset).then_some(Change { record, place: place as u32 })
}

/// Whether an event changes what later steps train.
fn is_cause(event: &Event) -> bool {
    match event {
        Event::Changed { path, .. } => path.affects_learning(),
        Event::RolledBack { skip_batches, .. } => *skip_batches > 0,
        event => event.is_change(),
    }
}

/// The change with a sentence: `The learning rate was changed from 1.84e-3 to 0.5 at step 650, 1 step before.`
pub(super) fn described(change: &Change, step: u64) -> FindingChange {
    let EventRecord { number, step: at, event, .. } = change.record;
    let distance = match step.saturating_sub(*at) {
        0 => "directly before".to_owned(),
        steps => format!("{} before", counted(steps, "step")),
    };
    let text = match event {
        Event::RolledBack { checkpoint, skip_batches, .. } => format!(
            "The run was rolled back to step {} and skipped {}, {distance}.",
            grouped(checkpoint.step),
            counted(*skip_batches, "batch")
        ),
        event => format!("{} at step {}, {distance}.", what_changed(event), grouped(*at)),
    };
    FindingChange { event: *number, step: *at, text }
}

fn what_changed(event: &Event) -> String {
    match event {
        Event::Changed { path, old, new } => {
            format!("The {} was changed from {} to {}", path.row().label_in_text(), brief(*old), brief(*new))
        }
        Event::ScheduleChanged { new, .. } => format!("The {} was changed", schedule_name(new)),
        _ => "The weights were edited".to_owned(),
    }
}

fn schedule_name(schedule: &SavedSchedule) -> &'static str {
    match schedule {
        SavedSchedule::LearningRate { .. } => "learning-rate schedule",
        SavedSchedule::Mix(_) => "dataset mix",
        SavedSchedule::Accumulation(_) => "schedule of gradient accumulation",
    }
}

/// What steps from `from` on are trained with. Learning rates are compared at [`RATES`] steps until the end of the run: equal ones can come
/// from different overrides of the schedule.
fn trained_with(live: &LiveHyperparameters, from: u64) -> impl PartialEq + use<> {
    let ahead = live.steps.saturating_sub(from);
    let rates: Vec<f64> = (0..RATES).map(|n| live.get(LivePath::LEARNING_RATE, from + n * ahead / RATES)).collect();
    let schedules = (live.mix.rest(from), live.accumulation.rest(from), live.steps);
    (rates, schedules, live.optimizer.clone(), live.intervals.clone())
}

impl PresentRun {
    /// What undoes a change: the return to the checkpoint before it, and the inverse change. An alert means that the weights have suffered,
    /// so it begins with the checkpoint.
    pub(super) fn undo(&self, change: &Change, found: &RunFinding) -> Vec<Remedy> {
        let mut remedies: Vec<Remedy> =
            [self.return_before(change, found), self.inverse(change, found)].into_iter().flatten().collect();
        if found.finding.level == Level::Note {
            remedies.reverse();
        }
        remedies
    }

    fn return_before(&self, change: &Change, found: &RunFinding) -> Option<Remedy> {
        let checkpoint = self.kept_before(change)?;
        let command = Command::Rollback { checkpoint, skip_batches: 0, reason: Some(reason(found)) };
        Some(Remedy {
            label: format!("Roll back to step {}, before the change", grouped(checkpoint.step)),
            effect: self.rolled_back(checkpoint, 0),
            action: RemedyAction::Command(command),
            obstacle: self.not_trained(),
        })
    }

    fn inverse(&self, change: &Change, found: &RunFinding) -> Option<Remedy> {
        let from = self.soon();
        let command = self.history.inverse(change.record.number, from, reason(found))?;
        if self.is_undone(change.record, &command, from) {
            return None;
        }
        Some(Remedy {
            label: self.inverse_label(&command, &change.record.event),
            effect: format!(
                "From the next step on, the run trains as before the change at step {}. Its weights stay as they are now.",
                grouped(change.record.step)
            ),
            action: RemedyAction::Command(command),
            obstacle: self.not_trained(),
        })
    }

    /// Whether the run already trains as it would after the inverse of a change.
    fn is_undone(&self, change: &EventRecord, inverse: &Command, from: u64) -> bool {
        if let Command::EditWeights { interventions: factors, .. } = inverse {
            let is_inverse = |later: &&EventRecord| match &later.event {
                Event::WeightsEdited { interventions } => later.number > change.number && interventions == factors,
                _ => false,
            };
            return self.history.path().iter().any(is_inverse);
        }
        // The points of a mix and of an accumulation begin at `from`, which a short run may not reach; the others apply at once.
        let at = match inverse {
            Command::SetSchedule {
                schedule: ScheduleChange::Mix { .. } | ScheduleChange::Accumulation { .. }, ..
            } => from,
            _ => self.view.summary.step,
        };
        let after = self.after(inverse, at);
        after.is_some_and(|after| trained_with(&after, at) == trained_with(&self.view.hyperparameters, at))
    }

    /// The hyperparameters after a command at a step; `None` for one that the run would refuse.
    fn after(&self, command: &Command, step: u64) -> Option<LiveHyperparameters> {
        let mut after = self.view.hyperparameters.clone();
        let event = after.change(command, step).ok()??;
        after.apply(&event, step);
        Some(after)
    }

    /// `Return to the earlier learning-rate schedule (1.84e-3 at step 600)`, `Set the weight decay back to 0.1`. The value is that of the
    /// current step: the schedule has other values at the step of the change and at the step at which the command arrives.
    fn inverse_label(&self, command: &Command, event: &Event) -> String {
        let step = self.view.summary.step;
        let after = self.after(command, step);
        let value = |path: LivePath| brief(after.as_ref().unwrap_or(&self.view.hyperparameters).get(path, step));
        match event {
            Event::Changed { path: LivePath::LEARNING_RATE, .. }
            | Event::ScheduleChanged { new: SavedSchedule::LearningRate { .. }, .. } => format!(
                "Return to the earlier learning-rate schedule ({} at step {})",
                value(LivePath::LEARNING_RATE),
                grouped(step)
            ),
            Event::Changed { path, .. } => format!("Set the {} back to {}", path.row().label_in_text(), value(*path)),
            Event::ScheduleChanged { new, .. } => format!("Restore the {}", schedule_name(new)),
            _ => "Revert the weight edit".to_owned(),
        }
    }
}
