//! The history of one device: buckets of the last hour and the last day with the minimum, mean and maximum of each quantity. Times are those
//! of the server's clock.

use std::collections::VecDeque;

use wire::device::DeviceKind;
use wire::telemetry::{Aggregate, HistoryBucket, HistoryRange, Telemetry, Usage};

/// Minutes of the sparkline.
const MINUTES: i64 = 60;

/// The history of a device.
#[derive(Debug, Clone)]
pub struct History {
    hour: Ring,
    day: Ring,
}

impl Default for History {
    fn default() -> Self {
        Self { hour: Ring::new(HistoryRange::Hour), day: Ring::new(HistoryRange::Day) }
    }
}

impl History {
    /// Adds a measurement of a device of this kind.
    pub fn measured(&mut self, now_ms: i64, kind: DeviceKind, telemetry: &Telemetry) {
        let values = Values::of(kind, telemetry);
        self.each(|ring| ring.open(now_ms).values.add(values));
    }

    /// Adds used time.
    pub fn used(&mut self, now_ms: i64, usage: Usage) {
        self.each(|ring| ring.open(now_ms).usage += usage);
    }

    /// The buckets of a range up to now, oldest first.
    pub fn buckets(&self, range: HistoryRange, now_ms: i64) -> Vec<HistoryBucket> {
        self.ring(range).buckets(now_ms)
    }

    /// Usage of a range up to now.
    pub fn usage(&self, range: HistoryRange, now_ms: i64) -> Usage {
        let mut sum = Usage::default();
        self.buckets(range, now_ms).iter().for_each(|bucket| sum += bucket.usage);
        sum
    }

    /// Mean utilization of each of the last 60 minutes, oldest first; the last one is still being filled.
    pub fn minutes(&self, now_ms: i64) -> Vec<Option<f32>> {
        let mut sums = [(0.0, 0u32); MINUTES as usize];
        for bucket in self.buckets(HistoryRange::Hour, now_ms) {
            let ago = (now_ms.div_euclid(60_000) - bucket.at_ms.div_euclid(60_000)).max(0);
            if let (Some(utilization), true) = (bucket.utilization, ago < MINUTES) {
                let (sum, count) = &mut sums[(MINUTES - 1 - ago) as usize];
                *sum += utilization.mean;
                *count += 1;
            }
        }
        sums.map(|(sum, count)| (count > 0).then(|| rounded(sum / f64::from(count)) as f32)).to_vec()
    }

    /// The buckets that were completed since the last call; `with_open` adds those still being filled.
    pub fn take_unsaved(&mut self, with_open: bool) -> Vec<(HistoryRange, HistoryBucket)> {
        let mut unsaved = vec![];
        self.each(|ring| {
            unsaved.extend(ring.unsaved().map(|bucket| (ring.range, bucket.clone())));
            unsaved.extend(ring.open.as_ref().filter(|_| with_open).map(|open| (ring.range, open.bucket())));
            ring.saved = ring.next;
        });
        unsaved
    }

    /// Puts buckets before those that are here.
    pub fn restore(&mut self, range: HistoryRange, buckets: Vec<HistoryBucket>) {
        match range {
            HistoryRange::Hour => self.hour.restore(buckets),
            HistoryRange::Day => self.day.restore(buckets),
        }
    }

    fn ring(&self, range: HistoryRange) -> &Ring {
        match range {
            HistoryRange::Hour => &self.hour,
            HistoryRange::Day => &self.day,
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Ring)) {
        act(&mut self.hour);
        act(&mut self.day);
    }
}

/// The buckets of one range.
#[derive(Debug, Clone)]
struct Ring {
    range: HistoryRange,
    closed: VecDeque<HistoryBucket>,
    open: Option<OpenBucket>,
    /// Number of the bucket that is closed next, and of the first that was not saved.
    next: u64,
    saved: u64,
}

impl Ring {
    fn new(range: HistoryRange) -> Self {
        Self { range, closed: VecDeque::new(), open: None, next: 0, saved: 0 }
    }

    fn bucket_ms(&self) -> i64 {
        self.range.bucket_secs() * 1000
    }

