//! A run's history: a tree of stretches, read from its journal. The run's path is one line through that tree; the rest are ghosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointId, CheckpointRef};
use crate::command::Command;
use crate::dials::Dials;
use crate::event::{Event, EventRecord};
use crate::id::RunId;
use crate::plan::RunPlan;

/// Where a fork begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Origin {
    /// Whose state it begins with.
    pub from: CheckpointRef,
    /// The parent's dials there.
    pub dials: Dials,
    /// The parent's lowest validation loss up to there.
    pub best_valid: Option<f64>,
}

/// A stretch of a run with one unbroken history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Segment {
    /// Its number in the run.
    pub segment: u32,
    /// Its first step.
    pub from_step: u64,
    /// The segment of the same run that it left, none for the first.
    pub parent: Option<u32>,
    /// Line of the journal that opened it, none for the first.
    pub opened_by: Option<u64>,
}

/// A part of a run's path: steps `from_step..to_step` of one segment of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Span {
    /// Which run.
    pub run: RunId,
    /// Which of its segments.
    pub segment: u32,
    /// First step.
    pub from_step: u64,
    /// One past the last; none where it still grows.
    pub to_step: Option<u64>,
}

/// What a run has behind it when a worker takes it on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Checkpoints on its path, newest first; a fork's origin last.
    pub checkpoints: Vec<PathCheckpoint>,
    /// The changes on its path, in order.
    pub changes: Vec<EventRecord>,
    /// Lines that the lab itself wrote on the path and that are not to be told twice.
    pub told: Vec<Told>,
    /// Number of the newest segment; a rollback opens the next.
    pub last_segment: u32,
    /// Steps whose values are stored.
    pub recorded: u64,
    /// Seconds at work so far.
    pub secs: f64,
    /// Hold once the recorded steps are done.
    pub is_paused: bool,
}

/// A checkpoint that a run can go on from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathCheckpoint {
    /// Whose, and which.
    pub at: CheckpointRef,
    /// Changes of [`Past::changes`] that it holds.
    pub changes: u32,
}

/// A line of the lab's own: kind, segment, step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    /// `evaluated`, `sampled`, `checkpointed` and the like.
    pub kind: String,
    /// Segment.
    pub segment: u32,
    /// Step.
    pub step: u64,
}

impl Told {
    /// The key of a line that a resumed run would write again.
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

/// A journal read into the tree of its changes.
#[derive(Debug, Clone)]
pub struct History {
    planned: Dials,
    /// Changes, each with the one before it on its path.
    nodes: Vec<Node>,
    /// The last change on each segment's path, by segment.
    heads: BTreeMap<u32, Option<usize>>,
    segments: Vec<Segment>,
    checkpoints: Vec<(CheckpointId, Option<usize>)>,
    told: Vec<Told>,
}

#[derive(Debug, Clone)]
struct Node {
    before: Option<usize>,
    /// Changes up to and with this one, on this path.
    depth: u32,
    record: EventRecord,
}

impl History {
    /// A run without a journal yet.
    pub fn new(plan: &RunPlan) -> Self {
        let from_step = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
        Self {
            planned: Dials::new(plan),
            nodes: vec![],
            heads: BTreeMap::from([(0, None)]),
            segments: vec![Segment { segment: 0, from_step, parent: None, opened_by: None }],
            checkpoints: vec![],
            told: vec![],
        }
    }

    /// A whole journal, in order.
    pub fn read<'a>(plan: &RunPlan, records: impl IntoIterator<Item = &'a EventRecord>) -> Self {
        let mut history = Self::new(plan);
        records.into_iter().for_each(|record| history.take(record));
        history
    }

    /// The next line of the journal.
    pub fn take(&mut self, record: &EventRecord) {
        self.told.extend(Told::new(&record.event, record.segment, record.step));
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

    /// The change on the path to `from` that is the `depth`-th, none for none.
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

    /// The newest segment, which is the one on the path.
    pub fn last_segment(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.segment)
    }

