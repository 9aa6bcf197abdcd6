//! A run as its page knows it: what was fetched, with the live ticks laid over it. Pure; no clock, no network, no DOM.
//!
//! [`lineage`] is the path that led to the present and what was abandoned, [`curves`] are the curves along it at any zoom,
//! [`sight`] is the stretch of them in view, [`sketch`] a course being drawn ahead.

pub(crate) mod curves;
pub(crate) mod lineage;
pub(crate) mod sight;
pub(crate) mod sketch;

use std::collections::BTreeMap;

use wire::frame::Frame;
use wire::history::History;
use wire::live::Tick;
use wire::series::{Axis, Bucket, Difference};
use wire::{Event, EventRecord, RunState, RunView};

pub(crate) use curves::{Curves, Fetched};
pub(crate) use lineage::{Lineage, OWN};
pub(crate) use sight::{Sight, View};
pub(crate) use sketch::Sketch;

/// An open run.
#[derive(Debug, Clone)]
pub(crate) struct OpenRun {
    /// As fetched, with summary and dials kept up to date.
    pub(crate) view: RunView,
    /// Journal by number: fetched and live lines fall into place, whichever comes first.
    pub(crate) events: BTreeMap<u64, EventRecord>,
    /// Curves.
    pub(crate) curves: Curves,
    /// The latest looks, by kind.
    pub(crate) frames: BTreeMap<String, Frame>,
    /// What a change did: loss minus that of the twin that leaves the change out, with the band of its mean.
    pub(crate) difference: Vec<Bucket>,
    /// Rises with everything that charts show.
    pub(crate) version: u64,
}

impl OpenRun {
    /// A run as just fetched, still without journal and curves.
    pub(crate) fn new(view: RunView) -> Self {
        let curves = Curves::new(view.plan.tokens_per_pass() as f64, view.plan.recipe.model.flops_per_token());
        let (events, frames) = (BTreeMap::new(), BTreeMap::new());
        let mut run = Self { view, events, curves, frames, difference: vec![], version: 0 };
        run.trace();
        run
    }

    /// Starts over from a fresh view, after a gap in the stream or a rollback; journal and curves stay until they are fetched again.
    pub(crate) fn renew(&mut self, view: RunView) {
        self.view = view;
        self.trace();
        self.version += 1;
    }

    /// Lays the curves along the path, as view and journal tell it.
    fn trace(&mut self) {
        let events = &self.events;
        let left = |segment| {
            events.values().find_map(|record| match &record.event {
                Event::RolledBack { from_segment, from_step, .. } if *from_segment == segment => Some(*from_step),
                _ => None,
            })
        };
        self.curves.set_lineage(Lineage::read(&self.view, left));
        self.curves.set_passes(&self.view.dials.passes);
    }

    /// Takes in what is new. Dials turn by live lines alone: the view already has all before its cursor. After a rollback they are
    /// those of the checkpoint, which only a fresh view tells; whoever watches the stream asks for one.
    pub(crate) fn tick(&mut self, tick: Tick) {
        self.view.summary = tick.summary;
        for record in tick.events {
            match lineage::opened(&record) {
                Some(segment) if self.view.segments.iter().all(|known| known.segment < segment.segment) => {
                    self.view.segments.push(segment);
                }
                Some(_) => {}
                None => self.view.dials.apply(&record.event, record.step),
            }
            let bends = record.event.is_change();
            self.events.insert(record.number, record);
            if bends {
                self.trace();
            }
        }
        for row in &tick.rows {
            self.curves.add_row(row);
        }
        self.frames.extend(tick.frames.into_iter().map(|frame| (frame.key(), frame)));
        self.version += 1;
    }

    /// Takes in journal lines that were fetched.
    pub(crate) fn add_events(&mut self, records: Vec<EventRecord>) {
        self.events.extend(records.into_iter().map(|record| (record.number, record)));
        self.trace();
        self.version += 1;
    }

    /// The journal read into the tree of its changes.
    pub(crate) fn history(&self) -> History {
        History::read(&self.view.plan, self.events.values())
    }

    /// Takes in what a change did, as stretches of the curves' own form.
    pub(crate) fn set_difference(&mut self, difference: &[Difference]) {
        self.difference = stretches(difference);
        self.version += 1;
    }

    /// Takes in curves that were fetched.
    pub(crate) fn add_fetched(&mut self, fetched: Fetched) {
        self.curves.add_fetched(fetched);
        self.version += 1;
    }

    /// Lets go of the detail of a stretch that is no longer in view.
    pub(crate) fn drop_detail(&mut self) {
        self.curves.drop_detail();
        self.version += 1;
    }

    /// Lines that are marked on curves.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &EventRecord> {
        self.events.values().filter(|record| record.event.is_mark())
    }

    /// The samples, newest first.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &EventRecord> {
        self.events.values().rev().filter(|record| matches!(record.event, Event::Sampled { .. }))
    }

    /// The right end of everything in sight of the whole: ghosts may reach further than the path.
    pub(crate) fn reach(&self) -> f64 {
        self.end().max(self.curves.reach())
    }

    /// The right end of what has been recorded on the path, on the curves' axis.
    pub(crate) fn end(&self) -> f64 {
        self.curves.end().max(self.curves.place_before(self.view.summary.step))
    }

    /// The end of the plan on the curves' axis; none where it cannot be known (time).
    pub(crate) fn planned_end(&self) -> Option<f64> {
        let steps = self.view.dials.steps;
        (self.curves.axis() != Axis::Secs || self.curves.end_step() + 1 >= steps)
            .then(|| self.curves.place_before(steps))
    }

    /// Seconds to the last step at the present speed.
    pub(crate) fn secs_left(&self) -> Option<f64> {
        let summary = &self.view.summary;
        let tokens = self.curves.tokens_before(summary.steps) - self.curves.tokens_before(summary.step);
        let speed = summary.tokens_per_sec.filter(|speed| *speed > 0.0)?;
        (!summary.state.is_over()).then(|| tokens.max(0.0) / speed)
    }

    /// Turns nats per token into bits per byte of text; none before the text was cut.
    pub(crate) fn bits_per_byte(&self) -> Option<f64> {
        self.view
            .references
            .bytes_per_token
            .filter(|bytes| *bytes > 0.0)
            .map(|bytes| 1.0 / (bytes * std::f64::consts::LN_2))
    }

    /// Whether its curves may still grow.
    pub(crate) fn is_growing(&self) -> bool {
        self.view.summary.state.is_live()
    }

    /// Whether it trains right now.
    pub(crate) fn is_glowing(&self) -> bool {
        self.view.summary.state == RunState::Running
    }
}

/// The difference of two losses in the curves' own form: over steps, with the band of its mean.
pub(crate) fn stretches(difference: &[Difference]) -> Vec<Bucket> {
    let bucket = |stretch: &Difference| Bucket {
        step: stretch.step,
        last_step: stretch.last_step,
        x: stretch.step as f64,
        last_x: stretch.last_step as f64,
        min: stretch.low,
        max: stretch.high,
        mean: stretch.mean,
        count: stretch.last_step.saturating_sub(stretch.step) + 1,
    };
    difference.iter().map(bucket).collect()
}

#[cfg(test)]
pub(crate) mod tests;
