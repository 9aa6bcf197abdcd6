//! The instruments of the Run page, and the desk they stand on: the open run, what is in view of it, and the hands on it.
//! Panels are functions of the desk's signals; none fetches, and what they ask of the run goes through [`Desk::ask`].

mod chart;
mod controls;
mod dial;
mod gestures;
mod head;
mod instruments;
mod journal;
mod legend;
mod loss;
mod machine;
mod numbers;
mod samples;
mod standing;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::Dials;
use wire::series::Axis;
use wire::{Author, Command, Event, EventRecord, RunId, RunState, RunSummary, SetField};

use crate::api;
use crate::run_state::{OpenRun, Sight, View};
use crate::session::Session;

pub(crate) use controls::{Controls, press};
pub(crate) use head::Head;
pub(crate) use instruments::{Instruments, layer_series};
pub(crate) use journal::Journal;
pub(crate) use loss::LossChart;
pub(crate) use machine::Machine;
pub(crate) use numbers::Numbers;
pub(crate) use samples::Samples;
pub(crate) use standing::Standing;

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
    /// What is open.
    pub(crate) drawer: RwSignal<Option<Drawer>>,
    /// What became of the last thing asked.
    pub(crate) answer: RwSignal<Answer>,
    /// Why this person cannot steer this run now, if so.
    pub(crate) hindrance: Memo<Option<String>>,
}

impl Desk {
    /// A desk for a run, with the session's rights.
    pub(crate) fn new(run: OpenRun) -> Self {
        let session = expect_context::<Session>();
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
            lines: Memo::new(move |_| run.read().events.len()),
            version: Memo::new(move |_| run.read().version),
            sight,
            look: RwSignal::new(Look::default()),
            crosshair: RwSignal::new(None),
            picked: RwSignal::new(None),
            drawer: RwSignal::new(None),
            answer: RwSignal::new(Answer::Nothing),
            hindrance: Memo::new(move |_| hindrance(session, state.get())),
        }
    }

    /// The run's id.
    pub(crate) fn id(self) -> RunId {
        self.run.read_untracked().view.summary.id.clone()
    }

    /// The ends of what is in view now; not tracked.
    pub(crate) fn view(self) -> View {
        let run = self.run.read_untracked();
        self.sight.get_untracked().view(run.end(), run.planned_end(), run.is_growing())
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

    /// Asks something of the run, and tells what came of it.
    pub(crate) fn ask(self, command: Command) {
        if let Some(why) = self.hindrance.get_untracked() {
            self.answer.set(Answer::Refused(why));
            return;
        }
        let run = self.id();
        self.answer.set(Answer::Waiting(asked(&command)));
        spawn_local(async move {
            let answer = match api::command(&run, &command).await {
                Ok(EventRecord { event: Event::Refused { message, .. }, .. }) => Answer::Refused(message),
                Ok(record) => Answer::Applied(applied(&record)),
                Err(failure) => Answer::Refused(failure.sentence()),
            };
            self.answer.try_set(answer);
        });
    }
}

fn hindrance(session: Session, state: RunState) -> Option<String> {
    if !session.can_steer() {
        return Some("You are signed in to watch. Steering needs a token with the role steer or admin.".into());
    }
    match state {
        RunState::Finished => Some("The run has finished; duplicate it with changes to go on.".into()),
        RunState::Stopped => Some("The run was stopped; duplicate it with changes to go on.".into()),
        RunState::Failed => Some("The run has failed; duplicate it with changes to try again.".into()),
        RunState::Lost => Some("The worker of this run went silent; nothing can reach it.".into()),
        _ => None,
    }
}

fn asked(command: &Command) -> String {
    match command {
        Command::Pause { .. } => "pausing before the next step".into(),
        Command::Resume { .. } => "resuming".into(),
        Command::Step { steps: 1 } => "taking one step".into(),
        Command::Step { steps } => format!("taking {steps} steps"),
        Command::Stop { .. } => "stopping".into(),
        Command::Set { field, .. } => format!("setting {}", field.describe().0),
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