    /// Every stretch, abandoned ones too.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The changes on the path to the present, in order.
    pub fn path(&self) -> Vec<&EventRecord> {
        self.path_to(self.head(self.last_segment()))
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

    /// The dials now.
    pub fn dials(&self) -> Dials {
        self.dials_of(self.head(self.last_segment()))
    }

    /// The dials that a checkpoint holds.
    pub fn dials_at(&self, checkpoint: CheckpointId) -> Dials {
        self.dials_of(self.node_of(checkpoint))
    }

    fn dials_of(&self, node: Option<usize>) -> Dials {
        let mut dials = self.planned.clone();
        self.path_to(node).into_iter().for_each(|record| dials.apply(&record.event, record.step));
        dials
    }

    /// The path to the present, as (segment, first step, one past the last).
    pub fn spans(&self) -> Vec<(u32, u64, Option<u64>)> {
        self.spans_back(self.segments.last(), None)
    }

    /// The path to a checkpoint, ghost or not, likewise.
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

    /// Of the given checkpoints, those on the path, newest first, with the changes each holds.
    pub fn path_checkpoints(&self, run: &RunId, kept: &[CheckpointId]) -> Vec<PathCheckpoint> {
        let path = self.node_path();
        let mut found: Vec<(usize, PathCheckpoint)> = vec![];
        for (order, (segment, from, to)) in self.spans().into_iter().enumerate() {
            for checkpoint in
                kept.iter().filter(|id| id.segment == segment && id.step >= from && to.is_none_or(|to| id.step <= to))
            {
                // One that holds a change which the path left out is not on it, though its step is.
                let Some(changes) = path.iter().position(|node| *node == self.node_of(*checkpoint)) else { continue };
                let at = CheckpointRef { run: run.clone(), checkpoint: *checkpoint };
                found.push((order, PathCheckpoint { at, changes: changes as u32 }));
            }
        }
        found.sort_by_key(|(order, found)| std::cmp::Reverse((found.at.checkpoint.step, *order, found.changes)));
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// No change, then each change on the path in turn.
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

    /// The command that undoes a change on the path by its opposite from `step` on.
    pub fn inverse(&self, number: u64, step: u64, reason: String) -> Option<Command> {
        let path = self.path();
        let at = path.iter().position(|record| record.number == number)?;
        let mut before = self.planned.clone();
        path[..at].iter().for_each(|record| before.apply(&record.event, record.step));
        crate::dials::inverse(&path[at].event, &before, step, reason)
    }

    /// The checkpoint to go back to, to undo a change on the path and all that came after it.
    pub fn checkpoint_before(&self, number: u64, kept: &[CheckpointId]) -> Option<CheckpointId> {
        let at = self.node_path().into_iter().flatten().find(|at| self.nodes[*at].record.number == number)?;
        let Node { before, record, .. } = &self.nodes[at];
        if let Event::RolledBack { from_segment, from_step, .. } = record.event {
            let left = CheckpointId { segment: from_segment, step: from_step };
            return kept.contains(&left).then_some(left);
        }
        kept.iter()
            .copied()
            .find(|id| (id.segment, id.step) == (record.segment, record.step) && self.node_of(*id) == *before)
    }

    /// The newest change on the path.
    pub fn last_change(&self) -> Option<&EventRecord> {
        self.head(self.last_segment()).map(|at| &self.nodes[at].record)
    }

    /// What a worker needs to go on, given the checkpoints that are kept, newest knowledge of progress, and the fork's origin.
    pub fn past(&self, run: &RunId, kept: &[CheckpointId], origin: Option<&Origin>, recorded: u64, secs: f64) -> Past {
        let mut checkpoints = self.path_checkpoints(run, kept);
        checkpoints.extend(origin.map(|origin| PathCheckpoint { at: origin.from.clone(), changes: 0 }));
        let spans = self.spans();
        let on_path = |told: &&Told| {
            spans.iter().any(|(segment, from, to)| {
                told.segment == *segment && told.step >= *from && to.is_none_or(|to| told.step <= to)
            })
        };
        Past {
            checkpoints,
            changes: self.path().into_iter().cloned().collect(),
            told: self.told.iter().filter(on_path).cloned().collect(),
            last_segment: self.last_segment(),
            recorded,
            secs,
            is_paused: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Cause, CheckpointInfo};
    use crate::command::SetField;
    use crate::event::Author;

    fn id(segment: u32, step: u64) -> CheckpointId {
        CheckpointId { segment, step }
    }

    struct Story(RunPlan, Vec<EventRecord>);

    impl Story {
        fn tell(&mut self, segment: u32, step: u64, event: Event) -> u64 {
            let number = self.1.len() as u64 + 1;
            self.1.push(EventRecord {
                number,
                segment,
                step,
                at_ms: 0,
                author: Author::Lab,
                command_id: None,
                reason: None,
                event,
            });
            number
        }

        fn clip(&mut self, segment: u32, step: u64, new: f64) -> u64 {
            self.tell(segment, step, Event::Changed { field: SetField::Clip, old: 0.0, new })
        }

        fn save(&mut self, segment: u32, step: u64, changes: u32) {
            let checkpoint = CheckpointInfo {
                id: id(segment, step),
                cause: Cause::Asked,
                at_ms: 0,
                bytes: 0,
                hash: String::new(),
                changes,
                loss_train: None,
                loss_valid: None,
                best_valid: None,
            };
            self.tell(segment, step, Event::Checkpointed { checkpoint });
        }

        fn back(&mut self, segment: u32, to: CheckpointId, from: CheckpointId) -> u64 {
            let (from_segment, from_step) = (from.segment, from.step);
            let event =
                Event::RolledBack { checkpoint: to, from_segment, from_step, skip_batches: 5, best_valid: None };
            self.tell(segment, to.step, event)
        }

        fn read(&self) -> History {
            History::read(&self.0, &self.1)
        }
    }

    fn story() -> Story {
        Story(crate::plan::tests::plan_of(r#"{"corpus":"tales"}"#), vec![])
    }

    #[test]
    fn a_rollback_forgets_what_came_after_its_checkpoint_and_can_be_undone() {
        let mut story = story();
        story.clip(0, 10, 2.0);
        // Saved just before the change at 20, and told of after it.
        let at_twenty = story.clip(0, 20, 3.0);
        story.save(0, 20, 1);
        story.save(0, 30, 2);
        story.save(0, 40, 2);
        assert_eq!(story.read().dials().clip, 3.0);
        let history = story.read();
        assert_eq!(history.dials_at(id(0, 20)).clip, 2.0);
        assert_eq!(history.checkpoint_before(at_twenty, &[id(0, 20), id(0, 30)]), Some(id(0, 20)));
        let rolled = story.back(1, id(0, 20), id(0, 40));
        story.clip(1, 25, 4.0);
        let history = story.read();
        assert_eq!((history.dials().clip, history.dials().skipped, history.dials().changes), (4.0, 5, 3));
        assert_eq!(history.spans(), [(0, 0, Some(20)), (1, 20, None)]);
        let kept = [id(0, 20), id(0, 30), id(0, 40)];
        let on_path = history.path_checkpoints(&"r".parse().unwrap(), &kept);
        assert_eq!(on_path.iter().map(|c| (c.at.checkpoint, c.changes)).collect::<Vec<_>>(), [(id(0, 20), 1)]);
        assert_eq!(history.spans_to(id(0, 40)), [(0, 0, Some(40))], "a ghost has a path too");
        assert_eq!(history.spans_to(id(1, 30)), [(0, 0, Some(20)), (1, 20, Some(30))]);
        assert_eq!(history.checkpoint_before(rolled, &kept), Some(id(0, 40)));
        story.back(2, id(0, 40), id(1, 28));
        let history = story.read();
        assert_eq!((history.dials().clip, history.spans()), (3.0, vec![(0, 0, Some(40)), (2, 40, None)]));
    }

    #[test]
    fn a_change_is_undone_by_its_opposite() {
        let mut story = story();
        let planned = Dials::new(&story.0).schedule;
        let number = story.tell(0, 150, Event::Changed { field: SetField::Rate, old: 1e-3, new: 5e-4 });
        let history = story.read();
        let undo = history.inverse(number, 180, "no".into()).unwrap();
        let mut dials = history.dials();
        assert!(dials.schedule.rate(200) < 0.6 * planned.rate(200));
        let event = dials.change(&undo, 180).unwrap().unwrap();
        dials.apply(&event, 180);
        assert_eq!(dials.schedule.rate(200), planned.rate(200));
        assert_ne!(dials.schedule.rate(160), planned.rate(160), "what is past stays as it was");
    }

    #[test]
    fn a_worker_is_told_what_is_on_the_path_and_nothing_else() {
        let mut story = story();
        let seen = Event::Evaluated { loss_nats: 1.0, bits_per_byte: 1.0 };
        story.tell(0, 10, seen.clone());
        story.save(0, 15, 0);
        story.tell(0, 20, seen.clone());
        story.clip(0, 21, 2.0);
        story.back(1, id(0, 15), id(0, 30));
        story.tell(1, 18, seen);
        let past = story.read().past(&"r".parse().unwrap(), &[id(0, 15)], None, 19, 1.0);
        let told: Vec<_> =
            past.told.iter().filter(|told| told.kind == "evaluated").map(|t| (t.segment, t.step)).collect();
        assert_eq!((told, past.changes.len(), past.last_segment), (vec![(0, 10), (1, 18)], 1, 1));
        assert_eq!(past.checkpoints.len(), 1);
    }
}
