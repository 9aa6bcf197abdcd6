//! Several rules that find one fault: after one of them has rolled the run back, the others do not carry out what they decided about findings
//! of before. The journal says so.

use store::{Recorded, Store, StoreError};
use wire::control::author::Author;
use wire::diagnosis::{Act, RunFinding};
use wire::number::grouped;
use wire::run::history::History;
use wire::{CheckpointId, Command, Event, EventRecord, RunId, RunSummary};

use super::in_a_sentence;
use crate::live::feed::report;
use crate::runs::remedies::reason;

/// A rollback by a rule.
pub(crate) struct RuleRollback {
    rule: String,
    /// Where the run was.
    from: CheckpointId,
    to: CheckpointId,
}

impl RuleRollback {
    /// The rollback of an event; `None` for other events and those of people.
    fn of(record: &EventRecord) -> Option<Self> {
        match (&record.author, &record.event) {
            (Author::Rule(rule), Event::RolledBack { checkpoint, from_segment, from_step, .. }) => Some(Self {
                rule: rule.clone(),
                from: CheckpointId { segment: *from_segment, step: *from_step },
                to: *checkpoint,
            }),
            _ => None,
        }
    }

    /// Whether the run was at a step after a finding when it was rolled back.
    fn is_since(&self, history: &History, found: &RunFinding) -> bool {
        history.on_path_to(self.from)(found.segment, found.finding.step)
    }

    /// Why a decision of another rule is not carried out after the rollback.
    fn why(&self) -> String {
        format!(
            "rule {} has rolled the run back from step {} to step {} since this finding, which may have had the same cause",
            self.rule,
            grouped(self.from.step),
            grouped(self.to.step)
        )
    }

    /// As a sentence.
    pub(crate) fn failure(&self) -> String {
        in_a_sentence(&self.why())
    }
}

/// The newest rollback by a rule from a step after a finding.
///
/// # Errors
/// An error of the store.
pub(crate) async fn rollback_since(
    store: &Store,
    run: &RunId,
    found: &RunFinding,
) -> Result<Option<RuleRollback>, StoreError> {
    let history = store.history(run).await?;
    let rollbacks = store.rollbacks(run).await?;
    let mut by_rules = rollbacks.iter().rev().filter_map(RuleRollback::of);
    Ok(by_rules.find(|rollback| rollback.is_since(&history, found)))
}

/// Settles a decision that is not carried out because of a rollback by a rule. Returns the event that the journal records.
///
/// # Errors
/// An error of the store.
pub(crate) async fn refuse(
    store: &Store,
    summary: &RunSummary,
    found: &RunFinding,
    act: Act,
    rollback: &RuleRollback,
) -> Result<(EventRecord, Recorded), StoreError> {
    let reason = Some(reason(found));
    let command = match act {
        Act::Pause => Command::Pause { reason },
        Act::Stop => Command::Stop { reason },
        Act::RollBackAndSkip { batches, .. } => {
            Command::Rollback { checkpoint: rollback.to, skip_batches: batches, reason }
        }
    };
    let event = Event::Refused { command, message: rollback.why() };
    let report = report(Author::Rule(found.label.clone()), summary.step, event, None);
    store.refuse_action(&summary.id, found.id, report, rollback.failure()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::diagnosis::tests::store_with_run;
    use crate::runs::remedies::tests::found;
    use wire::diagnosis::Level;

    fn rolled_back(number: u64, author: Author, from: CheckpointId, to: CheckpointId) -> EventRecord {
        let event = Event::RolledBack {
            checkpoint: to,
            from_segment: from.segment,
            from_step: from.step,
            skip_batches: 0,
            best_valid: None,
        };
        let (segment, step) = (from.segment + 1, to.step);
        EventRecord { number, segment, step, at_ms: 0, author, command_id: None, reason: None, event }
    }

    #[tokio::test]
    async fn a_rollback_concerns_the_findings_before_the_step_that_it_left() {
        let folder = tempfile::tempdir().unwrap();
        let (store, run) = store_with_run(folder.path()).await;
        let plan = store.run(&run).await.unwrap().unwrap().plan;
        let id = |segment, step| CheckpointId { segment, step };
        let rule = || Author::Rule("Loss spike".to_owned());
        let events = [rolled_back(1, rule(), id(0, 160), id(0, 100)), rolled_back(2, rule(), id(1, 130), id(1, 110))];
        let history = History::read(&plan, &events);
        let [first, second] = [&events[0], &events[1]].map(|event| RuleRollback::of(event).unwrap());
        let concerns = |rollback: &RuleRollback, segment: u32, step: u64| {
            let found = RunFinding { segment, ..found("divergence", Level::Alert, step, step) };
            rollback.is_since(&history, &found)
        };
        // Also one before the checkpoint, which is still on the path of the run.
        assert_eq!([80, 150, 160].map(|step| concerns(&first, 0, step)), [true; 3]);
        assert!(!concerns(&first, 1, 120), "found after the rollback");
        assert_eq!(
            [(1, 120), (0, 80), (0, 150), (2, 120)].map(|(of, step)| concerns(&second, of, step)),
            [true, true, false, false]
        );
        let by_person = rolled_back(3, Author::Person("ada".into()), id(2, 150), id(2, 140));
        assert!(RuleRollback::of(&by_person).is_none());
    }
}
