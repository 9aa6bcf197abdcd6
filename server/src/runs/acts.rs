//! Rules that act: a decision that is stored with a finding becomes one command, with the rule as its author.
//!
//! The decision is stored first, then the number of its command, then the command is sent. A server that was killed in between is followed by
//! one that looks for this number in the journal, and sends the command if it is not there. Its worker carries it out once, however often it
//! arrives.
//!
//! The decisions about one run are carried out one after the other, and each is sent after the previous one is settled: several rules may
//! find the same fault, and after the first one has rolled the run back, the others do not act on their earlier findings ([`same_cause`]).

mod same_cause;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{ActionOutcome, Store, StoredFinding};
use wire::control::author::Author;
use wire::diagnosis::{Act, RunFinding};
use wire::number::{counted, grouped};
use wire::{CheckpointId, Command, Event, EventRecord, RunId, RunState, RunSummary};

use super::remedies::{PresentRun, reason};
use super::{commands, steering};
use crate::error::ApiError;
use crate::lab::Lab;
pub(crate) use same_cause::{refuse, rollback_since};

/// Maximum time between two looks at the decisions: a worker may have connected meanwhile.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The runs whose decisions are being carried out.
#[derive(Clone, Default)]
struct Acting(Arc<Mutex<HashSet<RunId>>>);

/// A run whose decisions are being carried out, until this is dropped, also by a panic.
struct ActingOn {
    acting: Acting,
    run: RunId,
}

impl Drop for ActingOn {
    fn drop(&mut self) {
        self.acting.lock().remove(&self.run);
    }
}

impl Acting {
    /// `None` if the decisions about the run are being carried out.
    fn begin(&self, run: &RunId) -> Option<ActingOn> {
        let is_first = self.lock().insert(run.clone());
        is_first.then(|| ActingOn { acting: self.clone(), run: run.clone() })
    }

    // A set of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out what rules decide, for as long as the server runs.
pub async fn serve(lab: Lab) {
    let acting = Acting::default();
    loop {
        match lab.store().open_actions().await {
            Ok(open) => by_run(open).into_iter().for_each(|(run, decisions)| begin(&lab, &acting, run, decisions)),
            Err(error) => tracing::warn!("the decisions of rules could not be read: {error}"),
        }
        // After a timeout the decisions are read as after a new one.
        let _ = tokio::time::timeout(CHECK_EVERY, lab.diagnosis.decided()).await;
    }
}

/// The decisions about each run, oldest first.
fn by_run(open: Vec<StoredFinding>) -> BTreeMap<RunId, Vec<StoredFinding>> {
    let mut decisions = BTreeMap::<RunId, Vec<StoredFinding>>::new();
    for decision in open {
        decisions.entry(decision.run.clone()).or_default().push(decision);
    }
    decisions
}

/// A worker may answer late, so the decisions about each run have a task of their own.
fn begin(lab: &Lab, acting: &Acting, run: RunId, decisions: Vec<StoredFinding>) {
    let Some(acting_on) = acting.begin(&run) else { return };
    let lab = lab.clone();
    tokio::spawn(async move {
        let mut has_settled = false;
        for decision in &decisions {
            match act(&lab, decision).await {
                Ok(true) => has_settled = true,
                // Its command may still be carried out, and the others depend on what it changes.
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!("rule {} could not act on {run}: {error}", decision.found.finding.rule);
                }
            }
        }
        drop(acting_on);
        // Decisions that were stored meanwhile. Without one that is settled, this would go round and round.
        if has_settled {
            lab.diagnosis.decide_again();
        }
    });
}

/// Carries out a decision, unless it must wait. Returns whether it is settled.
async fn act(lab: &Lab, decision: &StoredFinding) -> Result<bool, ApiError> {
    let StoredFinding { run, found, command_id, .. } = decision;
    let Some(act) = found.action.as_ref().map(|action| action.act) else { return Ok(false) };
    let summary = lab.feed.summary(run).await?;
    let mut outcome = answered(lab.store(), run, found, *command_id).await?;
    // A command that was sent may still be carried out, and its event settles the decision.
    if outcome.is_none()
        && command_id.is_none()
        && let Some(rollback) = rollback_since(lab.store(), run, found).await?
    {
        let (event, recorded) = refuse(lab.store(), &summary, found, act, &rollback).await?;
        lab.feed.hub.publish(recorded.summary.clone(), vec![], vec![event], vec![]);
        lab.diagnosis.publish(vec![recorded]).await?;
        return Ok(true);
    }
    if outcome.is_none() {
        outcome = without_command(lab.store(), &summary, found, act).await?;
    }
    if outcome.is_none() {
        outcome = send(lab, &summary, found, act).await?;
    }
    let Some(outcome) = outcome else { return Ok(false) };
    let recorded = lab.store().settle_action(run, found.id, outcome).await?;
    lab.diagnosis.publish(vec![recorded]).await?;
    Ok(true)
}

/// What the run has answered to the command of a decision.
///
/// # Errors
/// An error of the store.
pub(crate) async fn answered(
    store: &Store,
    run: &RunId,
    found: &RunFinding,
    command_id: Option<u64>,
) -> Result<Option<ActionOutcome>, ApiError> {
    let Some(command_id) = command_id else { return Ok(None) };
    let Some(record) = store.event_of_command(run, command_id).await? else { return Ok(None) };
    let (Event::Refused { message, .. } | Event::CheckpointFailed { message, .. }) = &record.event else {
        return Ok(Some(ActionOutcome::Done { event: record.number }));
    };
    // A pause is refused if another one came first.
    let is_pause = matches!(record.event, Event::Refused { command: Command::Pause { .. }, .. });
    let earlier = if is_pause { pause_since(store, run, found).await? } else { None };
    Ok(earlier.or_else(|| Some(ActionOutcome::Failed { failure: in_a_sentence(message) })))
}

