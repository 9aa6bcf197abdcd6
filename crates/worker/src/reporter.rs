//! The reports of a training on their way into the outbox. Used on the training thread.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use wire::control::command::NumberedCommand;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::series::Row;
use wire::transport::link::{Item, Report};
use wire::{Author, Command, Event, RunState};

use crate::outbox::Outbox;

/// Id of the commands that this process creates. Their events are reported without a command id. The server never uses this id.
pub(crate) const OWN_COMMAND: u64 = u64::MAX;

/// A larger snapshot is dropped, bytes.
const MAX_SNAPSHOT_BYTES: usize = 4 << 20;

/// Receives the reports of a run. Calls never wait for the network: when a call returns, the report is in the spool file, or in memory while
/// the disk cannot be written. A call waits only while that memory is full.
#[derive(Debug)]
pub struct RunReporter {
    outbox: Arc<Outbox>,
    /// Segment and step of the last report, for reports that the training cannot make itself.
    segment: u32,
    step: u64,
}

impl RunReporter {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, segment: 0, step: 0 }
    }

    /// Segment and step of the events before the first step is reported.
    pub(crate) fn begin_at(&mut self, segment: u32, step: u64) {
        (self.segment, self.step) = (segment, step);
    }

    /// Reports the values of a step.
    pub fn row(&mut self, row: Row) {
        (self.segment, self.step) = (row.segment, row.step);
        self.outbox.put(Item::Row(row));
    }

    /// Reports an event.
    pub fn report(&mut self, report: Report) {
        (self.segment, self.step) = (report.segment, report.step);
        let command_id = report.command_id.filter(|number| *number != OWN_COMMAND);
        self.outbox.put(Item::Event(encodable(Report { command_id, ..report })));
    }

    /// Reports an update of an inspection; it replaces the previous update of the same inspection.
    pub fn inspection(&mut self, update: InspectionUpdate) {
        self.outbox.put_update(update);
    }

    /// Reports a snapshot, which is stored like every other report. One larger than [`MAX_SNAPSHOT_BYTES`] is dropped.
    pub fn snapshot(&mut self, update: InspectionUpdate) {
        match wire::encode::to_bytes(&update) {
            Ok(bytes) if bytes.len() <= MAX_SNAPSHOT_BYTES => self.outbox.put(Item::Snapshot(Box::new(update))),
            Ok(bytes) => {
                tracing::warn!(
                    "snapshot {} at step {} has {} bytes and is dropped",
                    update.key(),
                    update.step(),
                    bytes.len()
                )
            }
            Err(source) => tracing::error!("a snapshot cannot be encoded: {source}"),
        }
    }

    /// The inspections that are requested, if they have changed since the last call.
    pub fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        self.outbox.take_requested()
    }

    /// The reason why reports currently cannot be written to disk: the run pauses until this is `None`.
    pub fn blocked(&self) -> Option<String> {
        self.outbox.blocked()
    }

    /// What the run does between two steps and how far it is; `None` when it is done.
    pub fn activity(&mut self, what: Option<String>) {
        self.outbox.set_activity(what);
    }

    pub(crate) fn report_event(&mut self, event: Event, state: RunState) {
        let (segment, step) = (self.segment, self.step);
        self.report(Report {
            segment,
            step,
            at_ms: now_ms(),
            author: Author::System,
            command_id: None,
            reason: None,
            event,
            state: Some(state),
        });
    }

    pub(crate) fn fail(&mut self, message: String) {
        self.report_event(Event::Failed { message }, RunState::Failed);
    }

    /// Whether a command to stop or suspend the run waits.
    pub(crate) fn is_asked_to_end(&self) -> bool {
        self.outbox.is_asked_to_end()
    }

    /// Carries out a command that ends a run which has not begun to train; others have no effect any more.
    pub(crate) fn end_by(&mut self, NumberedCommand { command_id, author, command }: NumberedCommand) {
        let (event, state) = match &command {
            Command::Stop { .. } => (Event::Stopped, RunState::Stopped),
            Command::Suspend { .. } => (Event::Suspended, RunState::Suspended),
            _ => return,
        };
        if self.is_over() {
            return;
        }
        let (segment, step, reason) = (self.segment, self.step, command.reason().map(str::to_owned));
        let (command_id, state) = (Some(command_id), Some(state));
        self.report(Report { segment, step, at_ms: now_ms(), author, command_id, reason, event, state });
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outbox.is_over()
    }
}

/// Replaces an event with a non-finite number, which JSON cannot encode, by [`Event::NonFinite`] with its text.
fn encodable(report: Report) -> Report {
    let is_encodable =
        wire::encode::to_bytes(&report).ok().is_some_and(|bytes| wire::encode::from_bytes::<Report>(&bytes).is_ok());
    if is_encodable {
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
    fn an_event_with_a_non_finite_number_is_still_reported() {
        let report = |loss_nats| Report {
            segment: 0,
            step: 3,
            at_ms: 0,
            author: Author::System,
            command_id: Some(1),
            reason: None,
            event: Event::Evaluated { loss_nats, bits_per_byte: 1.0, windows: None },
            state: None,
        };
        assert_eq!(encodable(report(1.5)), report(1.5));
        let replaced = encodable(report(f64::NAN));
        assert!(matches!(&replaced.event, Event::NonFinite { what } if what.contains("NaN")), "{replaced:?}");
        assert_eq!(replaced.command_id, Some(1));
    }
}
