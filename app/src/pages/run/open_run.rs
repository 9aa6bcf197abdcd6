//! A run as its page knows it: what was fetched, with the live ticks applied. Pure: no clock, no network, no DOM. The
//! curves are in [`crate::curves`], the range in view in [`super::viewport`], a schedule that is being edited in
//! [`super::schedule_draft`].

use std::collections::BTreeMap;

use wire::inspect::update::InspectionUpdate;
use wire::run::history::{History, Segment};
use wire::series::{Axis, Bucket, Difference};
use wire::transport::live::Tick;
use wire::{CheckpointId, Event, EventRecord, RunState, RunView};

use crate::curves::{Curves, Fetched, Lineage, difference_buckets, opened};

#[derive(Debug, Clone)]
pub(super) struct OpenRun {
    /// As fetched, with summary and hyperparameters kept up to date.
    pub(super) view: RunView,
    /// Journal by number: fetched and live events in order, whichever arrives first.
    pub(super) events: BTreeMap<u64, EventRecord>,
    pub(super) curves: Curves,
    /// The newest update of each inspection, by its key.
    pub(super) inspections: BTreeMap<String, InspectionUpdate>,
    /// The effect of a change: the loss minus that of the control run, with the band of its mean.
    pub(super) difference: Vec<Bucket>,
    /// Increases with every change of what charts show.
    pub(super) version: u64,
}

impl OpenRun {
    /// A run without its journal and curves.
    pub(super) fn new(view: RunView) -> Self {
        let curves = Curves::new(view.plan.tokens_per_micro_batch() as f64, view.plan.recipe.model.flops_per_token());
        let (events, inspections) = (BTreeMap::new(), BTreeMap::new());
        let mut run = Self { view, events, curves, inspections, difference: vec![], version: 0 };
        run.trace();
        run
    }

    /// Replaces the view after a gap in the stream or a rollback; journal and curves stay until they are fetched again.
    pub(super) fn renew(&mut self, view: RunView) {
        self.view = view;
        self.trace();
        self.version += 1;
    }

    /// Derives the lineage of the curves from view and journal.
    fn trace(&mut self) {
        let events = &self.events;
        let left = |segment| {
            events.values().find_map(|record| match &record.event {
                Event::RolledBack { from_segment, from_step, .. } if *from_segment == segment => Some(*from_step),
                _ => None,
            })
        };
        self.curves.set_lineage(Lineage::read(&self.view, left));
        self.curves.set_accumulation(&self.view.hyperparameters.accumulation);
    }

    /// Applies a live tick. Only live events change the hyperparameters, because the view already contains all events
    /// before its cursor. After a rollback they are those of the checkpoint, which only a fresh view contains; the page
    /// then fetches one.
    pub(super) fn tick(&mut self, tick: Tick) {
        self.view.summary = tick.summary;
        for record in tick.events {
            match opened(&record) {
                Some(segment) if self.view.segments.iter().all(|known| known.segment < segment.segment) => {
                    self.view.segments.push(segment);
                }
                Some(_) => {}
                None => self.view.hyperparameters.apply(&record.event, record.step),
            }
            let is_change = record.event.is_change();
            self.events.insert(record.number, record);
            if is_change {
                self.trace();
            }
        }
        for row in &tick.rows {
            self.curves.add_row(row);
        }
        self.inspections.extend(tick.updates.into_iter().map(|update| (update.key(), update)));
        self.version += 1;
    }

    /// Adds fetched events.
    pub(super) fn add_events(&mut self, records: Vec<EventRecord>) {
        self.events.extend(records.into_iter().map(|record| (record.number, record)));
        self.trace();
        self.version += 1;
    }

    /// The history of the run: the tree of its segments and changes.
    pub(super) fn history(&self) -> History {
        History::read(&self.view.plan, self.events.values())
    }

    /// Sets the effect of a change.
    pub(super) fn set_difference(&mut self, difference: &[Difference]) {
        self.difference = difference_buckets(difference);
        self.version += 1;
    }

    /// Adds fetched series.
    pub(super) fn add_fetched(&mut self, fetched: Fetched) {
        self.curves.add_fetched(fetched);
        self.version += 1;
    }

