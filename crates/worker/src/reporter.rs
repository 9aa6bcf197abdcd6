//! What a training says of itself, on its way into the outbox. Lives on the training thread.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use wire::frame::Frame;
use wire::link::{Item, Report};
use wire::look::Look;
use wire::series::Row;
use wire::{Author, Event, RunState};

use crate::outbox::Outbox;

/// Number of the orders that this process gives itself; it means nothing outside, and the server's never get that far.
pub(crate) const OWN_ORDER: u64 = u64::MAX;

/// A look beyond this size is not kept.
const MOST_KEPT_BYTES: usize = 4 << 20;

/// Takes a run's reports. Each is on disk when the call returns; none waits for the network.
#[derive(Debug)]
pub struct RunReporter {
    outbox: Arc<Outbox>,
    /// Where the run was last heard of, for reports that the training cannot make itself.
    segment: u32,
    step: u64,
}

impl RunReporter {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, segment: 0, step: 0 }
    }

    /// The values of a step.
    pub fn row(&mut self, row: Row) {
        (self.segment, self.step) = (row.segment, row.step);
        self.outbox.put(Item::Row(row));
    }

    /// Something happened.
    pub fn report(&mut self, report: Report) {
        (self.segment, self.step) = (report.segment, report.step);
        let command_id = report.command_id.filter(|number| *number != OWN_ORDER);
        self.outbox.put(Item::Event(readable(Report { command_id, ..report })));
    }

    /// A look inside; the newest of its kind replaces the one before.
    pub fn look(&mut self, frame: Frame) {
        self.outbox.put_look(frame);
    }

    /// A look that is stored like every other report. One that is too large to travel beside them is left out.
    pub fn keep(&mut self, frame: Frame) {
        match wire::encode::to_bytes(&frame) {
            Ok(bytes) if bytes.len() <= MOST_KEPT_BYTES => self.outbox.put(Item::Kept(Box::new(frame))),
            Ok(bytes) => {
                tracing::warn!("{} at step {} weighs {} bytes: not kept", frame.key(), frame.step(), bytes.len())
            }
            Err(source) => tracing::error!("a look cannot be encoded: {source}"),
        }
    }

    /// The looks that somebody watches, where these have changed since the last call.
    pub fn wanted(&mut self) -> Option<Vec<Look>> {
        self.outbox.take_wanted()
    }

    /// Why reports cannot be kept on disk, while they cannot: hold until this is `None`.
    pub fn blocked(&self) -> Option<String> {
        self.outbox.blocked()
    }

    pub(crate) fn say(&mut self, event: Event, state: RunState) {
        let (segment, step) = (self.segment, self.step);
        self.report(Report {
            segment,
            step,
            at_ms: now_ms(),
            author: Author::Lab,
            command_id: None,
            reason: None,
            event,
            state: Some(state),
        });
    }

    pub(crate) fn fail(&mut self, message: String) {
        self.say(Event::Failed { message }, RunState::Failed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outbox.is_over()
    }
}

/// An event holding a number that is none cannot travel as JSON; what it was about still can.
fn readable(report: Report) -> Report {
    let travels =
        wire::encode::to_bytes(&report).ok().is_some_and(|bytes| wire::encode::from_bytes::<Report>(&bytes).is_ok());
    if travels {
        return report;
    }
    let what = report.event.phrase();
    Report { event: Event::NonFinite { what }, ..report }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_a_number_still_arrives() {
        let report = |loss_nats| Report {
            segment: 0,
            step: 3,
            at_ms: 0,
            author: Author::Lab,
            command_id: Some(1),
            reason: None,
            event: Event::Evaluated { loss_nats, bits_per_byte: 1.0 },
            state: None,
        };
        assert_eq!(readable(report(1.5)), report(1.5));
        let made = readable(report(f64::NAN));
        assert!(matches!(&made.event, Event::NonFinite { what } if what.contains("NaN")), "{made:?}");
        assert_eq!(made.command_id, Some(1));
    }
}
