//! The history of a run: a tree of segments, read from its journal. The run's path leads from the root to the newest segment; the other
//! segments are abandoned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{Origin, RunPlan};
use crate::control::checkpoint::{CheckpointId, CheckpointRef};
use crate::control::command::Command;
use crate::control::event::{Event, EventRecord};
use crate::control::live::{self, LiveHyperparameters};
use crate::id::RunId;

/// A part of a run with one unbroken history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Segment {
    /// Number in the run, from 0.
    pub segment: u32,
    /// First step.
    pub from_step: u64,
    /// The segment that it branched from; `None` for the first.
    pub parent: Option<u32>,
    /// Number of the rollback event that opened it; `None` for the first.
    pub opened_by: Option<u64>,
}

/// A part of a run's path: steps `from_step..to_step` of one segment of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Span {
    pub run: RunId,
    /// Segment of the run.
    pub segment: u32,
    /// First step.
    pub from_step: u64,
    /// One past the last step; `None` for the newest segment.
    pub to_step: Option<u64>,
}

/// The past of a run, which its worker needs to resume it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Checkpoints on its path, newest first; a fork's origin last.
    pub checkpoints: Vec<PathCheckpoint>,
    /// The changes on its path, in order.
    pub changes: Vec<EventRecord>,
    /// Automatic events on the path, which the worker must not report again.
    pub reported: Vec<Reported>,
    /// Number of the newest segment; a rollback opens the next.
    pub last_segment: u32,
    /// Number of steps whose values are stored.
    pub recorded: u64,
    /// Training time so far, seconds.
    pub secs: f64,
    /// Whether to pause after the recorded steps.
    pub is_paused: bool,
}

/// A checkpoint that a run can resume from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathCheckpoint {
    /// Run and checkpoint.
    pub at: CheckpointRef,
    /// Number of changes of [`Past::changes`] that it includes.
    pub changes: u32,
}

/// An automatic event: kind, segment, step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reported {
    /// Kind of the event: `evaluated`, `sampled`, `checkpointed`, ...
    pub kind: String,
    /// Segment of the run's history.
    pub segment: u32,
    /// Step of the event.
    pub step: u64,
}

impl Reported {
    /// The key of an event that a resumed run would report again; `None` for other events.
    pub fn new(event: &Event, segment: u32, step: u64) -> Option<Self> {
        let kind = match event {
            Event::Evaluated { .. } => "evaluated",
            Event::Sampled { .. } => "sampled",
            Event::Checkpointed { .. } => "checkpointed",
            Event::NonFinite { .. } => "non_finite",
            Event::BudgetReached { .. } => "budget_reached",
            Event::Forked { .. } => "forked",
            Event::Paused => "paused",
            _ => return None,
        };
        Some(Self { kind: kind.into(), segment, step })
    }
}

/// The tree of changes of a journal.
#[derive(Debug, Clone)]
pub struct History {
    planned: LiveHyperparameters,
    /// Changes, each with the previous one on its path.
    nodes: Vec<Node>,
    /// The last change on each segment's path, by segment.
    heads: BTreeMap<u32, Option<usize>>,
    segments: Vec<Segment>,
    checkpoints: Vec<(CheckpointId, Option<usize>)>,
    reported: Vec<Reported>,
}

#[derive(Debug, Clone)]
struct Node {
    before: Option<usize>,
    /// Number of changes on this path, up to and including this one.
    depth: u32,
    record: EventRecord,
}

impl History {
    /// The history of a run without a journal.
    pub fn new(plan: &RunPlan) -> Self {
        let from_step = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
        Self {
            planned: plan.live(),
            nodes: vec![],
            heads: BTreeMap::from([(0, None)]),
            segments: vec![Segment { segment: 0, from_step, parent: None, opened_by: None }],
            checkpoints: vec![],
            reported: vec![],
        }
    }

