//! The stream of each run: ticks, numbered without gaps, encoded once and shared by all pages that watch the run.
//!
//! Inspection updates are kept beside the ring of ticks: of each inspection only the newest, with the number of its tick. They are added
//! to the ticks of the pages that requested them. An update of a hundred kilobytes therefore costs the other pages nothing, and does not
//! shorten the ring.
//!
//! A watcher is a cursor, not a queue. It takes the ticks after its cursor when its socket has room, so a slow watcher delays nobody. A
//! watcher whose cursor is no longer in the ring is asked to fetch the run again. The store is always ahead of the stream: everything in a
//! tick has been stored before.
//!
//! Whoever changes a run publishes what it read in its transaction, and several may do so at a time, in any order. So summaries and findings
//! are compared by their revision, and an older one never replaces a newer one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use wire::control::event::EventRecord;
use wire::diagnosis::RunFinding;
use wire::inspect::update::InspectionUpdate;
use wire::run::{Cursor, Revision};
use wire::series::Row;
use wire::transport::live::{Tick, ToPage};
use wire::{RunId, RunSummary, encode};

use super::subscriptions::MAX_INSPECTIONS_PER_RUN;
use super::trial_watch::TrialWatch;

/// Minimum time between two ticks of a run; what arrives in between goes into one tick.
const TICK_EVERY: Duration = Duration::from_millis(40);
/// Bounds of a ring. They set how long a page may be suspended and still continue without a gap.
const RING_TICKS: usize = 1024;
const RING_BYTES: usize = 2_000_000;
/// Ticks kept of a run that has ended.
const RING_TICKS_OVER: usize = 16;
/// Inspection updates kept of one run: all that may be requested at a time, and as many earlier ones.
const UPDATES: usize = 2 * MAX_INSPECTIONS_PER_RUN;

/// The last ticks of one run.
#[derive(Default)]
pub struct Ring {
    last: u64,
    bytes: usize,
    ticks: VecDeque<Bytes>,
}

/// The ticks after a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum Behind {
    /// New ticks in order; the first follows the cursor.
    Ticks(Vec<Bytes>),
    /// The ring no longer reaches back to the cursor.
    TooFar,
}

impl Ring {
    /// Number of the last tick; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Appends the next tick and drops the oldest ones beyond `ticks`.
    pub fn push(&mut self, tick: Bytes, ticks: usize) {
        self.last += 1;
        self.bytes += tick.len();
        self.ticks.push_back(tick);
        while self.ticks.len() > ticks || (self.bytes > RING_BYTES && self.ticks.len() > 1) {
            let oldest = self.ticks.pop_front();
            self.bytes -= oldest.map_or(0, |tick| tick.len());
        }
    }

    /// The ticks after number `seen`, at most `limit`.
    pub fn after(&self, seen: u64, limit: usize) -> Behind {
        let oldest = self.last - self.ticks.len() as u64;
        if seen < oldest || seen > self.last {
            return Behind::TooFar;
        }
        Behind::Ticks(self.ticks.iter().skip((seen - oldest) as usize).take(limit).cloned().collect())
    }
}

/// The update since the last tick.
#[derive(Default)]
struct Open {
    rows: Vec<Row>,
    events: Vec<EventRecord>,
    updates: Vec<InspectionUpdate>,
    findings: Vec<RunFinding>,
}

/// One run's stream.
struct Channel {
    ring: Ring,
    open: Option<Open>,
    closed_at: Option<Instant>,
    last: watch::Sender<u64>,
    /// The newest summary that was published.
    summary: Option<RunSummary>,
    /// The revisions of the findings that were published, by their numbers.
    findings: HashMap<u64, Revision>,
    /// The newest update of each inspection by its key, with the number of its tick.
    updates: HashMap<String, (u64, Arc<InspectionUpdate>)>,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            ring: Ring::default(),
            open: None,
            closed_at: None,
            last: watch::channel(0).0,
            summary: None,
            findings: HashMap::new(),
            updates: HashMap::new(),
        }
    }
}

