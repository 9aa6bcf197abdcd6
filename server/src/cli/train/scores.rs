//! Scores of the checkpoints of a run that trains without a server, by its schedules of tasks. Each is computed by a process with the model
//! beside the training, one at a time and at low priority. What is left when this process ends, a server on the folder computes.

use std::collections::HashSet;

use engine::task::built_in::built_in;
use store::{Ingested, Store, StoreError};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use wire::control::author::Author;
use wire::number::grouped;
use wire::task::lab::TaskSchedule;
use wire::task::{Task, TaskName};
use wire::{CheckpointId, Event, RunId};

use super::TrainError;
use crate::cli::progress_bar::Bar;
use crate::live::feed::report;
use crate::runs::scoring::process::{self, ScoreRequest};

/// A text that is not `NAME` or `NAME=STEPS`: an invalid name, or an interval that is not a number of steps.
#[derive(Debug, thiserror::Error)]
#[error("expected NAME or NAME=STEPS, such as tales-holder=500")]
pub(super) struct TaskOptionError;

/// Reads `NAME` or `NAME=STEPS`; without an interval each checkpoint is scored.
pub(super) fn parse_task(text: &str) -> Result<TaskSchedule, TaskOptionError> {
    let (name, every) = text.split_once('=').unwrap_or((text, "1"));
    let task = name.trim().parse().map_err(|_| TaskOptionError)?;
    Ok(TaskSchedule { task, every: every.trim().parse().map_err(|_| TaskOptionError)? })
}

/// A task of the program, or of the lab in this folder.
async fn task_named(store: &Store, name: &TaskName) -> Result<Option<Task>, StoreError> {
    match built_in(name.as_str()) {
        Some(task) => Ok(Some(task)),
        None => store.task(name).await,
    }
}

/// Checks that the tasks of a new run exist.
pub(super) async fn check_tasks(store: &Store, schedules: &[TaskSchedule]) -> Result<(), TrainError> {
    for TaskSchedule { task, .. } in schedules {
        if task_named(store, task).await?.is_none() {
            return Err(TrainError::NoTask { task: task.clone() });
        }
    }
    Ok(())
}

/// The task that computes scores, and what it has to print.
pub(super) struct Scores {
    saved: Sender<()>,
    lines: UnboundedReceiver<String>,
}

impl Scores {
    pub(super) fn begin(store: &Store, run: &RunId) -> Self {
        let ((saved, woken), (printed, lines)) = (channel(1), unbounded_channel());
        // An earlier process may have left checkpoints without a score.
        let _ = saved.try_send(());
        let worker = Worker { store: store.clone(), run: run.clone(), given_up: HashSet::new(), printed };
        tokio::spawn(worker.serve(woken));
        Self { saved, lines }
    }

    /// Notes new checkpoints, and prints the scores that were computed meanwhile.
    pub(super) fn stored(&mut self, ingested: &Ingested, bar: &Bar) {
        if ingested.events.iter().any(|record| matches!(record.event, Event::Checkpointed { .. })) {
            // If the channel is full, the task looks again anyway.
            let _ = self.saved.try_send(());
        }
        while let Ok(line) = self.lines.try_recv() {
            bar.print(&line);
        }
    }

    /// Waits for the scores that are due, and prints the rest.
    pub(super) async fn end(self, bar: &Bar) {
        let Self { saved, mut lines } = self;
        drop(saved);
        while let Some(line) = lines.recv().await {
            bar.print(&line);
        }
    }
}

struct Worker {
    store: Store,
    run: RunId,
    /// Scores that failed; they are not tried again in this process.
    given_up: HashSet<(TaskName, CheckpointId)>,
    printed: UnboundedSender<String>,
}

impl Worker {
    /// Computes what is due after each checkpoint, until the training has ended.
    async fn serve(mut self, mut woken: Receiver<()>) {
        while woken.recv().await.is_some() {
            if let Err(error) = self.score_due().await {
                self.print(format!("the schedules of tasks could not be read: {error}"));
            }
        }
    }

    async fn score_due(&mut self) -> Result<(), StoreError> {
        // A checkpoint may be saved or pruned while a score is computed, so what is due is read again.
        while let Some((task, checkpoint)) = self.next().await? {
            let step = grouped(checkpoint.step);
            match self.score(&task, checkpoint).await {
                Ok(Some(phrase)) => self.print(format!("checkpoint of step {step}, {task}: {phrase}")),
                Ok(None) => drop(self.given_up.insert((task, checkpoint))),
                Err(why) => {
                    self.print(format!("checkpoint of step {step} was not scored on {task}: {why}"));
                    self.given_up.insert((task, checkpoint));
                }
            }
        }
        Ok(())
    }

    async fn next(&self) -> Result<Option<(TaskName, CheckpointId)>, StoreError> {
        let own = self.store.due_scores().await?.into_iter().filter(|(run, ..)| *run == self.run);
        let mut own = own.map(|(_, task, checkpoint)| (task, checkpoint));
        Ok(own.find(|due| !self.given_up.contains(due)))
    }

    /// The score in a phrase; `None` for a checkpoint that was pruned meanwhile.
    async fn score(&self, task: &TaskName, checkpoint: CheckpointId) -> Result<Option<String>, String> {
        let (store, run) = (&self.store, &self.run);
        let failed = |error: StoreError| error.to_string();
        let Some(_held) = store.open_checkpoint(run, checkpoint).await.map_err(failed)? else { return Ok(None) };
        let found = task_named(store, task).await.map_err(failed)?;
        let task = found.ok_or("this folder has no task of this name; a server with this evaluator scores it")?;
        let asked = ScoreRequest { run: run.clone(), checkpoint, task };
        let result = process::score(store.dir(), &asked).await.map_err(|error| error.to_string())?;
        let step = store.summary(run).await.map_err(failed)?.map_or(0, |summary| summary.step);
        let event = Event::Scored { task: result.task.to_string(), checkpoint, score: result.phrase() };
        let report = report(Author::System, step, event, None);
        store.put_task_result(run, checkpoint, &result, report).await.map_err(failed)?;
        Ok(Some(result.phrase()))
    }

    fn print(&self, line: String) {
        // An error here means that the program ends.
        let _ = self.printed.send(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_an_interval_or_is_scored_at_each_checkpoint() {
        let check = |text: &str, name: &str, every: u64| {
            let expected = TaskSchedule { task: name.parse().unwrap(), every };
            assert_eq!(parse_task(text).unwrap(), expected, "{text}");
        };
        check("tales-holder", "tales-holder", 1);
        check("tales-holder=500", "tales-holder", 500);
        check(" capitals = 20 ", "capitals", 20);
        for bad in ["", "=5", "Capitals", "capitals=", "capitals=x", "capitals=-1", "a/b"] {
            assert!(parse_task(bad).is_err(), "{bad:?}");
        }
    }
}