    /// Reads a complete journal, in order.
    pub fn read<'a>(plan: &RunPlan, records: impl IntoIterator<Item = &'a EventRecord>) -> Self {
        let mut history = Self::new(plan);
        records.into_iter().for_each(|record| history.append(record));
        history
    }

    /// Adds the next event of the journal.
    pub fn append(&mut self, record: &EventRecord) {
        self.reported.extend(Reported::new(&record.event, record.segment, record.step));
        match &record.event {
            Event::Checkpointed { checkpoint } => {
                let at = self.ancestor(self.head(checkpoint.id.segment), checkpoint.changes);
                self.checkpoints.retain(|(id, _)| *id != checkpoint.id);
                self.checkpoints.push((checkpoint.id, at));
            }
            Event::RolledBack { checkpoint, .. } => {
                let before = self.node_of(*checkpoint);
                self.segments.push(Segment {
                    segment: record.segment,
                    from_step: checkpoint.step,
                    parent: Some(checkpoint.segment),
                    opened_by: Some(record.number),
                });
                self.push(before, record);
            }
            event if event.is_change() => self.push(self.head(record.segment), record),
            _ => {}
        }
    }

    fn push(&mut self, before: Option<usize>, record: &EventRecord) {
        let depth = before.map_or(0, |at| self.nodes[at].depth) + 1;
        self.nodes.push(Node { before, depth, record: record.clone() });
        self.heads.insert(record.segment, Some(self.nodes.len() - 1));
    }

    fn head(&self, segment: u32) -> Option<usize> {
        self.heads.get(&segment).copied().flatten()
    }

    /// The change number `depth` on the path to `from`; `None` for 0.
    fn ancestor(&self, mut from: Option<usize>, depth: u32) -> Option<usize> {
        let offset = self.planned.changes;
        while let Some(at) = from.filter(|at| self.nodes[*at].depth + offset > depth) {
            from = self.nodes[at].before;
        }
        from
    }

    fn node_of(&self, checkpoint: CheckpointId) -> Option<usize> {
        let known = self.checkpoints.iter().find(|(id, _)| *id == checkpoint);
        known.map_or_else(|| self.head(checkpoint.segment), |(_, at)| *at)
    }

    /// Number of the newest segment, where the path ends.
    pub fn last_segment(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.segment)
    }

    /// All segments, abandoned ones too.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The changes on the current path, in order.
    pub fn path(&self) -> Vec<&EventRecord> {
        self.path_to(self.head(self.last_segment()))
    }

    /// The changes on the path to the end of a segment, in order; of an abandoned one too.
    pub fn path_of(&self, segment: u32) -> Vec<&EventRecord> {
        self.path_to(self.head(segment))
    }

    fn path_to(&self, mut from: Option<usize>) -> Vec<&EventRecord> {
        let mut path = vec![];
        while let Some(at) = from {
            path.push(&self.nodes[at].record);
            from = self.nodes[at].before;
        }
        path.reverse();
        path
    }

    /// The hyperparameters in force.
    pub fn hyperparameters(&self) -> LiveHyperparameters {
        self.hyperparameters_of(self.head(self.last_segment()))
    }

    /// The hyperparameters in force at a checkpoint.
    pub fn hyperparameters_at(&self, checkpoint: CheckpointId) -> LiveHyperparameters {
        self.hyperparameters_of(self.node_of(checkpoint))
    }

    fn hyperparameters_of(&self, node: Option<usize>) -> LiveHyperparameters {
        let mut hyperparameters = self.planned.clone();
        self.path_to(node).into_iter().for_each(|record| hyperparameters.apply(&record.event, record.step));
        hyperparameters
    }

    /// The current path, as (segment, first step, one past the last).
    pub fn spans(&self) -> Vec<(u32, u64, Option<u64>)> {
        self.spans_back(self.segments.last(), None)
    }

    /// The path to a checkpoint, also of an abandoned segment, as (segment, first step, one past the last).
    pub fn spans_to(&self, checkpoint: CheckpointId) -> Vec<(u32, u64, Option<u64>)> {
        self.spans_back(self.segment(checkpoint.segment), Some(checkpoint.step))
    }

    fn segment(&self, number: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.segment == number)
    }

    fn spans_back<'a>(&'a self, mut at: Option<&'a Segment>, mut end: Option<u64>) -> Vec<(u32, u64, Option<u64>)> {
        let mut spans = vec![];
        while let Some(segment) = at {
            if end.is_none_or(|end| end > segment.from_step) || segment.parent.is_none() {
                spans.push((segment.segment, segment.from_step, end));
                end = Some(segment.from_step);
            }
            at = segment.parent.and_then(|parent| self.segment(parent));
        }
        spans.reverse();
        spans
    }

    /// The newest of the checkpoints `kept` on the way to a step of a segment, also of an abandoned one.
    pub fn checkpoint_towards(&self, at: CheckpointId, kept: &[CheckpointId]) -> Option<CheckpointId> {
        let is_on_path = self.on_path_to(at);
        let on_path = kept.iter().filter(|id| is_on_path(id.segment, id.step));
        on_path.max_by_key(|id| (id.step, id.segment)).copied()
    }

    /// Whether a step of a segment is on the path to a checkpoint, its own step included; for many steps.
    pub fn on_path_to(&self, checkpoint: CheckpointId) -> impl Fn(u32, u64) -> bool + use<> {
        let spans = self.spans_to(checkpoint);
        move |segment, step| has_state(&spans, segment, step)
    }

    /// The hyperparameters at the end of a segment, with the batches that its path has skipped.
    pub fn hyperparameters_in(&self, segment: u32) -> LiveHyperparameters {
        self.hyperparameters_of(self.head(segment))
    }

    /// The checkpoints of `kept` on the path, newest first, with the number of changes that each includes.
    pub fn path_checkpoints(&self, run: &RunId, kept: &[CheckpointId]) -> Vec<PathCheckpoint> {
        let path = self.node_path();
        let mut found: Vec<(usize, PathCheckpoint)> = vec![];
        for (order, (segment, from, to)) in self.spans().into_iter().enumerate() {
            for checkpoint in
                kept.iter().filter(|id| id.segment == segment && id.step >= from && to.is_none_or(|to| id.step <= to))
            {
                // A checkpoint that includes a change which the path omits is not on the path, although its step is.
                let Some(changes) = path.iter().position(|node| *node == self.node_of(*checkpoint)) else { continue };
                let at = CheckpointRef { run: run.clone(), checkpoint: *checkpoint };
                found.push((order, PathCheckpoint { at, changes: changes as u32 }));
            }
        }
        found.sort_by_key(|(order, found)| std::cmp::Reverse((found.at.checkpoint.step, *order, found.changes)));
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// The nodes of the path: `None` for the beginning, then each change.
    fn node_path(&self) -> Vec<Option<usize>> {
        let mut path = vec![];
        let mut from = self.head(self.last_segment());
        while let Some(at) = from {
            path.push(Some(at));
            from = self.nodes[at].before;
        }
        path.push(None);
        path.reverse();
        path
    }

    /// The command that undoes a change on the path from `step` on by the inverse change.
    pub fn inverse(&self, number: u64, step: u64, reason: String) -> Option<Command> {
        let path = self.path();
        let at = path.iter().position(|record| record.number == number)?;
        let mut before = self.planned.clone();
        path[..at].iter().for_each(|record| before.apply(&record.event, record.step));
        live::inverse(&path[at].event, &before, step, reason)
    }

    /// The checkpoint to roll back to, in order to undo a change on the path and everything after it.
    pub fn checkpoint_before(&self, number: u64, kept: &[CheckpointId]) -> Option<CheckpointId> {
        let at = self.node_path().into_iter().flatten().find(|at| self.nodes[*at].record.number == number)?;
        let Node { before, record, .. } = &self.nodes[at];
        if let Event::RolledBack { from_segment, from_step, .. } = record.event {
            let abandoned = CheckpointId { segment: from_segment, step: from_step };
            return kept.contains(&abandoned).then_some(abandoned);
        }
        kept.iter()
            .copied()
            .find(|id| (id.segment, id.step) == (record.segment, record.step) && self.node_of(*id) == *before)
    }

    /// The newest change on the path.
    pub fn last_change(&self) -> Option<&EventRecord> {
        self.head(self.last_segment()).map(|at| &self.nodes[at].record)
    }

    /// The past that a worker needs, from the stored checkpoints, the origin of a fork, and the progress so far.
    pub fn past(&self, run: &RunId, kept: &[CheckpointId], origin: Option<&Origin>, recorded: u64, secs: f64) -> Past {
        let mut checkpoints = self.path_checkpoints(run, kept);
        checkpoints.extend(origin.map(|origin| PathCheckpoint { at: origin.from.clone(), changes: 0 }));
        let spans = self.spans();
        let on_path = |reported: &&Reported| has_state(&spans, reported.segment, reported.step);
        Past {
            checkpoints,
            changes: self.path().into_iter().cloned().collect(),
            reported: self.reported.iter().filter(on_path).cloned().collect(),
            last_segment: self.last_segment(),
            recorded,
            secs,
            is_paused: false,
        }
    }
}