    /// The bucket of this time, to add to. A clock that was set back by less than two buckets fills the open one; after a larger step the
    /// history would lie in the future, and begins anew.
    fn open(&mut self, now_ms: i64) -> &mut OpenBucket {
        let at_ms = now_ms - now_ms.rem_euclid(self.bucket_ms());
        let is_far_back = self.open.as_ref().is_some_and(|open| open.at_ms - at_ms > 2 * self.bucket_ms());
        if is_far_back {
            self.closed.clear();
            self.open = None;
        }
        if self.open.as_ref().is_some_and(|open| open.at_ms < at_ms) {
            self.close();
        }
        self.drop_before(now_ms);
        self.open.get_or_insert_with(|| OpenBucket { at_ms, ..OpenBucket::default() })
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.closed.push_back(open.bucket());
            self.next += 1;
        }
    }

    fn drop_before(&mut self, now_ms: i64) {
        let from_ms = self.from(now_ms);
        while self.closed.front().is_some_and(|bucket| bucket.at_ms < from_ms) {
            self.closed.pop_front();
        }
    }

    /// Start of the first bucket that lies whole in the range.
    fn from(&self, now_ms: i64) -> i64 {
        now_ms - self.range.secs() * 1000
    }

    fn buckets(&self, now_ms: i64) -> Vec<HistoryBucket> {
        let from_ms = self.from(now_ms);
        let open = self.open.as_ref().map(OpenBucket::bucket);
        self.closed.iter().cloned().chain(open).filter(|bucket| bucket.at_ms >= from_ms).collect()
    }

    fn unsaved(&self) -> impl Iterator<Item = &HistoryBucket> {
        let count = (self.next - self.saved).min(self.closed.len() as u64) as usize;
        self.closed.iter().skip(self.closed.len() - count)
    }

    fn restore(&mut self, mut buckets: Vec<HistoryBucket>) {
        let first = self.closed.front().map(|bucket| bucket.at_ms).or(self.open.as_ref().map(|open| open.at_ms));
        buckets.retain(|bucket| first.is_none_or(|first| bucket.at_ms < first));
        buckets.into_iter().rev().for_each(|bucket| self.closed.push_front(bucket));
    }
}

/// A bucket that is being filled.
#[derive(Debug, Clone, Default)]
struct OpenBucket {
    at_ms: i64,
    values: Sums,
    usage: Usage,
}

impl OpenBucket {
    fn bucket(&self) -> HistoryBucket {
        let [utilization, cpu_utilization, memory_used_bytes, temperature_c, power_w, clock_mhz] =
            self.values.0.map(Sum::aggregate);
        HistoryBucket {
            at_ms: self.at_ms,
            utilization,
            cpu_utilization,
            memory_used_bytes,
            temperature_c,
            power_w,
            clock_mhz,
            usage: self.usage,
        }
    }
}

/// The quantities of a measurement, in the order of the fields of [`HistoryBucket`].
#[derive(Debug, Clone, Copy)]
struct Values([Option<f64>; 6]);