/// The streams of all runs; cloning shares them.
#[derive(Clone)]
pub struct Hub {
    epoch: u64,
    channels: Arc<Mutex<HashMap<RunId, Channel>>>,
    lab: watch::Sender<u64>,
    /// Wakes the task of sweeps.
    pub trials: TrialWatch,
}

impl Hub {
    /// Streams of a server; `epoch` differs from that of every earlier server on this folder.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, channels: Arc::default(), lab: watch::channel(0).0, trials: TrialWatch::default() }
    }

    /// The present end of a run's stream. Read it before the store, so that nothing in between is missed.
    pub fn cursor(&self, run: &RunId) -> Cursor {
        Cursor { epoch: self.epoch, tick: self.lock().get(run).map_or(0, |channel| channel.ring.last()) }
    }

    /// Watches the number of a run's last tick.
    pub fn follow(&self, run: &RunId) -> watch::Receiver<u64> {
        self.lock().entry(run.clone()).or_default().last.subscribe()
    }

    /// The ticks after a cursor, at most `limit`.
    pub fn after(&self, run: &RunId, cursor: Cursor, limit: usize) -> Behind {
        if cursor.epoch != self.epoch {
            return Behind::TooFar;
        }
        self.lock().entry(run.clone()).or_default().ring.after(cursor.tick, limit)
    }

    /// The newest update of one inspection, with the number of its tick.
    pub fn update(&self, run: &RunId, key: &str) -> Option<(u64, Arc<InspectionUpdate>)> {
        self.lock().get(run)?.updates.get(key).cloned()
    }

    /// Tick `number` with those of its inspection updates whose keys are `is_requested`.
    pub fn with_updates(&self, run: &RunId, number: u64, tick: Bytes, is_requested: impl Fn(&str) -> bool) -> Bytes {
        let updates: Vec<Arc<InspectionUpdate>> = {
            let channels = self.lock();
            let updates = channels.get(run).into_iter().flat_map(|channel| &channel.updates);
            updates
                .filter(|(key, (at, _))| *at == number && is_requested(key))
                .map(|(_, (_, update))| update.clone())
                .collect()
        };
        if updates.is_empty() {
            return tick;
        }
        // What was encoded here decodes; should it not, the tick is sent as it is.
        let Ok(ToPage::Tick(mut with)) = encode::from_bytes(&tick) else { return tick };
        with.updates.extend(updates.iter().map(|update| update.as_ref().clone()));
        encode::to_bytes(&ToPage::Tick(with)).map_or(tick, Bytes::from)
    }

    /// Watches a number that changes whenever the Lab page should.
    pub fn follow_lab(&self) -> watch::Receiver<u64> {
        self.lab.subscribe()
    }

    /// Tells the pages that something on the Lab page has changed.
    pub fn lab_changed(&self) {
        self.lab.send_modify(|version| *version += 1);
    }

    /// Adds stored changes of a run to its stream; they are sent within [`TICK_EVERY`].
    pub fn publish(
        &self,
        summary: RunSummary,
        rows: Vec<Row>,
        events: Vec<EventRecord>,
        updates: Vec<InspectionUpdate>,
    ) {
        self.trials.published(&summary, &rows);
        self.publish_all(summary, |_| Open { rows, events, updates, findings: vec![] });
    }

    /// Sends the newest updates of a run's inspections again whose keys are `is_requested`: for a page that requests what others have requested
    /// before it.
    pub fn publish_again(&self, summary: RunSummary, is_requested: impl Fn(&str) -> bool) {
        self.publish_all(summary, |channel| Open { updates: channel.known_updates(is_requested), ..Open::default() });
    }

    /// Adds stored findings of a run to its stream, new and changed ones, as [`Self::publish`] does.
    pub fn publish_findings(&self, summary: RunSummary, findings: Vec<RunFinding>) {
        self.trials.published(&summary, &[]);
        self.publish_all(summary, |_| Open { findings, ..Open::default() });
    }

    fn publish_all(&self, summary: RunSummary, news: impl FnOnce(&Channel) -> Open) {
        let run = summary.id.clone();
        let wait = {
            let mut channels = self.lock();
            let channel = channels.entry(run.clone()).or_default();
            let mut news = news(channel);
            channel.keep_newest(summary, &mut news.findings);
            if let Some(open) = &mut channel.open {
                open.add(news);
                return;
            }
            channel.open = Some(news);
            channel.closed_at.map_or(Duration::ZERO, |at| TICK_EVERY.saturating_sub(at.elapsed()))
        };
        self.lab_changed();
        if wait.is_zero() {
            self.close(&run);
            return;
        }
        let hub = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            hub.close(&run);
        });
    }

    /// Closes the open tick.
    fn close(&self, run: &RunId) {
        let mut channels = self.lock();
        let Some(channel) = channels.get_mut(run) else { return };
        let Some(Open { rows, events, updates, findings }) = channel.open.take() else { return };
        let Some(summary) = channel.summary.clone() else { return };
        let is_over = summary.state.is_over();
        let cursor = Cursor { epoch: self.epoch, tick: channel.ring.last() + 1 };
        // Each page is sent only the updates that it requested.
        channel.keep_updates(cursor.tick, updates, is_over);
        let tick = ToPage::Tick(Tick { run: run.clone(), cursor, summary, rows, events, updates: vec![], findings });
        match encode::to_bytes(&tick) {
            Ok(bytes) => {
                channel.ring.push(bytes.into(), if is_over { RING_TICKS_OVER } else { RING_TICKS });
                channel.closed_at = Some(Instant::now());
                channel.last.send_replace(cursor.tick);
            }
            Err(error) => tracing::error!("a tick of {run} cannot be encoded: {error}"),
        }
    }

    // Only a failed allocation can panic while this lock is held, and the map is consistent after each statement.
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    /// Keeps a summary that is not older than the known one, and removes the findings that are older than those published.
    fn keep_newest(&mut self, summary: RunSummary, findings: &mut Vec<RunFinding>) {
        let revision = summary.revision;
        findings.retain(|found| {
            let known = self.findings.entry(found.id).or_default();
            let is_older = revision.0 < known.0;
            known.0 = known.0.max(revision.0);
            !is_older
        });
        if self.summary.as_ref().is_none_or(|known| known.revision.0 <= revision.0) {
            self.summary = Some(summary);
        }
    }

    /// The newest updates whose keys are `is_requested`, without those that the open tick has newer ones of.
    fn known_updates(&self, is_requested: impl Fn(&str) -> bool) -> Vec<InspectionUpdate> {
        let is_newer = |key: &str| self.open.iter().flat_map(|open| &open.updates).any(|update| update.key() == key);
        let known = self.updates.iter().filter(|(key, _)| is_requested(key) && !is_newer(key));
        known.map(|(_, (_, update))| update.as_ref().clone()).collect()
    }

    /// Keeps the updates of a tick and drops the oldest ones beyond [`UPDATES`]; of a run that has ended, all earlier ones.
    fn keep_updates(&mut self, tick: u64, updates: Vec<InspectionUpdate>, is_over: bool) {
        self.updates.extend(updates.into_iter().map(|update| (update.key(), (tick, Arc::new(update)))));
        let mut ticks: Vec<u64> = self.updates.values().map(|(at, _)| *at).collect();
        ticks.sort_unstable();
        let oldest = if is_over { tick } else { ticks.iter().rev().nth(UPDATES - 1).copied().unwrap_or(0) };
        self.updates.retain(|_, (at, _)| *at >= oldest);
    }
}

