//! The instruments of the Run page, and the desk they stand on: the open run, what is in view of it, and the hands on it.
//! Panels are functions of the desk's signals; none fetches, and what they ask of the run goes through [`Desk::ask`].

mod actions;
mod batch;
mod chart;
mod checkpoints;
mod controls;
mod course;
mod dial;
mod every;
mod fork;
mod fork_text;
mod gestures;
mod handles;
mod head;
mod instruments;
mod journal;
mod legend;
mod loss;
mod machine;
mod mix;
mod numbers;
mod rollback;
mod samples;
mod standing;
mod takeaway;
mod twin;
mod undo;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::Dials;
use wire::checkpoint::CheckpointView;
use wire::command::Redraw;
use wire::series::Axis;
use wire::{Author, CheckpointId, Command, Event, EventRecord, RunId, RunState, RunSummary, SetField};

use crate::api::{self, ApiFailure};
use crate::live::Live;
use crate::run_state::{OpenRun, Sight, Sketch, View};
use crate::session::Session;

pub(crate) use checkpoints::Checkpoints;
pub(crate) use controls::{Controls, press};
pub(crate) use head::Head;
pub(crate) use instruments::{Instruments, is_kept};
pub(crate) use journal::Journal;
pub(crate) use loss::LossChart;
pub(crate) use machine::Machine;
pub(crate) use mix::balanced;
pub(crate) use numbers::Numbers;
pub(crate) use samples::Samples;
pub(crate) use standing::Standing;
pub(crate) use twin::TwinPanel;

/// How charts are laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Look {
    /// What stands on the shared x axis.
    pub(crate) axis: Axis,
    /// Loss by ratio.
    pub(crate) is_log: bool,
    /// Loss in bits per byte.
    pub(crate) in_bits: bool,
    /// A running mean is drawn over the training loss, which stays, faint.
    pub(crate) is_smooth: bool,
    /// The loss axis fits all but the rarest spikes, which are then told at its edge.
    pub(crate) clips_spikes: bool,
}

/// What is open over the controls; one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawer {
    /// A dial.
    Dial(SetField),
    /// How often to look and to save.
    Every,
    /// Weights of the texts.
    Mix,
    /// Passes of a step.
    Batch,
    /// A new run from a saved state.
    Fork,
    /// Back to a saved state.
    Rollback,
    /// Ways to undo the last change.
    Undo,
    /// Prompt and temperature of a sample.
    Sample,
    /// A note.
    Note,
}

/// What became of the last thing asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing was asked.
    Nothing,
    /// On its way.
    Waiting(String),
    /// In effect, from which step on.
    Applied(String),
    /// Refused or failed: why, and the way out.
    Refused(String),
}

/// What all panels share.
#[derive(Clone, Copy)]
pub(crate) struct Desk {
    /// The run.
    pub(crate) run: RwSignal<OpenRun>,
    /// It in one line.
    pub(crate) summary: Memo<RunSummary>,
    /// How it stands.
    pub(crate) state: Memo<RunState>,
    /// Its dials now.
    pub(crate) dials: Memo<Dials>,
    /// Names of the runs it came from, oldest first, as the lab calls them.
    pub(crate) ancestors: Memo<Vec<String>>,
    /// Journal lines known: changes when one comes.
    pub(crate) lines: Memo<usize>,
    /// Changes with everything that charts show.
    pub(crate) version: Memo<u64>,
    /// The stretch in view.
    pub(crate) sight: RwSignal<Sight>,
    /// How charts are laid out.
    pub(crate) look: RwSignal<Look>,
    /// The place all charts are read at.
    pub(crate) crosshair: RwSignal<Option<f64>>,
    /// The journal line someone pointed at.
    pub(crate) picked: RwSignal<Option<u64>>,
    /// The step someone pressed on a chart: its batch can be read.
    pub(crate) pressed: RwSignal<Option<u64>>,
    /// What is open.
    pub(crate) drawer: RwSignal<Option<Drawer>>,
    /// What became of the last thing asked.
    pub(crate) answer: RwSignal<Answer>,
    /// Why this person cannot steer this run now, if so.
    pub(crate) hindrance: Memo<Option<String>>,
    /// Why this person cannot steer at all, if so: saved states can be used when the run itself is out of reach.
    pub(crate) role: Memo<Option<String>>,
    /// The saved states, newest first; none until they have come.
    pub(crate) checkpoints: RwSignal<Option<Result<Vec<CheckpointView>, ApiFailure>>>,
    /// The saved state that is to be gone back to or forked from.
    pub(crate) chosen: RwSignal<Option<CheckpointId>>,
    /// The course of the rate that is being drawn.
    pub(crate) sketch: RwSignal<Option<Sketch>>,
    /// The next change gets a twin that leaves it out.
    pub(crate) wants_twin: RwSignal<bool>,
}

