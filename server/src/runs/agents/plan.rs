//! What an agent did in a run, and what would revert it, read from the journal of the run. Pure. A thing is reverted only if nobody else has
//! changed it since; so what was reverted once is not reverted again.

use std::collections::BTreeSet;

use wire::control::command::UndoMethod;
use wire::control::saved_schedule::SavedSchedule;
use wire::number::{counted, grouped};
use wire::run::history::History;
use wire::{Author, CheckpointId, Command, Event, EventRecord, LivePath, RunState, RunSummary};

/// A run with its journal, and which of its events are of the agent.
pub(super) struct Seen<'a> {
    pub(super) summary: &'a RunSummary,
    pub(super) events: &'a [EventRecord],
    pub(super) history: &'a History,
    /// Checkpoints that are kept.
    pub(super) kept: &'a [CheckpointId],
    /// Numbers of the events of the agent.
    pub(super) own: &'a BTreeSet<u64>,
    /// Whether the agent has created the run.
    pub(super) is_created: bool,
    /// Reason of the commands that revert.
    pub(super) reason: &'a str,
}

/// Something that the agent did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) event: u64,
    pub(super) at_ms: i64,
    pub(super) did: String,
    /// The reversal; `None` if there is none.
    pub(super) command: Option<Command>,
    /// Why it is not reverted, or what remains after that.
    pub(super) note: Option<String>,
}

/// What the agent did in the run, newest first.
pub(super) fn plan(seen: &Seen<'_>) -> Vec<Planned> {
    if seen.is_created {
        return created(seen).into_iter().collect();
    }
    let mut all: Vec<Planned> = changes(seen).into_iter().chain(states(seen)).chain(lasting(seen)).collect();
    all.sort_by_key(|planned| std::cmp::Reverse(planned.event));
    all
}

impl Planned {
    fn new(record: &EventRecord) -> Self {
        let did = format!("{} at step {}", record.event.phrase(), grouped(record.step));
        Self { event: record.number, at_ms: record.at_ms, did, command: None, note: None }
    }

    fn because(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    fn by(self, command: Command) -> Self {
        Self { command: Some(command), ..self }
    }
}

impl Seen<'_> {
    fn is_own(&self, record: &EventRecord) -> bool {
        self.own.contains(&record.number)
    }

    fn is_trained(&self) -> bool {
        matches!(self.summary.state, RunState::Running | RunState::Paused)
    }

    fn stop(&self) -> Command {
        Command::Stop { reason: Some(self.reason.to_owned()) }
    }
}

/// A run that the agent created is stopped; what it did in it ends with it.
fn created(seen: &Seen<'_>) -> Option<Planned> {
    let first = seen.events.first()?;
    let planned = Planned { did: "started the run".to_owned(), ..Planned::new(first) };
    let continues = |event: &Event| event.is_change() || matches!(event, Event::Resumed | Event::Stepping { .. });
    let is_of_person = |record: &&EventRecord| matches!(record.author, Author::Person(_)) && continues(&record.event);
    Some(match (seen.summary.state, seen.events.iter().rfind(is_of_person)) {
        (state, _) if state.is_over() => planned
            .because(format!("the run is {}; its page deletes it, and its training time stays used", state.word())),
        (_, Some(record)) => {
            planned.because(format!("{} has continued or changed the run since", record.author.name()))
        }
        (RunState::Queued, None) => planned.by(seen.stop()),
        (_, None) => planned.by(seen.stop()).because("the run keeps its last checkpoint; its training time stays used"),
    })
}

/// Changes of hyperparameters, schedules and weights, and rollbacks.
fn changes(seen: &Seen<'_>) -> Vec<Planned> {
    let path = seen.history.path();
    let own = seen.events.iter().filter(|record| seen.is_own(record) && record.event.is_change());
    own.map(|record| change(seen, &path, record)).collect()
}

fn change(seen: &Seen<'_>, path: &[&EventRecord], record: &EventRecord) -> Planned {
    let planned = Planned::new(record);
    let Some(at) = path.iter().position(|other| other.number == record.number) else {
        return planned.because("it is on an abandoned branch and has no effect");
    };
    let is_same = |other: &&&EventRecord| is_same(&record.event, &other.event);
    if let Some(other) = path[at + 1..].iter().filter(is_same).find(|other| !seen.is_own(other)) {
        return planned.because(format!("{} changed it again at step {}", other.author.name(), grouped(other.step)));
    }
    if !seen.is_trained() {
        let state = seen.summary.state.word();
        return planned.because(format!("the run is {state}, and changes only while it is trained"));
    }
    let undo = |method| Command::Undo { event: Some(record.number), method };
    if matches!(record.event, Event::RolledBack { .. }) {
        return match seen.history.checkpoint_before(record.number, seen.kept) {
            Some(_) => planned
                .by(undo(UndoMethod::Rollback))
                .because("the training since the rollback becomes an abandoned branch"),
            None => planned.because("no checkpoint of the abandoned branch's end is kept"),
        };
    }
    let earlier = path[..at].iter().rfind(is_same).filter(|other| seen.is_own(other));
    let later: Vec<&&EventRecord> = path[at + 1..].iter().filter(is_same).collect();
    let is_edit = matches!(record.event, Event::WeightsEdited { .. });
    match earlier {
        _ if is_edit && (earlier.is_some() || !later.is_empty()) => {
            planned.because("the weights were edited several times; roll the run back on its page")
        }
        Some(other) => planned.because(format!("is reverted together with the change at step {}", grouped(other.step))),
        None if seen.history.inverse(record.number, seen.summary.step, String::new()).is_none() => {
            planned.because("it has no inverse; roll the run back on its page")
        }
        None => {
            let changed = planned.by(undo(UndoMethod::Inverse));
            let extends = later.iter().any(|other| changes_length(&other.event));
            let note = match extends && matches!(record.event, Event::Changed { .. }) {
                true => "the training since then stays, and so does the last step of the run",
                false => "the training since then stays",
            };
            changed.because(note)
        }
    }
}