/// What settles a decision without a command: the run has paused by itself, has ended, or has left the steps of the finding.
///
/// # Errors
/// An error of the store.
pub(crate) async fn without_command(
    store: &Store,
    RunSummary { id: run, state, .. }: &RunSummary,
    found: &RunFinding,
    act: Act,
) -> Result<Option<ActionOutcome>, ApiError> {
    let path = store.history(run).await?.spans();
    let is_on_path = path.iter().any(|(segment, from, to)| {
        let step = found.finding.step;
        *segment == found.segment && step >= *from && to.is_none_or(|to| step < to)
    });
    if !is_on_path {
        return failed("The run has returned to a step before the finding.");
    }
    if found.is_dismissed {
        return failed("The finding was dismissed before the rule could act.");
    }
    let has_ended = state.is_over() && *state != RunState::Lost || *state == RunState::Suspended;
    if act == Act::Pause
        && (*state == RunState::Paused || has_ended)
        && let Some(pause) = pause_since(store, run, found).await?
    {
        return Ok(Some(pause));
    }
    match has_ended {
        true => {
            failed(&format!("The rule could not act: the run was already {}.", format!("{state:?}").to_lowercase()))
        }
        false => Ok(None),
    }
}

/// The newest pause of a run, if it came after a finding.
async fn pause_since(store: &Store, run: &RunId, found: &RunFinding) -> Result<Option<ActionOutcome>, ApiError> {
    let pause = store.last_pause(run).await?;
    let is_later = |pause: &EventRecord| (pause.segment, pause.step) >= (found.segment, found.finding.step);
    Ok(pause.filter(is_later).map(|pause| ActionOutcome::DoneBefore { event: pause.number }))
}

/// Sends the command of a decision, and returns what the run answered; `None` if the run does not answer now.
async fn send(
    lab: &Lab,
    summary: &RunSummary,
    found: &RunFinding,
    act: Act,
) -> Result<Option<ActionOutcome>, ApiError> {
    let (run, workers) = (&summary.id, &lab.workers);
    // Reports on the worker's disk may have the answer to a command of an earlier server.
    if !steering::is_trained(lab, summary) || workers.fleet.has_unstored_reports(run) {
        return Ok(None);
    }
    let reason = Some(reason(found));
    let command = match act {
        Act::Pause => Command::Pause { reason },
        Act::Stop => Command::Stop { reason },
        Act::RollBackAndSkip { steps, batches } => match checkpoint(lab.store(), run, found, steps).await? {
            Ok(checkpoint) => Command::Rollback { checkpoint, skip_batches: batches, reason },
            Err(failure) => return Ok(Some(ActionOutcome::Failed { failure })),
        },
    };
    // The checkpoint of a rollback is not pruned meanwhile.
    let _held = match steering::verify(lab, summary, &command).await {
        Ok(held) => held,
        // A store that fails says nothing about the command; it is tried again.
        Err(error) if error.status.is_server_error() => return Err(error),
        Err(error) => return failed(&in_a_sentence(&error.body.message)),
    };
    let command_id = lab.store().number_action(run, found.id, workers.pending.number()).await?;
    let wait = workers.pending.expect_numbered(run, command_id);
    let author = Author::Rule(found.label.clone());
    if let Err(error) = commands::send_numbered(lab, run, wait, author, command).await {
        tracing::info!("the command of rule {} to {run}: {error}", found.finding.rule);
    }
    answered(lab.store(), run, found, Some(command_id)).await
}

/// The checkpoint that a rule rolls back to. It returns to each one once: what it finds again after that is for a person to decide.
///
/// # Errors
/// An error of the store.
pub(crate) async fn checkpoint(
    store: &Store,
    run: &RunId,
    found: &RunFinding,
    steps: u64,
) -> Result<Result<CheckpointId, String>, ApiError> {
    let present = PresentRun::read(store, run).await?;
    let Some(checkpoint) = present.checkpoint_before(found, steps) else {
        return Ok(Err(match present.change_before(found) {
            Some(change) => format!("No checkpoint is kept from before the change at step {}.", grouped(change.step)),
            None => format!(
                "No checkpoint is kept from before the fault began and at least {} before the finding.",
                counted(steps, "step")
            ),
        }));
    };
    // The journals of earlier versions have the id of the rule.
    let names = [&found.label, &found.finding.rule];
    let is_own = |author: &Author| matches!(author, Author::Rule(name) if names.contains(&name));
    let rollbacks = store.rollbacks(run).await?;
    let is_same = |event: &Event| matches!(event, Event::RolledBack { checkpoint: to, .. } if *to == checkpoint);
    if rollbacks.iter().any(|record| is_own(&record.author) && is_same(&record.event)) {
        let step = grouped(checkpoint.step);
        return Ok(Err(format!(
            "The rule has already rolled back to the checkpoint of step {step}, and then found this again."
        )));
    }
    Ok(Ok(checkpoint))
}

fn failed(sentence: &str) -> Result<Option<ActionOutcome>, ApiError> {
    Ok(Some(ActionOutcome::Failed { failure: sentence.to_owned() }))
}

/// An error message as a sentence.
pub(super) fn in_a_sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|first| format!("{}{}", first.to_uppercase(), letters.as_str()));
    first.map_or_else(String::new, with_full_stop)
}

/// A sentence that ends with a full stop, also if its last part is a message with or without one.
pub(super) fn with_full_stop(mut sentence: String) -> String {
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_sentences_with_one_full_stop() {
        for (message, sentence) in
            [("the run is over", "The run is over."), ("It is full. Free space.", "It is full. Free space."), ("", "")]
        {
            assert_eq!(in_a_sentence(message), sentence);
        }
    }
}