impl Desk {
    /// A desk for a run, with the session's rights.
    pub(crate) fn new(run: OpenRun) -> Self {
        let (session, live) = (expect_context::<Session>(), expect_context::<Live>());
        let is_waiting = run.view.summary.state == RunState::Queued;
        let run = RwSignal::new(run);
        let state = Memo::new(move |_| run.read().view.summary.state);
        let sight = RwSignal::new(if is_waiting { Sight::Plan } else { Sight::Whole });
        // A run that waits shows its plan; once it begins, what it does.
        Effect::new(move |was: Option<RunState>| {
            if was == Some(RunState::Queued) && state.get() != RunState::Queued {
                sight.set(Sight::Whole);
            }
            state.get()
        });
        Self {
            run,
            summary: Memo::new(move |_| run.read().view.summary.clone()),
            state,
            dials: Memo::new(move |_| run.read().view.dials.clone()),
            ancestors: Memo::new(move |_| names(&run.read().curves.lineage().parents, live)),
            lines: Memo::new(move |_| run.read().events.len()),
            version: Memo::new(move |_| run.read().version),
            sight,
            look: RwSignal::new(Look::default()),
            crosshair: RwSignal::new(None),
            picked: RwSignal::new(None),
            pressed: RwSignal::new(None),
            drawer: RwSignal::new(None),
            answer: RwSignal::new(Answer::Nothing),
            hindrance: Memo::new(move |_| role(session).or_else(|| out_of_reach(state.get()))),
            role: Memo::new(move |_| role(session)),
            checkpoints: RwSignal::new(None),
            chosen: RwSignal::new(None),
            sketch: RwSignal::new(None),
            wants_twin: RwSignal::new(false),
        }
    }

    /// The run's id.
    pub(crate) fn id(self) -> RunId {
        self.run.read_untracked().view.summary.id.clone()
    }

    /// The ends of what is in view now; not tracked.
    pub(crate) fn view(self) -> View {
        let run = self.run.read_untracked();
        let sight = self.sight.get_untracked();
        let end = if sight == Sight::Whole { run.reach() } else { run.end() };
        let planned_end = match (sight, &*self.sketch.read_untracked()) {
            // A course that is drawn beyond the planned end is seen to its own.
            (Sight::Plan, Some(sketch)) => Some(run.curves.place_before(sketch.steps.max(run.view.dials.steps))),
            _ => run.planned_end(),
        };
        sight.view(end, planned_end, run.is_growing())
    }

    /// Brings a stretch into view.
    pub(crate) fn look_at(self, (from, to): (f64, f64)) {
        let sight = {
            let run = self.run.read_untracked();
            Sight::of_stretch(from, to, run.end(), run.planned_end(), run.is_growing())
        };
        if self.sight.get_untracked() != sight {
            self.sight.set(sight);
        }
    }

    /// The first step that a change asked now can still shape: a training run goes on while the request is on its way.
    pub(crate) fn next_step(self) -> u64 {
        let run = self.run.read_untracked();
        let summary = &run.view.summary;
        let tokens_per_step = run.view.dials.passes.at(summary.step).max(1) * run.view.plan.tokens_per_pass();
        let steps_per_sec = summary.tokens_per_sec.unwrap_or(0.0) / tokens_per_step.max(1) as f64;
        let on_its_way =
            if summary.state == RunState::Running { (steps_per_sec * ON_ITS_WAY_SECS).ceil() as u64 + 1 } else { 0 };
        summary.step + on_its_way
    }

    /// Asks something of the run, and tells what came of it.
    pub(crate) fn ask(self, command: Command) {
        self.ask_beside(command, false);
    }

    /// Asks for a change, with a twin where one is wanted.
    pub(crate) fn change(self, command: Command) {
        let with_twin = self.wants_twin.get_untracked();
        self.wants_twin.set(false);
        self.ask_beside(command, with_twin);
    }

    fn ask_beside(self, command: Command, with_twin: bool) {
        // A run that let go of its device, or ended early, can be taken up again: all else needs it at work.
        let is_resume = matches!(command, Command::Resume { .. });
        let hindrance = if is_resume { self.role.get_untracked() } else { self.hindrance.get_untracked() };
        if let Some(why) = hindrance {
            self.answer.set(Answer::Refused(why));
            return;
        }
        let run = self.id();
        self.answer.set(Answer::Waiting(asked(&command)));
        spawn_local(async move {
            let answer = match api::command(&run, &command, with_twin).await {
                Ok(EventRecord { event: Event::Refused { message, .. }, .. }) => Answer::Refused(message),
                Ok(record) if with_twin => {
                    Answer::Applied(format!("{}; a twin without it goes on beside it", applied(&record)))
                }
                Ok(record) => Answer::Applied(applied(&record)),
                Err(failure) => Answer::Refused(failure.sentence()),
            };
            self.answer.try_set(answer);
        });
    }
}