/// Whether two events change the same thing. A rollback is changed by every later change.
fn is_same(event: &Event, other: &Event) -> bool {
    match (event, other) {
        (Event::RolledBack { .. }, _) => true,
        (Event::WeightsEdited { .. }, Event::WeightsEdited { .. }) => true,
        (event, other) => part(event).is_some() && part(event) == part(other),
    }
}

#[derive(PartialEq)]
enum Part {
    LearningRate,
    Mix,
    Accumulation,
    Path(LivePath),
}

fn part(event: &Event) -> Option<Part> {
    match event {
        Event::Changed { path: LivePath::LEARNING_RATE, .. } => Some(Part::LearningRate),
        Event::Changed { path, .. } => Some(Part::Path(*path)),
        Event::ScheduleChanged { new, .. } => Some(match new {
            SavedSchedule::LearningRate { .. } => Part::LearningRate,
            SavedSchedule::Mix(_) => Part::Mix,
            SavedSchedule::Accumulation(_) => Part::Accumulation,
        }),
        _ => None,
    }
}

fn changes_length(event: &Event) -> bool {
    match event {
        Event::ScheduleChanged {
            old: SavedSchedule::LearningRate { steps: before, .. },
            new: SavedSchedule::LearningRate { steps, .. },
        } => before != steps,
        _ => false,
    }
}

/// What a run did before or after an event that changes its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Trains,
    Pauses,
    IsSuspended,
    HasEnded,
}

fn doing(event: &Event) -> Option<Doing> {
    match event {
        event if event.pauses() => Some(Doing::Pauses),
        Event::Resumed => Some(Doing::Trains),
        Event::Suspended => Some(Doing::IsSuspended),
        Event::Stopped | Event::Finished | Event::Failed { .. } | Event::Lost { .. } => Some(Doing::HasEnded),
        _ => None,
    }
}

/// Pauses, resumptions, stops and suspensions. Those that nobody has followed with another one are reverted together, by one command.
fn states(seen: &Seen<'_>) -> Vec<Planned> {
    let all: Vec<&EventRecord> = seen.events.iter().filter(|record| doing(&record.event).is_some()).collect();
    let begins = all.iter().rposition(|record| !seen.is_own(record)).map_or(0, |at| at + 1);
    let before = begins.checked_sub(1).and_then(|at| doing(&all[at].event)).unwrap_or(Doing::Trains);
    let mut planned = vec![];
    for (at, record) in all.iter().enumerate().filter(|(_, record)| seen.is_own(record)) {
        let one = Planned::new(record);
        planned.push(if at < begins {
            let next = all[at..].iter().find(|other| !seen.is_own(other));
            one.because(next.map_or_else(String::new, |other| {
                format!("later, by {}: {} at step {}", other.author.name(), other.event.phrase(), grouped(other.step))
            }))
        } else if at > begins {
            one.because("is reverted together with the event before it")
        } else {
            match back_to(seen, before) {
                Ok(command) => one.by(command),
                Err(why) => one.because(why),
            }
        });
    }
    planned
}

/// The command that lets a run do again what it did before.
fn back_to(seen: &Seen<'_>, before: Doing) -> Result<Command, &'static str> {
    let reason = Some(seen.reason.to_owned());
    match (before, seen.summary.state) {
        (Doing::Trains, RunState::Paused | RunState::Suspended | RunState::Stopped) => Ok(Command::Resume { reason }),
        (Doing::Pauses, RunState::Running) => Ok(Command::Pause { reason }),
        (Doing::IsSuspended, RunState::Running | RunState::Paused) => Ok(Command::Suspend { reason }),
        (Doing::HasEnded | Doing::IsSuspended, RunState::Queued) => Ok(Command::Stop { reason }),
        (Doing::HasEnded, RunState::Running | RunState::Paused) => Ok(Command::Stop { reason }),
        (Doing::Trains, RunState::Running | RunState::Starting | RunState::Queued)
        | (Doing::Pauses, RunState::Paused)
        | (Doing::IsSuspended, RunState::Suspended)
        | (Doing::HasEnded, RunState::Stopped) => Err("the run is in the state that it had before"),
        _ => Err("no command leads back to the state before; see the page of the run"),
    }
}

/// What stays: one entry for each kind of event.
fn lasting(seen: &Seen<'_>) -> Vec<Planned> {
    let kinds: [(fn(&Event) -> bool, &str, &str); 5] = [
        (|event| matches!(event, Event::Annotated { .. }), "note", "notes stay in the journal, which is never edited"),
        (
            |event| matches!(event, Event::Checkpointed { .. }),
            "checkpoint",
            "a checkpoint changes no training; the page of the run deletes it",
        ),
        (|event| matches!(event, Event::Evaluated { .. }), "evaluation", "an evaluation changes no training"),
        (|event| matches!(event, Event::Sampled { .. }), "sample", "a sample changes no training"),
        (|event| matches!(event, Event::Stepping { .. }), "step command", "the steps stay trained; roll the run back"),
    ];
    let found = kinds.into_iter().filter_map(|(is_kind, noun, why)| {
        let own: Vec<&EventRecord> =
            seen.events.iter().filter(|record| seen.is_own(record) && is_kind(&record.event)).collect();
        let newest = own.last()?;
        let did = counted(own.len() as u64, noun);
        Some(Planned { did, ..Planned::new(newest) }.because(why))
    });
    found.collect()
}
