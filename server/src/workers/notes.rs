//! What a worker notes beside its reports: its clock, by which the times of its reports become those of this machine, the work that keeps
//! its run from training, which is shown as the message of the run, its log, and measurements.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::StoreError;
use tokio::sync::Notify;
use wire::telemetry::Telemetry;
use wire::transport::link::{Item, Report};
use wire::transport::note::{Activity, WorkerNote};
use wire::{Event, RunSummary};

use super::log_tail::LogTail;
use crate::live::Feed;
use crate::live::clock::now_ms;

/// A larger difference between two notes is a clock that was set, ms; a smaller one is the delay of a message.
const CLOCK_SET_MS: i64 = 2000;

/// Longest description of an activity, bytes.
const MAX_BYTES: usize = 200;

/// The notes of one connection.
#[derive(Default)]
pub(super) struct Notes {
    noted: Mutex<Noted>,
    /// The activity has changed.
    changed: Notify,
    /// The end of its log.
    pub(super) log: Arc<LogTail>,
}

#[derive(Default)]
struct Noted {
    /// This machine's clock minus the worker's, ms: the smallest of the differences seen, which has the least delay.
    ahead_ms: Option<i64>,
    /// The newest activity.
    activity: Option<Activity>,
    /// The newest measurement, until it is taken.
    telemetry: Option<Telemetry>,
}

impl Notes {
    /// Reads a note. An unreadable one is that of another version and changes nothing.
    pub(super) fn take(&self, text: &str) {
        let Ok(WorkerNote { clock_ms, activity, log, telemetry }) = serde_json::from_str(text) else { return };
        self.log.add(log);
        if let Some(clock_ms) = clock_ms {
            self.set_clock(clock_ms, now_ms());
        }
        if let Some(telemetry) = telemetry {
            self.lock().telemetry = Some(telemetry.checked());
        }
        let activity = activity.filter(|activity| activity.what.len() <= MAX_BYTES);
        let before = std::mem::replace(&mut self.lock().activity, activity.clone());
        if before != activity {
            self.changed.notify_one();
        }
    }

    /// The newest measurement, once, and the worker's clock minus this machine's, ms.
    pub(super) fn telemetry(&self) -> (Option<Telemetry>, Option<i64>) {
        let mut noted = self.lock();
        (noted.telemetry.take(), noted.ahead_ms.map(|ahead| ahead.saturating_neg()))
    }

    /// The newest activity, once it has changed.
    pub(super) async fn changed(&self) -> Option<Activity> {
        self.changed.notified().await;
        self.lock().activity.clone()
    }

    fn set_clock(&self, worker_ms: i64, now_ms: i64) {
        let ahead = now_ms.saturating_sub(worker_ms);
        let mut noted = self.lock();
        let is_delay = |before: &i64| ahead.saturating_sub(*before).unsigned_abs() < CLOCK_SET_MS.unsigned_abs();
        noted.ahead_ms = Some(noted.ahead_ms.filter(is_delay).map_or(ahead, |before| before.min(ahead)));
    }

    /// Sets the times of reports by this machine's clock; none lies in the future. Without a note they are taken as they are.
    pub(super) fn convert(&self, items: &mut [Item]) {
        let (ahead_ms, now) = (self.lock().ahead_ms.unwrap_or(0), now_ms());
        let convert = |at_ms: &mut i64| *at_ms = at_ms.saturating_add(ahead_ms).min(now);
        for item in items {
            let Item::Event(Report { at_ms, event, .. }) = item else { continue };
            convert(at_ms);
            if let Event::Checkpointed { checkpoint } = event {
                convert(&mut checkpoint.at_ms);
            }
        }
    }

    // Code that holds this lock only sets plain values.
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows an activity as the message of its run, in place of the one before. A message that something else has set stays.
pub(super) async fn show(feed: &Feed, before: Option<Activity>, after: Option<Activity>) -> Result<(), StoreError> {
    if let Some(Activity { run, what }) = &before
        && after.as_ref().is_none_or(|after| after.run != *run)
    {
        publish(feed, feed.store.replace_message(run, Some(what), None).await?);
    }
    let Some(Activity { run, what }) = after else { return Ok(()) };
    let before = before.filter(|before| before.run == run).map(|before| before.what);
    // A stored report removes the message.
    for expected in [before.as_deref(), None] {
        publish(feed, feed.store.replace_message(&run, expected, Some(what.clone())).await?);
    }
    Ok(())
}

fn publish(feed: &Feed, changed: Option<RunSummary>) {
    if let Some(summary) = changed {
        feed.hub.publish(summary, vec![], vec![], vec![]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::control::author::Author;

    fn reported(notes: &Notes, at_ms: i64) -> i64 {
        let (author, event) = (Author::System, Event::Finished);
        let report = Report { segment: 0, step: 1, at_ms, author, command_id: None, reason: None, event, state: None };
        let mut items = [Item::Event(report)];
        notes.convert(&mut items);
        let [Item::Event(report)] = items else { panic!() };
        report.at_ms
    }

    #[test]
    fn times_are_those_of_this_machine_whatever_the_clock_of_the_worker_is() {
        const HOUR: i64 = 3_600_000;
        let now = now_ms();
        for off in [-24 * HOUR, -HOUR, -1500, 0, 1500, HOUR, 24 * HOUR] {
            let notes = Notes::default();
            // The second note had less delay.
            notes.set_clock(now + off - 300, now);
            notes.set_clock(now + off - 20, now);
            let found = reported(&notes, now + off - 60_000);
            assert!((found - (now - 60_000)).abs() <= 20, "{off}: {}", found - now);
        }
        let unknown = Notes::default();
        assert_eq!(reported(&unknown, now - HOUR), now - HOUR);
        assert!(reported(&unknown, now + HOUR) <= now_ms(), "nothing happens in the future");
        let set = Notes::default();
        set.set_clock(now - HOUR, now);
        set.set_clock(now, now);
        assert_eq!(reported(&set, now - 5), now - 5, "a clock that was set counts from then on");
    }
}
