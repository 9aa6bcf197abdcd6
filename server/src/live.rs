//! The stream of each run: ticks, numbered without gaps, encoded once and shared by all who watch.
//!
//! What pages look at inside of a run stands beside the ring: of each look the newest alone, with the tick that it goes out with, added
//! for those pages that asked for it. So a look of a hundred kilobytes costs a page that did not ask nothing, and shortens no ring.
//!
//! A watcher is a cursor, not a queue. It takes what lies behind its cursor when its socket has room, so a slow one costs
//! nothing and holds nobody up; one that has fallen out of the ring is told to fetch the run again. The store is always
//! ahead of the stream: what a tick says has been stored before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use wire::event::EventRecord;
use wire::frame::Frame;
use wire::live::{Tick, ToPage};
use wire::run::Cursor;
use wire::series::Row;
use wire::{RunId, RunSummary, encode};

use crate::probes::MOST_OF_RUN;

/// Ticks of one run are at least this far apart; what comes in between is folded together.
const TICK_EVERY: Duration = Duration::from_millis(40);
/// Bounds of a ring: as long as a page may sleep and still go on without a gap.
const RING_TICKS: usize = 1024;
const RING_BYTES: usize = 2_000_000;
/// What is left of the ring of a run that has ended.
const RING_TICKS_OVER: usize = 16;
/// Looks of one run that are remembered: all that may stand, and as many that stood before.
const SIGHTS: usize = 2 * MOST_OF_RUN;

/// The last ticks of one run.
#[derive(Default)]
pub struct Ring {
    last: u64,
    bytes: usize,
    ticks: VecDeque<Bytes>,
}

/// What a watcher gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Behind {
    /// All that is new, in order; the first follows the cursor.
    Ticks(Vec<Bytes>),
    /// The ring no longer reaches back to the cursor.
    TooFar,
}

impl Ring {
    /// Number of the last tick; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Appends the next tick and lets go of the oldest beyond `ticks` in number.
    pub fn push(&mut self, tick: Bytes, ticks: usize) {
        self.last += 1;
        self.bytes += tick.len();
        self.ticks.push_back(tick);
        while self.ticks.len() > ticks || (self.bytes > RING_BYTES && self.ticks.len() > 1) {
            let oldest = self.ticks.pop_front();
            self.bytes -= oldest.map_or(0, |tick| tick.len());
        }
    }

    /// What follows tick number `seen`, at most `limit` of them.
    pub fn after(&self, seen: u64, limit: usize) -> Behind {
        let oldest = self.last - self.ticks.len() as u64;
        if seen < oldest || seen > self.last {
            return Behind::TooFar;
        }
        Behind::Ticks(self.ticks.iter().skip((seen - oldest) as usize).take(limit).cloned().collect())
    }
}

/// What has come in since the last tick.
struct Open {
    summary: RunSummary,
    rows: Vec<Row>,
    events: Vec<EventRecord>,
    frames: Vec<Frame>,
}

/// One run's stream.
struct Channel {
    ring: Ring,
    open: Option<Open>,
    closed_at: Option<Instant>,
    last: watch::Sender<u64>,
    /// The newest of each look that was asked for, by its key, with the number of the tick it goes out with.
    sights: HashMap<String, (u64, Arc<Frame>)>,
}

impl Default for Channel {
    fn default() -> Self {
        Self { ring: Ring::default(), open: None, closed_at: None, last: watch::channel(0).0, sights: HashMap::new() }
    }
}

/// All streams of a server's life.
#[derive(Clone)]
pub struct Hub {
    epoch: u64,
    channels: Arc<Mutex<HashMap<RunId, Channel>>>,
    lab: watch::Sender<u64>,
}

