//! The state that the panels of the Run page share: the open run, the range in view, the open drawer. Commands are sent
//! by [`super::command`].

use figure::number;
use leptos::prelude::*;
use wire::control::checkpoint::{CheckpointInfo, CheckpointView};
use wire::series::Axis;
use wire::{CheckpointId, Event, EventRecord, LiveHyperparameters, LivePath, RunId, RunState, RunSummary};

use super::finding_marks::FindingMarks;
use super::open_run::OpenRun;
use super::phrases::{author, cause, learning_rates, phrase};
use super::schedule_draft::ScheduleDraft;
use super::viewport::Viewport;
use crate::components::chart::{ChartGroup, MarkerText, Range};
use crate::components::{isolated, run_name};
use crate::net::api::ApiFailure;
use crate::net::live::Live;
use crate::session::Session;

/// Display options of the charts of the Run page.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ChartOptions {
    /// The shared x axis.
    pub(super) axis: Axis,
    /// Whether the loss axis is logarithmic.
    pub(super) is_log: bool,
    /// Whether the loss is shown in bits per byte.
    pub(super) in_bits: bool,
    /// Whether a running mean is drawn over the training loss, which is then faint.
    pub(super) is_smooth: bool,
    /// Whether the loss axis leaves out the highest 1 % of the values, which are then marked at its edge.
    pub(super) clips_spikes: bool,
}

/// The form that is open below the controls; one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawer {
    Hyperparameter(LivePath),
    /// The list of the hyperparameters that can change.
    Hyperparameters,
    /// Intervals of evaluations, samples and checkpoints.
    Intervals,
    /// Weights of the datasets.
    Mix,
    /// Gradient accumulation.
    Accumulation,
    Fork,
    Rollback,
    /// The ways to undo the last change.
    Undo,
    /// Prompt and temperature of a sample.
    Sample,
    Note,
}

/// The answer to the last command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// No command was sent.
    None,
    /// The command was sent; its answer has not arrived.
    Waiting(String),
    /// The command was applied, and at which step.
    Applied(String),
    /// The run entered a state, and at which step. Not shown once it has left that state.
    Transition { what: String, state: RunState },
    /// The run trains steps from a step on and pauses again.
    Stepping { from: u64, steps: u64 },
    /// The command was refused or failed: why, and what to do.
    Refused(String),
}

/// The state that all panels share.
#[derive(Clone, Copy)]
pub(super) struct RunContext {
    pub(super) run: RwSignal<OpenRun>,
    pub(super) summary: Memo<RunSummary>,
    pub(super) state: Memo<RunState>,
    /// Its hyperparameters at the current step.
    pub(super) hyperparameters: Memo<LiveHyperparameters>,
    /// Names of the runs that it was forked from, oldest first.
    pub(super) ancestors: Memo<Vec<String>>,
    /// Number of journal lines: changes when one arrives.
    pub(super) lines: Memo<usize>,
    /// Changes with everything that charts show.
    pub(super) version: Memo<u64>,
    /// The range in view.
    pub(super) viewport: RwSignal<Viewport>,
    /// Options of the charts of the page.
    pub(super) options: RwSignal<ChartOptions>,
    /// The position on the x axis at which all charts show their values.
    pub(super) crosshair: RwSignal<Option<f64>>,
    /// The selected journal line.
    pub(super) picked: RwSignal<Option<u64>>,
    /// What the charts and the health line show of findings.
    pub(super) findings: FindingMarks,
    /// The step that was pressed on a chart: its batch can be opened.
    pub(super) pressed: RwSignal<Option<u64>>,
    /// The open form.
    pub(super) drawer: RwSignal<Option<Drawer>>,
    /// The answer to the last command.
    pub(super) answer: RwSignal<Answer>,
    /// Reason why the controls are disabled; `None` if they are enabled.
    pub(super) disabled_reason: Memo<Option<String>>,
    /// Reason why the signed-in user cannot steer runs; `None` if they can. A run that has ended can still be forked
    /// by users who can.
    pub(super) no_permission: Memo<Option<String>>,
    /// Reason why the signed-in user cannot create runs in the project of the run: forks and control runs. A share link permits none.
    pub(super) no_fork: Memo<Option<String>>,
    /// The checkpoints, newest first; `None` until they are fetched.
    pub(super) checkpoints: RwSignal<Option<Result<Vec<CheckpointView>, ApiFailure>>>,
    /// The checkpoint that is selected for a rollback or a fork.
    pub(super) chosen: RwSignal<Option<CheckpointId>>,
    /// The learning-rate schedule that is being edited.
    pub(super) draft: RwSignal<Option<ScheduleDraft>>,
    /// Whether the charts of the metrics for diagnosis are open.
    pub(super) has_more_charts: RwSignal<bool>,
}