/// Whether a path has the state before a step of a segment. The one after the last step of a span is that from which the path branches off.
fn has_state(spans: &[(u32, u64, Option<u64>)], segment: u32, step: u64) -> bool {
    spans.iter().any(|(of, from, to)| *of == segment && step >= *from && to.is_none_or(|to| step <= to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::author::Author;
    use crate::control::checkpoint::{Cause, CheckpointInfo};
    use crate::hyperparameters::live_path::LivePath;

    fn id(segment: u32, step: u64) -> CheckpointId {
        CheckpointId { segment, step }
    }

    struct Journal(RunPlan, Vec<EventRecord>);

    impl Journal {
        fn add(&mut self, segment: u32, step: u64, event: Event) -> u64 {
            let number = self.1.len() as u64 + 1;
            self.1.push(EventRecord {
                number,
                segment,
                step,
                at_ms: 0,
                author: Author::System,
                command_id: None,
                reason: None,
                event,
            });
            number
        }

        fn clip(&mut self, segment: u32, step: u64, new: f64) -> u64 {
            self.add(segment, step, Event::Changed { path: LivePath::GRAD_CLIP, old: 0.0, new })
        }

        fn save(&mut self, segment: u32, step: u64, changes: u32) {
            let checkpoint = CheckpointInfo {
                id: id(segment, step),
                cause: Cause::Requested,
                at_ms: 0,
                bytes: 0,
                hash: String::new(),
                changes,
                loss_train: None,
                loss_valid: None,
                best_valid: None,
            };
            self.add(segment, step, Event::Checkpointed { checkpoint });
        }

        fn back(&mut self, segment: u32, to: CheckpointId, from: CheckpointId) -> u64 {
            let (from_segment, from_step) = (from.segment, from.step);
            let event =
                Event::RolledBack { checkpoint: to, from_segment, from_step, skip_batches: 5, best_valid: None };
            self.add(segment, to.step, event)
        }

        fn read(&self) -> History {
            History::read(&self.0, &self.1)
        }
    }

    fn journal() -> Journal {
        Journal(crate::run::plan::tests::plan_of(r#"{"corpus":"tales"}"#), vec![])
    }

    #[test]
    fn a_rollback_drops_later_changes_and_can_be_undone() {
        let mut journal = journal();
        journal.clip(0, 10, 2.0);
        // Saved just before the change at 20, and reported after it.
        let at_twenty = journal.clip(0, 20, 3.0);
        journal.save(0, 20, 1);
        journal.save(0, 30, 2);
        journal.save(0, 40, 2);
        assert_eq!(journal.read().hyperparameters().optimizer.grad_clip, 3.0);
        let history = journal.read();
        assert_eq!(history.hyperparameters_at(id(0, 20)).optimizer.grad_clip, 2.0);
        assert_eq!(history.checkpoint_before(at_twenty, &[id(0, 20), id(0, 30)]), Some(id(0, 20)));
        let rolled = journal.back(1, id(0, 20), id(0, 40));
        journal.clip(1, 25, 4.0);
        let history = journal.read();
        assert_eq!(
            (
                history.hyperparameters().optimizer.grad_clip,
                history.hyperparameters().skipped,
                history.hyperparameters().changes
            ),
            (4.0, 5, 3)
        );
        assert_eq!(history.spans(), [(0, 0, Some(20)), (1, 20, None)]);
        // The abandoned branch has its own checkpoints, and the batches of before the rollback.
        let of_branch =
            |segment, step| history.checkpoint_towards(id(segment, step), &[id(0, 20), id(0, 30), id(1, 24)]);
        assert_eq!([of_branch(0, 33), of_branch(0, 25)], [Some(id(0, 30)), Some(id(0, 20))]);
        assert_eq!([of_branch(1, 33), of_branch(1, 23), of_branch(0, 9)], [Some(id(1, 24)), Some(id(0, 20)), None]);
        assert_eq!([0, 1].map(|segment| history.hyperparameters_in(segment).skipped_at(22)), [0, 5]);
        let kept = [id(0, 20), id(0, 30), id(0, 40)];
        let on_path = history.path_checkpoints(&"r".parse().unwrap(), &kept);
        assert_eq!(on_path.iter().map(|c| (c.at.checkpoint, c.changes)).collect::<Vec<_>>(), [(id(0, 20), 1)]);
        assert_eq!(history.spans_to(id(0, 40)), [(0, 0, Some(40))], "an abandoned segment has a path too");
        assert_eq!(history.spans_to(id(1, 30)), [(0, 0, Some(20)), (1, 20, Some(30))]);
        assert_eq!(history.checkpoint_before(rolled, &kept), Some(id(0, 40)));
        journal.back(2, id(0, 40), id(1, 28));
        let history = journal.read();
        assert_eq!(
            (history.hyperparameters().optimizer.grad_clip, history.spans()),
            (3.0, vec![(0, 0, Some(40)), (2, 40, None)])
        );
    }

    #[test]
    fn a_change_is_undone_by_its_inverse() {
        let mut journal = journal();
        let planned = journal.0.live().schedule;
        let number = journal.add(0, 150, Event::Changed { path: LivePath::LEARNING_RATE, old: 1e-3, new: 5e-4 });
        let history = journal.read();
        let undo = history.inverse(number, 180, "no".into()).unwrap();
        let mut hyperparameters = history.hyperparameters();
        assert!(hyperparameters.schedule.learning_rate(200) < 0.6 * planned.learning_rate(200));
        let event = hyperparameters.change(&undo, 180).unwrap().unwrap();
        hyperparameters.apply(&event, 180);
        assert_eq!(hyperparameters.schedule.learning_rate(200), planned.learning_rate(200));
        assert_ne!(
            hyperparameters.schedule.learning_rate(160),
            planned.learning_rate(160),
            "earlier steps stay as they were"
        );
    }

    #[test]
    fn the_past_has_the_events_of_the_path_only() {
        let mut journal = journal();
        let seen = Event::Evaluated { loss_nats: 1.0, bits_per_byte: 1.0, windows: None };
        journal.add(0, 10, seen.clone());
        journal.save(0, 15, 0);
        journal.add(0, 20, seen.clone());
        journal.clip(0, 21, 2.0);
        journal.back(1, id(0, 15), id(0, 30));
        journal.add(1, 18, seen);
        let past = journal.read().past(&"r".parse().unwrap(), &[id(0, 15)], None, 19, 1.0);
        let reported: Vec<_> =
            past.reported.iter().filter(|reported| reported.kind == "evaluated").map(|t| (t.segment, t.step)).collect();
        assert_eq!((reported, past.changes.len(), past.last_segment), (vec![(0, 10), (1, 18)], 1, 1));
        assert_eq!(past.checkpoints.len(), 1);
    }
}