impl Hub {
    /// Streams of the server life `epoch`.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, channels: Arc::default(), lab: watch::channel(0).0 }
    }

    /// Where the stream of a run stands. Read it before reading the store, so that nothing falls between.
    pub fn cursor(&self, run: &RunId) -> Cursor {
        Cursor { epoch: self.epoch, tick: self.lock().get(run).map_or(0, |channel| channel.ring.last()) }
    }

    /// Follows a run: the number of its last tick, as it changes.
    pub fn follow(&self, run: &RunId) -> watch::Receiver<u64> {
        self.lock().entry(run.clone()).or_default().last.subscribe()
    }

    /// What follows the cursor, at most `limit` ticks.
    pub fn after(&self, run: &RunId, cursor: Cursor, limit: usize) -> Behind {
        if cursor.epoch != self.epoch {
            return Behind::TooFar;
        }
        self.lock().entry(run.clone()).or_default().ring.after(cursor.tick, limit)
    }

    /// The newest looks of a run that were asked for, as far as their keys are.
    pub fn sights(&self, run: &RunId, is_asked: impl Fn(&str) -> bool) -> Vec<Frame> {
        let channels = self.lock();
        let sights = channels.get(run).into_iter().flat_map(|channel| &channel.sights);
        sights.filter(|(key, _)| is_asked(key)).map(|(_, (_, frame))| frame.as_ref().clone()).collect()
    }

    /// The newest of one look that was asked for, with the number of the tick it went out with.
    pub fn sight(&self, run: &RunId, key: &str) -> Option<(u64, Arc<Frame>)> {
        self.lock().get(run)?.sights.get(key).cloned()
    }

    /// Tick number `number` with the looks that go out with it, as far as their keys are wanted.
    pub fn with_sights(&self, run: &RunId, number: u64, tick: Bytes, is_wanted: impl Fn(&str) -> bool) -> Bytes {
        let frames: Vec<Arc<Frame>> = {
            let channels = self.lock();
            let sights = channels.get(run).into_iter().flat_map(|channel| &channel.sights);
            sights
                .filter(|(key, (at, _))| *at == number && is_wanted(key))
                .map(|(_, (_, frame))| frame.clone())
                .collect()
        };
        if frames.is_empty() {
            return tick;
        }
        // What was encoded here decodes; should it not, the tick goes out as it is.
        let Ok(ToPage::Tick(mut seen)) = encode::from_bytes(&tick) else { return tick };
        seen.frames.extend(frames.iter().map(|frame| frame.as_ref().clone()));
        encode::to_bytes(&ToPage::Tick(seen)).map_or(tick, Bytes::from)
    }

    /// Follows the lab: a number that changes when the Lab page should.
    pub fn follow_lab(&self) -> watch::Receiver<u64> {
        self.lab.subscribe()
    }

    /// Something the Lab page shows has changed.
    pub fn lab_changed(&self) {
        self.lab.send_modify(|version| *version += 1);
    }

    /// Adds stored news of a run to its stream; it goes out within [`TICK_EVERY`].
    pub fn publish(&self, summary: RunSummary, rows: Vec<Row>, events: Vec<EventRecord>, frames: Vec<Frame>) {
        let run = summary.id.clone();
        let wait = {
            let mut channels = self.lock();
            let channel = channels.entry(run.clone()).or_default();
            if let Some(open) = &mut channel.open {
                open.add(summary, rows, events, frames);
                return;
            }
            channel.open = Some(Open { summary, rows, events, frames });
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

    /// Makes a tick of what has come in.
    fn close(&self, run: &RunId) {
        let mut channels = self.lock();
        let Some(channel) = channels.get_mut(run) else { return };
        let Some(Open { summary, rows, events, frames }) = channel.open.take() else { return };
        let is_over = summary.state.is_over();
        let cursor = Cursor { epoch: self.epoch, tick: channel.ring.last() + 1 };
        // Each page is given those it asked for.
        channel.keep_sights(cursor.tick, frames, is_over);
        let tick = ToPage::Tick(Tick { run: run.clone(), cursor, summary, rows, events, frames: vec![] });
        match encode::to_bytes(&tick) {
            Ok(bytes) => {
                channel.ring.push(bytes.into(), if is_over { RING_TICKS_OVER } else { RING_TICKS });
                channel.closed_at = Some(Instant::now());
                channel.last.send_replace(cursor.tick);
            }
            Err(error) => tracing::error!("a tick of {run} cannot be encoded: {error}"),
        }
    }

    // Nothing panics while this lock is held but for want of memory; what it guards is sound after each line.
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    /// Keeps what goes out with a tick. Of those that stood before, the oldest go; of a run that is over, all.
    fn keep_sights(&mut self, tick: u64, sights: Vec<Frame>, is_over: bool) {
        self.sights.extend(sights.into_iter().map(|frame| (frame.key(), (tick, Arc::new(frame)))));
        let mut ticks: Vec<u64> = self.sights.values().map(|(at, _)| *at).collect();
        ticks.sort_unstable();
        let oldest = if is_over { tick } else { ticks.iter().rev().nth(SIGHTS - 1).copied().unwrap_or(0) };
        self.sights.retain(|_, (at, _)| *at >= oldest);
    }
}

impl Open {
    fn add(&mut self, summary: RunSummary, rows: Vec<Row>, events: Vec<EventRecord>, frames: Vec<Frame>) {
        self.summary = summary;
        self.rows.extend(rows);
        self.events.extend(events);
        self.keep_latest(frames);
    }

    fn keep_latest(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            self.frames.retain(|kept| kept.key() != frame.key());
            self.frames.push(frame);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use wire::RunState;
    use wire::look::{Look, Passage};

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
        }
    }

    fn numbers(behind: Behind) -> Option<Vec<u8>> {
        match behind {
            Behind::Ticks(ticks) => Some(ticks.iter().map(|tick| tick[0]).collect()),
            Behind::TooFar => None,
        }
    }

    #[test]
    fn a_cursor_within_the_ring_misses_nothing_and_repeats_nothing() {
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
    async fn a_look_goes_to_those_who_asked_and_only_the_newest_of_it() {
        let hub = Hub::new(7);
        let run: RunId = "r".parse().unwrap();
        let look = |layer| Look::Attention { passage: Passage::default(), layer };
        let unseen = |step, layer| Frame::Unseen { step, look: look(layer), message: String::new() };
        for step in 1..=3 {
            let frames = vec![unseen(step, 0), unseen(step, 1)];
            hub.publish(summary("r", RunState::Running), vec![], vec![], frames);
            hub.close(&run);
        }
        let steps = |key: &str| {
            let Behind::Ticks(ticks) = hub.after(&run, Cursor { epoch: 7, tick: 0 }, 9) else { panic!("within") };
            let with = |(tick, number)| hub.with_sights(&run, number, tick, |wanted| wanted == key);
            let read = |bytes: Bytes| match encode::from_bytes(&bytes).unwrap() {
                ToPage::Tick(tick) => tick.frames.iter().map(|frame| (frame.key(), frame.step())).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            };
            ticks.into_iter().zip(1..).map(with).map(read).collect::<Vec<_>>()
        };
        assert_eq!(steps("nobody's"), [vec![], vec![], vec![]]);
        assert_eq!(steps(&look(1).key()), [vec![], vec![], vec![(look(1).key(), 3)]]);
        assert_eq!(hub.sights(&run, |key| key == look(0).key()), [unseen(3, 0)]);
        for layer in 0..100 {
            hub.publish(summary("r", RunState::Running), vec![], vec![], vec![unseen(4, layer)]);
            hub.close(&run);
        }
        assert_eq!(hub.sights(&run, |_| true).len(), SIGHTS, "no more are remembered than may stand");
        hub.publish(summary("r", RunState::Finished), vec![], vec![], vec![]);
        hub.close(&run);
        assert!(hub.sights(&run, |_| true).is_empty());
    }

    #[tokio::test]
    async fn news_are_folded_into_ticks_that_lose_nothing() {
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
        assert!(cursor.tick < 50, "folded");
        assert_eq!(hub.after(&run, Cursor { epoch: 6, tick: 0 }, 9), Behind::TooFar, "a cursor of another server life");
    }
}
