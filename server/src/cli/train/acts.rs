//! Rules that may act on a run that trains without a server. A decision is stored with its finding; its command is numbered and sent to the
//! training, and the event with that number settles it, as in a server ([`crate::runs::acts`]). Nobody could resume a paused run, so a rule that
//! pauses ends it, with a checkpoint from which it can be resumed.

use std::collections::BTreeMap;
use std::sync::mpsc;

use research::rules::{Settings, rule};
use store::{ActionOutcome, OpenCheckpoint, Store, StoredFinding};
use wire::control::author::Author;
use wire::control::command::NumberedCommand;
use wire::diagnosis::{Act, DiagnosisSettings, RunFinding};
use wire::{Command, Event, RunId, RunPlan};

use super::{COMMAND_LINE, TrainError};
use crate::cli::progress_bar::Bar;
use crate::error::ApiError;
use crate::live::clock::now_ms;
use crate::live::feed::report;
use crate::runs::acts::{answered, checkpoint, refuse, rollback_since, without_command};
use crate::runs::remedies::reason;

/// Steps that a rollback goes back at least, and batches that it skips, where the option gives none.
const USUAL_STEPS: u64 = 100;
const USUAL_BATCHES: u64 = 200;
/// The rule on values that are not finite. Training pauses there by itself.
const NON_FINITE: &str = "non_finite";

/// One `--act RULE=ACTION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    rule: String,
    act: Act,
}

/// A text that allows no rule to act.
#[derive(Debug, thiserror::Error)]
#[error("expected RULE=ACTION, such as divergence=stop; an action is pause, stop, rollback or rollback:STEPS:BATCHES")]
pub(super) struct ActOptionError;

/// Reads `RULE=ACTION`.
pub(super) fn parse_act(text: &str) -> Result<Allowed, ActOptionError> {
    let (rule, action) = text.split_once('=').ok_or(ActOptionError)?;
    let number = |text: &str| text.parse().map_err(|_| ActOptionError);
    let act = match action.trim().split(':').collect::<Vec<_>>().as_slice() {
        ["pause"] => Act::Pause,
        ["stop"] => Act::Stop,
        ["rollback"] => Act::RollBackAndSkip { steps: USUAL_STEPS, batches: USUAL_BATCHES },
        ["rollback", steps, batches] => Act::RollBackAndSkip { steps: number(steps)?, batches: number(batches)? },
        _ => return Err(ActOptionError),
    };
    Ok(Allowed { rule: rule.trim().to_owned(), act })
}

/// What the options allow, by rule.
pub(super) fn read(allowed: &[Allowed]) -> Result<BTreeMap<String, Act>, TrainError> {
    let acts: BTreeMap<String, Act> = allowed.iter().map(|one| (one.rule.clone(), one.act)).collect();
    Settings::try_from(&DiagnosisSettings { acts: acts.clone(), ..DiagnosisSettings::default() })?;
    match acts.get(NON_FINITE) {
        Some(Act::RollBackAndSkip { .. }) => Err(TrainError::NotAllowed {
            rule: NON_FINITE.to_owned(),
            why: "a loss or gradient that is not finite ends a training without a server; leave the rule out, or train with \
                  `kindling serve`",
        }),
        _ => Ok(acts),
    }
}

/// Checks that a plan has what the rules may return to.
pub(super) fn check(acts: &BTreeMap<String, Act>, plan: &RunPlan) -> Result<(), TrainError> {
    let returns = |act: &Act| matches!(act, Act::RollBackAndSkip { .. });
    match acts.iter().find(|(_, act)| returns(act)) {
        Some((rule, _)) if plan.recipe.intervals.checkpoint_every == 0 => Err(TrainError::NotAllowed {
            rule: rule.clone(),
            why: "the run saves no checkpoints while it trains; set intervals.checkpoint_every, or allow the rule to pause or stop",
        }),
        _ => Ok(()),
    }
}

/// Stores what the rules of a run may do, with an event in its journal, beside what they were allowed before.
pub(super) async fn allow(store: &Store, run: &RunId, acts: BTreeMap<String, Act>) -> Result<(), TrainError> {
    if acts.is_empty() {
        return Ok(());
    }
    let mut settings = store.diagnosis(run).await?.settings;
    settings.acts.extend(acts);
    let step = store.summary(run).await?.map_or(0, |summary| summary.step);
    let label = |id: &str| rule(id).map_or_else(|| id.to_owned(), |rule| rule.label.to_owned());
    let event = |before: &DiagnosisSettings| {
        let (changes, author) = (before.changes(&settings, label), Author::Person(COMMAND_LINE.to_owned()));
        (!changes.is_empty()).then(|| report(author, step, Event::RulesChanged { changes }, None))
    };
    store.set_rules(run, &settings, event).await?;
    Ok(())
}