impl Open {
    fn add(&mut self, Open { rows, events, updates, findings }: Open) {
        self.rows.extend(rows);
        self.events.extend(events);
        self.keep_latest(updates);
        self.findings.retain(|known| findings.iter().all(|found| found.id != known.id));
        self.findings.extend(findings);
    }

    fn keep_latest(&mut self, updates: Vec<InspectionUpdate>) {
        for update in updates {
            self.updates.retain(|kept| kept.key() != update.key());
            self.updates.push(update);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use wire::RunState;
    use wire::inspect::request::{Inspection, InspectionText};

    pub(crate) fn summary(run: &str, state: RunState) -> RunSummary {
        RunSummary {
            id: run.parse().unwrap(),
            name: run.into(),
            state,
            preset: "tiny".into(),
            corpus: "tales".into(),
            device: "cpu".parse().unwrap(),
            parameters: 1,
            step: 0,
            steps: 10,
            loss_train: None,
            loss_valid: None,
            best_valid: None,
            tokens_per_sec: None,
            elapsed_secs: 0.0,
            secs_per_step: None,
            created_ms: 0,
            started_ms: None,
            ended_ms: None,
            queue_place: None,
            message: None,
            sparkline: vec![],
            is_archived: false,
            deleted_ms: None,
            parent: None,
            priority: 0,
            restarts: 0,
            pool: None,
            waits: None,
            tags: vec![],
            slot: 1,
            project: wire::access::project::default_project(),
            health: wire::diagnosis::Health::default(),
            revision: Revision::default(),
        }
    }

    /// The ticks of a run after its start.
    fn ticks(hub: &Hub, run: &RunId) -> Vec<Tick> {
        let Behind::Ticks(ticks) = hub.after(run, Cursor { epoch: 7, tick: 0 }, 99) else { panic!("within the ring") };
        let read = |bytes: Bytes| match encode::from_bytes(&bytes).unwrap() {
            ToPage::Tick(tick) => tick,
            other => panic!("{other:?}"),
        };
        ticks.into_iter().map(read).collect()
    }

    fn numbers(behind: Behind) -> Option<Vec<u8>> {
        match behind {
            Behind::Ticks(ticks) => Some(ticks.iter().map(|tick| tick[0]).collect()),
            Behind::TooFar => None,
        }
    }

    #[test]
    fn a_cursor_within_the_ring_gets_every_later_tick_once() {
        let mut ring = Ring::default();
        (1..=9u8).for_each(|n| ring.push(Bytes::from(vec![n]), 4));
        let check =
            |seen: u64, expected: Option<Vec<u8>>| assert_eq!(numbers(ring.after(seen, 99)), expected, "after {seen}");
        check(9, Some(vec![]));
        check(7, Some(vec![8, 9]));
        check(5, Some(vec![6, 7, 8, 9]));
        check(4, None);
        check(0, None);
        check(10, None);
        assert_eq!(numbers(ring.after(5, 2)), Some(vec![6, 7]));
        assert_eq!(numbers(Ring::default().after(0, 9)), Some(vec![]));
    }

    #[test]
    fn a_ring_is_bounded_in_bytes_and_keeps_at_least_one_tick() {
        let mut ring = Ring::default();
        (0..10).for_each(|_| ring.push(Bytes::from(vec![0; RING_BYTES]), RING_TICKS));
        assert_eq!((ring.last(), ring.ticks.len()), (10, 1));
    }

    #[tokio::test]
    async fn an_update_is_sent_to_pages_that_requested_it_and_only_the_newest() {
        let hub = Hub::new(7);
        let run: RunId = "r".parse().unwrap();
        let inspection = |layer| Inspection::Attention { text: InspectionText::default(), layer };
        let failed =
            |step, layer| InspectionUpdate::Failed { step, inspection: inspection(layer), message: String::new() };
        for step in 1..=3 {
            let updates = vec![failed(step, 0), failed(step, 1)];
            hub.publish(summary("r", RunState::Running), vec![], vec![], updates);
            hub.close(&run);
        }
        let steps = |key: &str| {
            let Behind::Ticks(ticks) = hub.after(&run, Cursor { epoch: 7, tick: 0 }, 9) else {
                panic!("within the ring")
            };
            let with = |(tick, number)| hub.with_updates(&run, number, tick, |requested| requested == key);
            let read = |bytes: Bytes| match encode::from_bytes(&bytes).unwrap() {
                ToPage::Tick(tick) => {
                    tick.updates.iter().map(|update| (update.key(), update.step())).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            };
            ticks.into_iter().zip(1..).map(with).map(read).collect::<Vec<_>>()
        };
        assert_eq!(steps("not requested"), [vec![], vec![], vec![]]);
        assert_eq!(steps(&inspection(1).key()), [vec![], vec![], vec![(inspection(1).key(), 3)]]);
        let kept = |key: &str| hub.update(&run, key).map(|(_, update)| update.step());
        hub.publish(summary("r", RunState::Running), vec![], vec![], vec![failed(5, 0)]);
        hub.publish_again(summary("r", RunState::Running), |_| true);
        hub.close(&run);
        let again = (kept(&inspection(0).key()), kept(&inspection(1).key()));
        assert_eq!(again, (Some(5), Some(3)), "one that is sent again replaces no newer one");
        for layer in 0..100 {
            hub.publish(summary("r", RunState::Running), vec![], vec![], vec![failed(4, layer)]);
            hub.close(&run);
        }
        assert_eq!(hub.lock()[&run].updates.len(), UPDATES, "a bounded number is kept");
        hub.publish(summary("r", RunState::Finished), vec![], vec![], vec![]);
        hub.close(&run);
        assert!(hub.lock()[&run].updates.is_empty());
    }

    #[tokio::test]
    async fn an_older_state_that_is_published_late_replaces_no_newer_one() {
        let hub = Hub::new(7);
        let run: RunId = "r".parse().unwrap();
        let state = |state, revision| RunSummary { revision: Revision(revision), ..summary("r", state) };
        let finding = |is_dismissed| {
            let finding = serde_json::json!({"id": 1, "segment": 0, "at_ms": 0, "label": "Plateau", "text": "Seen.", "ended_step": null,
                "became": null, "is_abandoned": false, "is_dismissed": is_dismissed, "action": null,
                "finding": {"rule": "plateau", "level": "note", "step": 5, "first_step": 0, "value": 1.0, "threshold": 2.0, "evidence": []}});
            serde_json::from_value::<RunFinding>(finding).unwrap()
        };
        hub.publish_findings(state(RunState::Finished, 9), vec![finding(true)]);
        hub.close(&run);
        // Read before, in another transaction, whose publisher was slower.
        hub.publish_findings(state(RunState::Running, 8), vec![finding(false)]);
        hub.publish(state(RunState::Running, 7), vec![Row { segment: 0, step: 3, values: vec![] }], vec![], vec![]);
        hub.close(&run);
        hub.publish(state(RunState::Queued, 10), vec![], vec![], vec![]);
        hub.publish(state(RunState::Finished, 9), vec![], vec![], vec![]);
        hub.close(&run);
        let ticks = ticks(&hub, &run);
        let states: Vec<_> = ticks.iter().map(|tick| tick.summary.state).collect();
        assert_eq!(states, [RunState::Finished, RunState::Finished, RunState::Queued]);
        let dismissed: Vec<_> = ticks.iter().flat_map(|tick| &tick.findings).map(|found| found.is_dismissed).collect();
        assert_eq!(dismissed, [true], "the older version of the finding is left out");
        assert_eq!(ticks[1].rows.len(), 1, "the values of an older publisher are new");
    }

    #[tokio::test]
    async fn ticks_combine_news_and_lose_nothing() {
        let hub = Hub::new(7);
        let run: RunId = "r".parse().unwrap();
        let mut watcher = hub.follow(&run);
        let start = hub.cursor(&run);
        for step in 0..50 {
            let row = Row { segment: 0, step, values: vec![] };
            hub.publish(summary("r", RunState::Running), vec![row], vec![], vec![]);
        }
        let mut steps = vec![];
        let mut cursor = start;
        while steps.len() < 50 {
            watcher.changed().await.unwrap();
            let Behind::Ticks(ticks) = hub.after(&run, cursor, 9) else { panic!("within the ring") };
            for bytes in ticks {
                let ToPage::Tick(tick) = encode::from_bytes(&bytes).unwrap() else { panic!("a tick") };
                assert_eq!(tick.cursor.tick, cursor.tick + 1);
                cursor = tick.cursor;
                steps.extend(tick.rows.iter().map(|row| row.step));
            }
        }
        assert_eq!(steps, (0..50).collect::<Vec<_>>());
        assert!(cursor.tick < 50, "updates are combined");
        assert_eq!(hub.after(&run, Cursor { epoch: 6, tick: 0 }, 9), Behind::TooFar, "a cursor of an earlier server");
    }
}