/// What the lab calls some runs; their ids where it knows them no longer.
fn names(runs: &[RunId], live: Live) -> Vec<String> {
    let lab = live.lab.read();
    let known = |id: &RunId| lab.as_ref().and_then(|lab| lab.runs.iter().find(|run| run.id == *id));
    runs.iter().map(|id| known(id).map_or_else(|| id.to_string(), |run| run.name.clone())).collect()
}

/// How long a request may be on its way before what it draws lies in the past.
const ON_ITS_WAY_SECS: f64 = 0.75;

fn role(session: Session) -> Option<String> {
    (!session.can_steer())
        .then(|| "You are signed in to watch. Steering needs a token with the role steer or admin.".into())
}

fn out_of_reach(state: RunState) -> Option<String> {
    let why = match state {
        RunState::Finished => "The run has finished; fork it to go on from any of its checkpoints.",
        RunState::Parked => "It has let go of its device; resume takes it back.",
        RunState::Stopped => "The run was stopped; resume goes on where it ended.",
        RunState::Failed => "The run has failed; resume goes on from its newest checkpoint.",
        RunState::Lost => "The worker of this run went silent; resume goes on from its newest checkpoint.",
        _ => return None,
    };
    Some(why.into())
}

/// Whether resuming does something to a run that stands so.
pub(crate) fn is_resumable(state: RunState) -> bool {
    matches!(state, RunState::Paused | RunState::Parked | RunState::Stopped | RunState::Failed | RunState::Lost)
}

fn asked(command: &Command) -> String {
    match command {
        Command::Pause { .. } => "pausing before the next step".into(),
        Command::Resume { .. } => "resuming".into(),
        Command::Step { steps: 1 } => "taking one step".into(),
        Command::Step { steps } => format!("taking {steps} steps"),
        Command::Stop { .. } => "stopping".into(),
        Command::Set { field, .. } => format!("setting {}", field.describe().0),
        Command::Redraw { course: Redraw::Rate { .. }, .. } => "redrawing the rate".into(),
        Command::Redraw { course: Redraw::Mix { .. }, .. } => "redrawing the mix".into(),
        Command::Redraw { course: Redraw::Passes { .. }, .. } => "changing the batch".into(),
        Command::Edit { .. } => "laying hands on the weights".into(),
        Command::Checkpoint { .. } => "saving the state".into(),
        Command::Rollback { checkpoint, .. } => {
            format!("going back to step {}", figure::number::whole(checkpoint.step))
        }
        Command::Release { .. } => "letting go of the device".into(),
        Command::Undo { .. } => "undoing".into(),
        Command::Evaluate => "evaluating".into(),
        Command::Sample { .. } => "writing a sample".into(),
        Command::Annotate { .. } => "noting".into(),
    }
}

fn applied(record: &EventRecord) -> String {
    format!("{}, at step {}", phrase(&record.event), figure::number::whole(record.step))
}

/// What happened, in a few words, with numbers as the page writes them.
pub(crate) fn phrase(event: &Event) -> String {
    match event {
        Event::Changed { field: SetField::Rate, old, new } => match factor(*old, *new) {
            Some(factor) => format!("rate {factor}, now {}", figure::number::short(*new)),
            None => format!("rate {} → {}", figure::number::short(*old), figure::number::short(*new)),
        },
        Event::Changed { field, old, new } => {
            format!("{} {} → {}", field.describe().0, dial::value(*field, *old), dial::value(*field, *new))
        }
        Event::Started { parameters } => {
            format!("started, {} parameters", crate::parts::number::short(*parameters as f64))
        }
        // Its id says the same in fewer words; the step stands beside it.
        Event::Checkpointed { checkpoint } => format!("checkpoint, {}", checkpoints::cause(checkpoint.cause)),
        Event::Evaluated { loss_nats, .. } => format!("valid {loss_nats:.3} nats"),
        other => other.phrase(),
    }
}

/// `×½` and `×2`, the turns people make most.
fn factor(old: f64, new: f64) -> Option<&'static str> {
    let ratio = new / old;
    [(0.1, "×0.1"), (0.5, "×½"), (2.0, "×2"), (10.0, "×10")]
        .into_iter()
        .find(|(of, _)| (ratio / of - 1.0).abs() < 1e-6)
        .map(|(_, word)| word)
}

/// Who, for a line of the journal.
pub(crate) fn author(author: &Author, me: Option<&str>) -> String {
    match author {
        Author::Person(name) if Some(name.as_str()) == me => "you".into(),
        Author::Person(name) => name.clone(),
        Author::Rule(name) => format!("rule {name}"),
        Author::Model(name) => name.clone(),
        Author::Lab => "lab".into(),
    }
}