    /// Drops the detail of a range that is no longer in view.
    pub(super) fn drop_detail(&mut self) {
        self.curves.drop_detail();
        self.version += 1;
    }

    /// Events that charts mark.
    pub(super) fn markers(&self) -> impl Iterator<Item = &EventRecord> {
        self.events.values().filter(|record| record.event.is_marker())
    }

    /// The samples, newest first.
    pub(super) fn samples(&self) -> impl Iterator<Item = &EventRecord> {
        self.events.values().rev().filter(|record| matches!(record.event, Event::Sampled { .. }))
    }

    /// The step of the newest sample on the path to a checkpoint, if this run generated one.
    pub(super) fn sampled_before(&self, id: CheckpointId) -> Option<u64> {
        let spans = path_to(&self.view.segments, id);
        let is_before = |record: &&EventRecord| {
            let is_on_path = |(segment, from, to): &(u32, u64, u64)| {
                record.segment == *segment && (*from..=*to).contains(&record.step)
            };
            spans.iter().any(is_on_path)
        };
        self.samples().filter(is_before).map(|record| record.step).max()
    }

    /// Whether a checkpoint was saved by a suspension. The last checkpoint of a run that ends has the same cause.
    pub(super) fn is_of_suspension(&self, id: CheckpointId) -> bool {
        self.events.values().any(|record| {
            matches!(record.event, Event::Suspended) && (record.segment, record.step) == (id.segment, id.step)
        })
    }

    /// Whether an event came after the values of a step, on the path that leads through that step.
    pub(super) fn is_after(&self, record: &EventRecord, segment: u32, step: u64) -> bool {
        // A rollback is recorded where it leads to.
        let id = match record.event {
            Event::RolledBack { from_segment, from_step, .. } => {
                CheckpointId { segment: from_segment, step: from_step }
            }
            _ => CheckpointId { segment: record.segment, step: record.step },
        };
        let spans = path_to(&self.view.segments, id);
        // The run may have paused at the step, without counting it as done.
        let contains = |(nth, (on, from, end)): (usize, &(u32, u64, u64))| {
            *on == segment && ((*from..*end).contains(&step) || nth == 0 && step == *end)
        };
        spans.iter().enumerate().any(contains)
    }

    /// The right end of everything recorded: abandoned branches can be longer than the path.
    pub(super) fn reach(&self) -> f64 {
        self.end().max(self.curves.reach())
    }

    /// The right end of the path on the x axis.
    pub(super) fn end(&self) -> f64 {
        self.curves.end().max(self.curves.place_before(self.view.summary.step))
    }

    /// The end of the plan on the x axis; `None` if it is unknown (time).
    pub(super) fn planned_end(&self) -> Option<f64> {
        let steps = self.view.hyperparameters.steps;
        (self.curves.axis() != Axis::Secs || self.curves.end_step() + 1 >= steps)
            .then(|| self.curves.place_before(steps))
    }

    /// Factor from nats per token to bits per byte of text; `None` before the dataset is tokenized.
    pub(super) fn bits_per_byte(&self) -> Option<f64> {
        self.view
            .references
            .bytes_per_token
            .filter(|bytes| *bytes > 0.0)
            .map(|bytes| 1.0 / (bytes * std::f64::consts::LN_2))
    }

    /// Whether its curves can still grow.
    pub(super) fn is_growing(&self) -> bool {
        self.view.summary.state.is_live()
    }

    /// Whether it trains now.
    pub(super) fn is_training(&self) -> bool {
        self.view.summary.state == RunState::Running
    }
}

/// The segments on the path to a checkpoint, each with its first and its last step. The path to a checkpoint of an abandoned branch leads
/// through that branch, not through the segments that replaced it.
fn path_to(segments: &[Segment], id: CheckpointId) -> Vec<(u32, u64, u64)> {
    let find = |number: u32| segments.iter().find(|segment| segment.segment == number);
    let (mut path, mut at, mut end) = (vec![], find(id.segment), id.step);
    while let Some(segment) = at {
        path.push((segment.segment, segment.from_step, end));
        // A segment continues an older one.
        at = segment.parent.filter(|parent| *parent < segment.segment).and_then(find);
        end = end.min(segment.from_step);
    }
    path
}

#[cfg(test)]
mod tests;