/// A rule that has ended a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndedBy {
    /// Label of the rule.
    pub(super) rule: String,
    /// The finding, in sentences.
    pub(super) reason: String,
}

/// Carries out what rules decide about the run of this process.
pub(super) struct Acts {
    store: Store,
    run: RunId,
    commands: mpsc::Sender<NumberedCommand>,
    /// Number of the next command. Numbers of earlier processes are smaller.
    next: u64,
    /// The finding whose command is not answered yet. Several rules may find one fault: a second command is not sent before the first is
    /// answered, and after a rollback the others do not act on what they had found before it.
    in_flight: Option<u64>,
    /// The checkpoint of a rollback that is not answered: it is not pruned meanwhile.
    held: Option<OpenCheckpoint>,
    /// Whether a decision was not settled at the last look.
    has_open: bool,
    ended: Option<EndedBy>,
}

impl Acts {
    pub(super) fn begin(store: &Store, run: &RunId, commands: mpsc::Sender<NumberedCommand>) -> Self {
        Self {
            store: store.clone(),
            run: run.clone(),
            commands,
            next: now_ms().max(0) as u64 * 1000,
            in_flight: None,
            held: None,
            // An earlier process may have left decisions.
            has_open: true,
            ended: None,
        }
    }

    /// Sends the commands of new decisions, and settles those that the training has answered.
    pub(super) async fn look(&mut self, has_news: bool, bar: &Bar) {
        if has_news || self.has_open {
            let looked = self.settle_all(bar).await;
            if let Err(error) = looked {
                bar.print(&format!("the decisions of rules could not be carried out: {error}"));
            }
        }
    }

    /// Settles what is left after the training, and returns the rule that has ended it.
    pub(super) async fn end(mut self, bar: &Bar) -> Option<EndedBy> {
        self.look(true, bar).await;
        self.ended
    }

    async fn settle_all(&mut self, bar: &Bar) -> Result<(), ApiError> {
        self.has_open = false;
        for decision in self.store.open_actions().await? {
            if decision.run == self.run {
                self.act(&decision, bar).await?;
            }
        }
        Ok(())
    }

    async fn act(&mut self, decision: &StoredFinding, bar: &Bar) -> Result<(), ApiError> {
        let StoredFinding { found, command_id, .. } = decision;
        let Some(act) = found.action.as_ref().map(|action| action.act) else { return Ok(()) };
        let mut outcome = answered(&self.store, &self.run, found, *command_id).await?;
        if outcome.is_none() {
            let summary = self.store.summary(&self.run).await?;
            let summary = summary.ok_or_else(|| ApiError::not_found("the run was removed"))?;
            if command_id.is_none()
                && let Some(rollback) = rollback_since(&self.store, &self.run, found).await?
            {
                refuse(&self.store, &summary, found, act, &rollback).await?;
                did_nothing(found, &rollback.failure(), bar);
                return Ok(());
            }
            outcome = without_command(&self.store, &summary, found, act).await?;
        }
        if outcome.is_none() && self.in_flight.is_none() {
            outcome = self.send(found, act, bar).await?;
        }
        match outcome {
            None => self.has_open = true,
            Some(outcome) => self.settle(found, act, outcome, bar).await?,
        }
        Ok(())
    }

    /// Sends the command of a decision; the reason why there is none, if there is none.
    async fn send(&mut self, found: &RunFinding, act: Act, bar: &Bar) -> Result<Option<ActionOutcome>, ApiError> {
        let reason = reason(found);
        let command = match act {
            Act::Pause | Act::Stop => Command::Stop { reason: Some(reason.clone()) },
            Act::RollBackAndSkip { steps, batches } => {
                let chosen = match checkpoint(&self.store, &self.run, found, steps).await? {
                    Ok(chosen) => chosen,
                    Err(failure) => return Ok(Some(ActionOutcome::Failed { failure })),
                };
                self.held = self.store.open_checkpoint(&self.run, chosen).await?;
                Command::Rollback { checkpoint: chosen, skip_batches: batches, reason: Some(reason.clone()) }
            }
        };
        let command_id = self.store.number_action(&self.run, found.id, self.next).await?;
        self.next += 1;
        self.in_flight = Some(found.id);
        let ends = if act == Act::Pause { ", which ends it without a server" } else { "" };
        bar.print(&format!("rule {} {}{ends}: {reason}", found.label, act.phrase()));
        // An error here means that the training has just ended; the decision is settled by that.
        let author = Author::Rule(found.label.clone());
        let _ = self.commands.send(NumberedCommand { command_id, author, command });
        Ok(None)
    }