impl RunContext {
    /// The context of a run, with the permissions of the session.
    pub(super) fn new(run: OpenRun) -> Self {
        let (session, live) = (expect_context::<Session>(), expect_context::<Live>());
        let is_queued = run.view.summary.state == RunState::Queued;
        let run = RwSignal::new(run);
        let state = Memo::new(move |_| run.read().view.summary.state);
        let viewport = RwSignal::new(if is_queued { Viewport::Plan } else { Viewport::Whole });
        // A queued run shows its plan; once it starts, what it has recorded.
        Effect::new(move |was: Option<RunState>| {
            if was == Some(RunState::Queued) && state.get() != RunState::Queued {
                viewport.set(Viewport::Whole);
            }
            state.get()
        });
        let project = Memo::new(move |_| run.read().view.summary.project.clone());
        let id = run.with_untracked(|run| run.view.summary.id.clone());
        let no_permission =
            Memo::new(move |_| (!session.can_steer_run(&id, &project.read())).then(|| NO_PERMISSION.to_owned()));
        Self {
            run,
            summary: Memo::new(move |_| run.read().view.summary.clone()),
            state,
            hyperparameters: Memo::new(move |_| run.read().view.hyperparameters.clone()),
            ancestors: Memo::new(move |_| {
                run.read().curves.lineage().parents.iter().map(|parent| run_name(live, parent)).collect()
            }),
            lines: Memo::new(move |_| run.read().events.len()),
            version: Memo::new(move |_| run.read().version),
            viewport,
            options: RwSignal::new(ChartOptions::default()),
            crosshair: RwSignal::new(None),
            picked: RwSignal::new(None),
            findings: FindingMarks::new(),
            pressed: RwSignal::new(None),
            drawer: RwSignal::new(None),
            answer: RwSignal::new(Answer::None),
            disabled_reason: Memo::new(move |_| no_permission.get().or_else(|| not_running(state.get()))),
            no_permission,
            no_fork: Memo::new(move |_| (!session.can_steer_in(&project.read())).then(|| NO_FORK.to_owned())),
            checkpoints: RwSignal::new(None),
            chosen: RwSignal::new(None),
            draft: RwSignal::new(None),
            has_more_charts: RwSignal::new(false),
        }
    }

    /// The group of the charts of this page.
    pub(super) fn chart_group(self) -> ChartGroup {
        let show = move |range: Option<Range>| match range {
            Some(range) => self.show(range),
            None => self.viewport.set(Viewport::Whole),
        };
        let press = move |(place, marker): (f64, Option<u64>)| {
            let is_step = self.options.read_untracked().axis == Axis::Step && place >= 0.0;
            self.pressed.set(is_step.then(|| place.round() as u64));
            match marker.map(|number| (number, FindingMarks::finding_of(number))) {
                Some((_, Some(finding))) => self.findings.show(finding),
                Some((number, None)) => self.picked.set(Some(number)),
                None => {}
            }
        };
        let describe = move |number: u64| {
            if let Some(finding) = FindingMarks::finding_of(number) {
                return self.findings.describe(finding);
            }
            let record = self.run.read_untracked().events.get(&number).cloned()?;
            let origin = format!("step {} · {}", number::whole(record.step), author(&record.author, None));
            Some(MarkerText { phrase: self.phrase(&record), origin, reason: record.reason.as_deref().map(isolated) })
        };
        ChartGroup {
            crosshair: self.crosshair,
            show: Callback::new(show),
            press: Callback::new(press),
            describe: Callback::new(describe),
        }
    }

