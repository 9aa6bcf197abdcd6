//! A run as its page knows it: what was fetched, with the live ticks laid over it. Pure; no clock, no network, no DOM.
//!
//! [`curves`] are its curves at any zoom, [`sight`] is the stretch of them in view.

pub(crate) mod curves;
pub(crate) mod sight;

use std::collections::BTreeMap;

use wire::frame::Frame;
use wire::live::Tick;
use wire::series::Axis;
use wire::{Event, EventRecord, RunState, RunView};

pub(crate) use curves::{Curves, Fetched};
pub(crate) use sight::{Sight, View};

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
    pub(crate) frames: BTreeMap<&'static str, Frame>,
    /// Rises with everything that charts show.
    pub(crate) version: u64,
}

impl OpenRun {
    /// A run as just fetched, still without journal and curves.
    pub(crate) fn new(view: RunView) -> Self {
        let curves = Curves::new(view.plan.tokens_per_step() as f64, view.plan.recipe.model.flops_per_token());
        Self { view, events: BTreeMap::new(), curves, frames: BTreeMap::new(), version: 0 }
    }

    /// Starts over from a fresh view after a gap in the stream; journal and curves stay until they are fetched again.
    pub(crate) fn renew(&mut self, view: RunView) {
        self.view = view;
        self.version += 1;
    }

    /// Takes in what is new. Dials turn by live lines alone: the view already has all before its cursor.
    pub(crate) fn tick(&mut self, tick: Tick) {
        self.view.summary = tick.summary;
        for record in tick.events {
            self.view.dials.apply(&record.event, record.step);
            self.events.insert(record.number, record);
        }
        for row in &tick.rows {
            self.curves.add_row(row);
        }
        self.frames.extend(tick.frames.into_iter().map(|frame| (frame.kind(), frame)));
        self.version += 1;
    }

    /// Takes in journal lines that were fetched.
    pub(crate) fn add_events(&mut self, records: Vec<EventRecord>) {
        self.events.extend(records.into_iter().map(|record| (record.number, record)));
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

    /// The right end of what has been recorded, on the curves' axis.
    pub(crate) fn end(&self) -> f64 {
        self.curves.end().max(self.curves.place_before(self.view.summary.step))
    }

    /// The end of the plan on the curves' axis; none where it cannot be known (time).
    pub(crate) fn planned_end(&self) -> Option<f64> {
        let steps = self.view.plan.steps;
        (self.curves.axis() != Axis::Secs || self.curves.end_step() + 1 >= steps)
            .then(|| self.curves.place_before(steps))
    }

    /// Seconds to the last step at the present speed.
    pub(crate) fn secs_left(&self) -> Option<f64> {
        let summary = &self.view.summary;
        let tokens = summary.steps.saturating_sub(summary.step) as f64 * self.view.plan.tokens_per_step() as f64;
        let speed = summary.tokens_per_sec.filter(|speed| *speed > 0.0)?;
        (!summary.state.is_over()).then(|| tokens / speed)
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

#[cfg(test)]
mod tests;