    async fn settle(
        &mut self,
        found: &RunFinding,
        act: Act,
        outcome: ActionOutcome,
        bar: &Bar,
    ) -> Result<(), ApiError> {
        if self.in_flight == Some(found.id) {
            (self.in_flight, self.held) = (None, None);
        }
        match &outcome {
            ActionOutcome::Failed { failure } => did_nothing(found, failure, bar),
            ActionOutcome::Done { .. } if matches!(act, Act::Pause | Act::Stop) => {
                self.ended = Some(EndedBy { rule: found.label.clone(), reason: reason(found) });
            }
            ActionOutcome::Done { .. } | ActionOutcome::DoneBefore { .. } => {}
        }
        self.store.settle_action(&self.run, found.id, outcome).await?;
        Ok(())
    }
}

fn did_nothing(found: &RunFinding, failure: &str, bar: &Bar) {
    bar.print(&format!("rule {} did nothing about its finding: {failure}", found.label));
}

#[cfg(test)]
mod tests {
    use store::{Moment, NewFinding};
    use wire::diagnosis::{Finding, Level, TakenAction};
    use wire::transport::link::{Item, Report};
    use wire::{CheckpointId, RunState};

    use super::*;
    use crate::live::diagnosis::tests::store_with_run;

    #[tokio::test]
    async fn a_decision_about_a_finding_before_a_rollback_by_another_rule_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (store, run) = store_with_run(folder.path()).await;
        store.set_state(&run, RunState::Running, None).await.unwrap();
        let finding = Finding {
            rule: "divergence".into(),
            level: Level::Alert,
            step: 5,
            first_step: 4,
            value: Some(2.0),
            threshold: 1.0,
            subject: String::new(),
            details: Default::default(),
            evidence: vec![],
        };
        let action = Some(TakenAction { act: Act::Stop, event: None, failure: None, was_done_before: false });
        let found = NewFinding { segment: 0, finding, label: "Divergence".into(), text: "It diverges.".into(), action };
        let moment = Moment { step: 5, found: vec![found], active: vec![] };
        store.record_findings(&run, &[(0, 0, None)], &[moment], 3).await.unwrap();
        // The finding is at a step before the checkpoint, so it is still in the history of the run.
        let checkpoint = CheckpointId { segment: 0, step: 8 };
        let event = Event::RolledBack { checkpoint, from_segment: 0, from_step: 20, skip_batches: 0, best_valid: None };
        let rolled_back = report(Author::Rule("Loss spike".to_owned()), 8, event, None);
        store.ingest(&run, 1, vec![Item::Event(Report { segment: 1, ..rolled_back })]).await.unwrap();
        let (commands, sent) = mpsc::channel();
        Acts::begin(&store, &run, commands).look(true, &Bar::new(0, 10)).await;
        assert!(store.open_actions().await.unwrap().is_empty() && sent.try_recv().is_err());
        let found = store.findings(&run).await.unwrap().remove(0).found;
        let failure = found.action.unwrap().failure.unwrap();
        assert!(failure.starts_with("Rule Loss spike has rolled the run back from step 20 to step 8 "), "{failure}");
        let refused = store.events(&run, 0, 100).await.unwrap().pop().unwrap();
        assert!(matches!(refused.event, Event::Refused { command: Command::Stop { .. }, .. }), "{refused:?}");
    }

    #[test]
    fn an_option_names_a_rule_and_its_action() {
        let check = |text: &str, rule: &str, act: Act| {
            assert_eq!(parse_act(text).unwrap(), Allowed { rule: rule.to_owned(), act }, "{text}");
        };
        check("divergence=stop", "divergence", Act::Stop);
        check(" loss_spike = pause ", "loss_spike", Act::Pause);
        check("loss_spike=rollback", "loss_spike", Act::RollBackAndSkip { steps: 100, batches: 200 });
        check("loss_spike=rollback:50:10", "loss_spike", Act::RollBackAndSkip { steps: 50, batches: 10 });
        for bad in ["", "divergence", "divergence=", "divergence=explode", "a=rollback:5", "a=rollback:x:1", "a=stop:1"]
        {
            assert!(parse_act(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_training_without_a_server_cannot_do_is_refused_with_the_reason() {
        let said = |text: &str| read(&[parse_act(text).unwrap()]).unwrap_err().to_string();
        assert!(said("mood=stop").contains("unknown rule \"mood\""), "{}", said("mood=stop"));
        assert!(
            said("loss_spike=rollback:0:1").contains("enter 1 to 1000000 steps"),
            "{}",
            said("loss_spike=rollback:0:1")
        );
        assert!(said("non_finite=rollback").contains("not finite ends a training"), "{}", said("non_finite=rollback"));
        assert_eq!(read(&[parse_act("non_finite=stop").unwrap()]).unwrap().len(), 1);
    }
}