    /// Tracks everything that the content of a chart depends on.
    pub(super) fn track_charts(self) {
        let _ = (self.version.get(), self.viewport.get(), self.options.get());
        self.findings.marks.track();
        // Read the memo, because `track` does not run a memo that was never read.
        let _ = (self.hyperparameters.read().optimizer.grad_clip, self.ancestors.get());
    }

    /// An event in a short text, with the present name of the parent.
    pub(super) fn phrase(self, record: &EventRecord) -> String {
        match (&record.event, self.ancestors.read().last()) {
            (Event::Forked { from }, Some(parent)) => {
                format!("forked from {parent} at step {}", number::whole(from.checkpoint.step))
            }
            // The step, which the id contains, is written beside it.
            (Event::Checkpointed { checkpoint }, _) => format!("checkpoint saved ({})", self.cause(checkpoint)),
            (event, _) => self.phrase_of(event, record.step),
        }
    }

    /// Why a checkpoint was saved: `before a change`.
    pub(super) fn cause(self, checkpoint: &CheckpointInfo) -> &'static str {
        // A suspension is reported after its checkpoint.
        self.lines.get();
        cause(checkpoint.cause, self.run.read_untracked().is_of_suspension(checkpoint.id))
    }

    /// An event in a short text, with the learning rates before and after a change of the schedule at a step.
    pub(super) fn phrase_of(self, event: &Event, step: u64) -> String {
        let run = self.run.read_untracked();
        match learning_rates(&run.view.hyperparameters.schedule, event, step) {
            Some(rates) => format!("{}, learning rate {rates}", phrase(event)),
            None => phrase(event),
        }
    }

    /// The id of the run.
    pub(super) fn id(self) -> RunId {
        self.run.read_untracked().view.summary.id.clone()
    }

    /// The range in view; not tracked.
    pub(super) fn range(self) -> Range {
        let run = self.run.read_untracked();
        let viewport = self.viewport.get_untracked();
        let end = if viewport == Viewport::Whole { run.reach() } else { run.end() };
        let planned_end = match (viewport, &*self.draft.read_untracked()) {
            // A schedule that is longer than the plan is shown to its own end.
            (Viewport::Plan, Some(draft)) => {
                Some(run.curves.place_before(draft.steps.max(run.view.hyperparameters.steps)))
            }
            _ => run.planned_end(),
        };
        viewport.range(end, planned_end, run.is_growing())
    }

    /// Brings a range into view.
    fn show(self, range: Range) {
        let viewport = {
            let run = self.run.read_untracked();
            Viewport::of_range(range, run.end(), run.planned_end(), run.is_growing())
        };
        if self.viewport.get_untracked() != viewport {
            self.viewport.set(viewport);
        }
    }
}

/// Why someone cannot control the run.
const NO_PERMISSION: &str = "Your role is view. To control a run, you need the role steer or admin.";
/// Why someone cannot fork the run.
const NO_FORK: &str = "Your role does not permit new runs here. To fork a run, you need the role steer or admin.";

fn not_running(state: RunState) -> Option<String> {
    let reason = match state {
        RunState::Finished => "The run has finished. Fork it to continue from one of its checkpoints.",
        RunState::Suspended => {
            "The run is suspended and its device is free for other runs. Resume queues it again; it continues from the \
             saved state."
        }
        RunState::Stopped => "The run was stopped. Resume queues it again; it continues from its newest checkpoint.",
        RunState::Failed => "The run has failed. Resume continues from its newest checkpoint.",
        RunState::Lost => "The worker of this run stopped reporting. Resume continues from the newest checkpoint.",
        _ => return None,
    };
    Some(reason.into())
}