impl Values {
    fn of(kind: DeviceKind, telemetry: &Telemetry) -> Self {
        Self([
            telemetry.utilization(kind),
            telemetry.cpu_utilization.filter(|_| kind == DeviceKind::Gpu),
            telemetry.memory(kind).map(|(used, _)| used as f64),
            telemetry.temperature_c,
            telemetry.power_w,
            telemetry.clock_mhz,
        ])
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums([Sum; 6]);

impl Sums {
    fn add(&mut self, Values(values): Values) {
        self.0.iter_mut().zip(values).for_each(|(sum, value)| value.into_iter().for_each(|value| sum.add(value)));
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    min: f64,
    max: f64,
    sum: f64,
    count: u32,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let is_first = self.count == 0;
        self.min = if is_first { value } else { self.min.min(value) };
        self.max = if is_first { value } else { self.max.max(value) };
        self.sum += value;
        self.count += 1;
    }

    fn aggregate(self) -> Option<Aggregate> {
        let Self { min, max, sum, count } = self;
        let [min, mean, max] = [min, sum / f64::from(count), max].map(rounded);
        (count > 0).then_some(Aggregate { min, mean, max })
    }
}

/// Four significant digits: more than any chart shows, and a third of the bytes of an answer.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::Random;

    const HOUR_MS: i64 = 3_600_000;

    fn cpu(share: f64) -> Telemetry {
        Telemetry { cpu_utilization: Some(share), ..Telemetry::default() }
    }

    #[test]
    fn buckets_have_every_value_and_the_history_is_bounded() {
        let mut random = Random::new(testing::seed(7));
        let mut history = History::default();
        // Three hours: a measurement every 2 s, with a gap of ten minutes without a worker.
        let start = 1_700_000_040_000;
        let (mut now_ms, mut given) = (start, vec![]);
        while now_ms < start + 3 * HOUR_MS {
            if !(start + 150 * 60_000..start + 160 * 60_000).contains(&now_ms) {
                let share = random.below(1000) as f64 / 1000.0;
                history.measured(now_ms, DeviceKind::Cpu, &cpu(share));
                history.used(now_ms, Usage { busy_secs: 2.0, ..Usage::default() });
                given.push((now_ms, share));
            }
            now_ms += 2000;
        }
        let last = now_ms - 2000;
        for range in HistoryRange::ALL {
            let buckets = history.buckets(range, last);
            assert!(buckets.len() as i64 <= range.secs() / range.bucket_secs() + 1, "{}", buckets.len());
            assert!(buckets.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
            for bucket in &buckets {
                let until = bucket.at_ms + range.bucket_secs() * 1000;
                let inside: Vec<f64> = given
                    .iter()
                    .filter(|(at, _)| (bucket.at_ms..until).contains(at))
                    .map(|(_, share)| *share)
                    .collect();
                let found = bucket.utilization.unwrap();
                assert_eq!(found.min, inside.iter().copied().fold(f64::INFINITY, f64::min));
                assert_eq!(found.max, inside.iter().copied().fold(0.0, f64::max));
                assert!((found.mean - inside.iter().sum::<f64>() / inside.len() as f64).abs() < 1e-3);
                assert_eq!((bucket.power_w, bucket.cpu_utilization), (None, None), "never measured");
            }
        }
        let busy = history.usage(HistoryRange::Hour, last).busy_secs;
        assert!((busy - 3000.0).abs() < 30.0, "an hour without the gap: {busy}");
        let minutes = history.minutes(last);
        assert_eq!(minutes.len(), 60);
        assert_eq!(minutes.iter().filter(|minute| minute.is_none()).count(), 10, "the gap stays a gap");
    }

    #[test]
    fn every_bucket_is_saved_once_and_restored_before_the_new_ones() {
        let mut history = History::default();
        let mut saved = vec![];
        for second in 0..3600 {
            history.measured(second * 1000, DeviceKind::Cpu, &cpu(0.5));
            if second % 60 == 59 {
                saved.extend(history.take_unsaved(false));
            }
        }
        saved.extend(history.take_unsaved(true));
        let of = |range: HistoryRange| -> Vec<HistoryBucket> {
            saved.iter().filter(|(of, _)| *of == range).map(|(_, bucket)| bucket.clone()).collect()
        };
        assert_eq!((of(HistoryRange::Hour).len(), of(HistoryRange::Day).len()), (360, 12));
        assert_eq!(of(HistoryRange::Hour), history.buckets(HistoryRange::Hour, 3_599_000));
        let mut next = History::default();
        next.measured(3_605_000, DeviceKind::Cpu, &cpu(0.9));
        next.restore(HistoryRange::Hour, of(HistoryRange::Hour));
        let buckets = next.buckets(HistoryRange::Hour, 3_605_000);
        assert_eq!((buckets.len(), buckets.last().unwrap().utilization.unwrap().mean), (360, 0.9));
        assert!(next.take_unsaved(false).is_empty(), "what was restored is stored already");
    }

    #[test]
    fn a_clock_that_was_set_back_begins_a_new_history() {
        let mut history = History::default();
        for second in 0..600 {
            history.measured(HOUR_MS * 24 + second * 1000, DeviceKind::Cpu, &cpu(0.1));
        }
        history.measured(HOUR_MS * 24 + 595_000, DeviceKind::Cpu, &cpu(0.2));
        assert_eq!(history.buckets(HistoryRange::Hour, HOUR_MS * 24 + 600_000).len(), 60);
        history.measured(HOUR_MS, DeviceKind::Cpu, &cpu(0.3));
        let buckets = history.buckets(HistoryRange::Hour, HOUR_MS);
        assert_eq!((buckets.len(), buckets[0].at_ms), (1, HOUR_MS));
    }
}
