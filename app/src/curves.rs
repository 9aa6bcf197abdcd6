//! The curves of a run at any zoom, along the path that led to its current state. Each series of each segment has three
//! layers, the finer ones over the coarser: an overview of the whole, the range in view in detail, and the live values
//! since. Every value that was recorded on the path is in exactly one bucket of what is shown. Abandoned branches, and
//! the past that a fork inherits, are separate. [`lineage`] has the path. Pure: no clock, no network, no DOM.

#[cfg(test)]
pub(crate) mod fixture;
mod lineage;

use std::collections::BTreeMap;

use figure::curve::point;
use wire::hyperparameters::accumulation::AccumulationSchedule;
use wire::series::{Axis, Bucket, Difference, Row, SeriesWindow, name};

pub(crate) use lineage::{Lineage, OWN, SourceSegment, opened};

/// Live values of one series beyond which the overview should be fetched again, which aggregates them.
const MAX_TAIL: usize = 2_000;

/// Series as the server answered: of the whole run, or of the requested range.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// The requested x axis.
    pub(crate) axis: Axis,
    /// [`OWN`], or the number of the run that this one was forked from.
    pub(crate) source: usize,
    /// Whether it covers the whole run.
    pub(crate) is_whole: bool,
    /// Series.
    pub(crate) windows: Vec<SeriesWindow>,
}

/// The three layers of one series.
#[derive(Debug, Clone, Default)]
struct Layers {
    overview: Vec<Bucket>,
    detail: Vec<Bucket>,
    tail: Vec<Bucket>,
}

/// All series of one run, on one x axis.
#[derive(Debug, Clone)]
pub(crate) struct Curves {
    axis: Axis,
    tokens_per_micro_batch: f64,
    flops_per_token: f64,
    accumulation: AccumulationSchedule,
    lineage: Lineage,
    layers: BTreeMap<String, BTreeMap<SourceSegment, Layers>>,
    /// Training time by step, coarse except for the newest steps: places steps on the time axis.
    clock: Vec<(u64, f64)>,
    /// The same for each segment of the run itself, with the steps of abandoned branches: places events on the time axis.
    segment_clocks: BTreeMap<u32, Vec<(u64, f64)>>,
    is_fetched: bool,
}

impl Curves {
    /// No series yet, on the step axis.
    pub(crate) fn new(tokens_per_micro_batch: f64, flops_per_token: f64) -> Self {
        Self {
            axis: Axis::Step,
            tokens_per_micro_batch,
            flops_per_token,
            accumulation: AccumulationSchedule::constant(1),
            lineage: Lineage::default(),
            layers: BTreeMap::new(),
            clock: vec![],
            segment_clocks: BTreeMap::new(),
            is_fetched: false,
        }
    }

    /// Sets the micro-batches of each step, which place steps on the token axis.
    pub(crate) fn set_accumulation(&mut self, accumulation: &AccumulationSchedule) {
        self.accumulation.clone_from(accumulation);
    }

    /// Sets which segments are the path and which are abandoned.
    pub(crate) fn set_lineage(&mut self, lineage: Lineage) {
        self.lineage = lineage;
        self.read_clock();
    }

    /// Which segments are the path and which are abandoned.
    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The x axis.
    pub(crate) fn axis(&self) -> Axis {
        self.axis
    }

    /// Changes the x axis; the series must then be fetched again.
    pub(crate) fn set_axis(&mut self, axis: Axis) {
        if self.axis != axis {
            self.axis = axis;
            self.each_mut().for_each(|layers| *layers = Layers::default());
            self.is_fetched = false;
        }
    }

    fn each(&self) -> impl Iterator<Item = (&SourceSegment, &Layers)> {
        self.layers.values().flatten()
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Layers> {
        self.layers.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// Names of the known series.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.keys().map(String::as_str)
    }

    /// Adds a series before its values arrive.
    pub(crate) fn expect(&mut self, name: &str) {
        self.layers.entry(name.to_owned()).or_default();
    }

    /// The newest step with a value, in any segment.
    pub(crate) fn newest_step(&self) -> Option<u64> {
        self.each().filter(|(key, _)| key.source == OWN).filter_map(|(_, layers)| layers.last_step()).max()
    }

    /// The last step of the path with a value.
    pub(crate) fn end_step(&self) -> u64 {
        let newest = self.lineage.newest();
        self.each().filter(|(key, _)| **key == newest).filter_map(|(_, layers)| layers.last_step()).max().unwrap_or(0)
    }

    /// The right end of the path.
    pub(crate) fn end(&self) -> f64 {
        let newest = self.lineage.newest();
        self.each().filter(|(key, _)| **key == newest).map(|(_, layers)| layers.last_place()).fold(0.0, f64::max)
    }

    /// The right end of everything, with abandoned branches.
    pub(crate) fn reach(&self) -> f64 {
        self.each().filter(|(key, _)| key.source == OWN).map(|(_, layers)| layers.last_place()).fold(0.0, f64::max)
    }

    /// Whether the whole run was fetched on this axis.
    pub(crate) fn has_overview(&self) -> bool {
        self.is_fetched
    }

    /// Drops the detail of a range that is no longer in view.
    pub(crate) fn drop_detail(&mut self) {
        self.each_mut().for_each(|layers| layers.detail.clear());
    }

    /// Whether there are so many live values that the overview should be fetched again.
    pub(crate) fn is_long(&self) -> bool {
        self.each().any(|(_, layers)| layers.tail.len() > MAX_TAIL)
    }

    /// Tokens of all steps before one.
    pub(crate) fn tokens_before(&self, step: u64) -> f64 {
        self.accumulation.sum_before(step) as f64 * self.tokens_per_micro_batch
    }

    /// Position of the end of a step on the x axis. The store counts in the same way: the tokens of a step are trained on
    /// after it.
    pub(crate) fn place(&self, step: u64) -> f64 {
        match self.axis {
            Axis::Step => step as f64,
            Axis::Tokens => self.tokens_before(step + 1),
            Axis::Flops => self.tokens_before(step + 1) * self.flops_per_token,
            Axis::Secs => self.secs(step),
        }
    }

    /// Position of something that took effect before a step: the step itself, or what had been done by then.
    pub(crate) fn place_before(&self, step: u64) -> f64 {
        match (self.axis, step.checked_sub(1)) {
            (Axis::Step, _) => step as f64,
            (_, None) => 0.0,
            (_, Some(before)) => self.place(before),
        }
    }

    /// Position of an event of a segment that took effect before a step. On the time axis those of an abandoned branch have the time of that
    /// branch, which the path does not have.
    pub(crate) fn place_event(&self, segment: u32, step: u64) -> f64 {
        match (self.segment_clocks.get(&segment), step.checked_sub(1)) {
            (Some(clock), Some(before)) if self.axis == Axis::Secs && !clock.is_empty() => {
                secs_at(clock, before).unwrap_or(clock[0].1)
            }
            _ => self.place_before(step),
        }
    }

    /// Training time by the end of a step of the path, interpolated linearly.
    fn secs(&self, step: u64) -> f64 {
        let before_first = |(at, secs): &(u64, f64)| secs * (step + 1) as f64 / (at + 1) as f64;
        secs_at(&self.clock, step).unwrap_or_else(|| self.clock.first().map_or(0.0, before_first))
    }

    /// Adds a live row. Values at or before the last step of a segment are already known.
    pub(crate) fn add_row(&mut self, row: &Row) {
        let key = SourceSegment { source: OWN, segment: row.segment };
        if let Some((_, secs)) = row.values.iter().find(|(series, _)| series == name::SECS) {
            let add = |clock: &mut Vec<(u64, f64)>| {
                if clock.last().is_none_or(|(step, _)| *step < row.step) {
                    clock.push((row.step, *secs));
                }
            };
            add(self.segment_clocks.entry(row.segment).or_default());
            if key == self.lineage.newest() {
                add(&mut self.clock);
            }
        }
        let place = self.place(row.step);
        for (series, value) in &row.values {
            let segments = match self.layers.get_mut(series) {
                Some(segments) => segments,
                None => self.layers.entry(series.clone()).or_default(),
            };
            let layers = segments.entry(key).or_default();
            if layers.last_step().is_none_or(|last| last < row.step) {
                layers.tail.push(point(row.step, place, *value));
            }
        }
    }

    /// Adds fetched series; an answer for another axis is out of date and ignored.
    pub(crate) fn add_fetched(&mut self, fetched: Fetched) {
        if fetched.axis != self.axis {
            return;
        }
        self.is_fetched |= fetched.is_whole && fetched.source == OWN;
        for window in fetched.windows {
            let key = SourceSegment { source: fetched.source, segment: window.segment };
            let layers = self.layers.entry(window.name).or_default().entry(key).or_default();
            if fetched.is_whole {
                let last = window.buckets.last().map(|bucket| bucket.last_step);
                layers.tail.retain(|bucket| Some(bucket.step) > last);
                layers.overview = window.buckets;
                layers.detail.clear();
            } else {
                layers.detail = window.buckets;
            }
        }
        if fetched.is_whole {
            self.read_clock();
        }
    }

    /// Reads the training time along the path, and of each segment, from its series.
    fn read_clock(&mut self) {
        let path = clock_of(&self.shown(name::SECS));
        if !path.is_empty() {
            self.clock = path;
        }
        let segments = self.layers.get(name::SECS).into_iter().flatten().filter(|(key, _)| key.source == OWN);
        self.segment_clocks = segments.map(|(key, layers)| (key.segment, clock_of(&layers.shown()))).collect();
    }

    /// A series along the run's own path at the best resolution: detail if it is loaded, the overview around it, then
    /// the live values.
    pub(crate) fn shown(&self, series: &str) -> Vec<Bucket> {
        self.along(series, |key| key.source == OWN)
    }

    /// The same along the part of the path that was trained by the runs it was forked from.
    pub(crate) fn past(&self, series: &str) -> Vec<Bucket> {
        // Each run counts its own training time.
        if self.axis == Axis::Secs { vec![] } else { self.along(series, |key| key.source != OWN) }
    }

    fn along(&self, series: &str, takes: impl Fn(SourceSegment) -> bool) -> Vec<Bucket> {
        let Some(segments) = self.layers.get(series) else { return vec![] };
        let spans = self.lineage.path.iter().filter(|span| takes(span.key));
        let known = spans.filter_map(|span| Some((span, segments.get(&span.key)?)));
        let mut along: Vec<Bucket> = vec![];
        for (span, layers) in known {
            let mut buckets = layers.shown();
            let ends = buckets.partition_point(|bucket| span.to_step.is_none_or(|to| bucket.step < to));
            buckets.truncate(ends);
            // The first bucket of a segment may begin before it, where the parent of a fork ends.
            buckets.drain(..buckets.partition_point(|bucket| bucket.last_step < span.from_step));
            if self.axis == Axis::Secs {
                along.extend(gap(along.last(), buckets.first()));
            }
            along.extend(buckets);
        }
        along
    }

    /// The abandoned branches of a series, each with the step at which it was left.
    pub(crate) fn abandoned(&self, series: &str) -> Vec<(u64, Vec<Bucket>)> {
        let Some(segments) = self.layers.get(series) else { return vec![] };
        let abandoned = self.lineage.abandoned.iter().filter_map(|span| {
            let mut buckets = segments.get(&span.key)?.shown();
            // One bucket before its beginning stays: it connects the branch with the path.
            let begins = buckets.partition_point(|bucket| bucket.last_step < span.from_step).saturating_sub(1);
            buckets.drain(..begins);
            let left = span.to_step.or_else(|| buckets.last().map(|last| last.last_step + 1))?;
            let has_own = buckets.last().is_some_and(|last| last.last_step >= span.from_step);
            has_own.then_some((left, buckets))
        });
        abandoned.collect()
    }
}

/// The gap before a segment on the time axis: meanwhile the run trained a branch that was abandoned, and the path has no values. A point at
/// either end, so that areas have edges there.
fn gap(last: Option<&Bucket>, next: Option<&Bucket>) -> Vec<Bucket> {
    match (last, next) {
        (Some(last), Some(next)) if next.x > last.last_x => {
            vec![point(last.last_step, last.last_x, f64::NAN), point(next.step, next.x, f64::NAN)]
        }
        _ => vec![],
    }
}

/// Training time by step: it only grows, so a bucket starts at its minimum and ends at its maximum.
fn clock_of(buckets: &[Bucket]) -> Vec<(u64, f64)> {
    let measured = buckets.iter().filter(|bucket| bucket.count > 0);
    let ends = measured.flat_map(|bucket| [(bucket.step, bucket.min), (bucket.last_step, bucket.max)]);
    let mut clock: Vec<(u64, f64)> = ends.collect();
    clock.dedup_by_key(|(step, _)| *step);
    clock
}

/// Training time by the end of a step, interpolated linearly; that of the last known step after it, `None` before the first.
fn secs_at(clock: &[(u64, f64)], step: u64) -> Option<f64> {
    let after = clock.partition_point(|(at, _)| *at <= step);
    let &(s0, t0) = clock.get(after.checked_sub(1)?)?;
    Some(clock.get(after).map_or(t0, |&(s1, t1)| t0 + (t1 - t0) * (step - s0) as f64 / (s1 - s0) as f64))
}

/// Buckets that begin after another ends.
fn after<'a>(buckets: &'a [Bucket], end: Option<&Bucket>) -> &'a [Bucket] {
    let end = end.map(|end| end.last_step);
    &buckets[buckets.partition_point(|bucket| Some(bucket.step) <= end)..]
}

/// Live values in buckets as long as those before them, with their extremes, so that old and new parts of a curve look
/// alike.
fn aggregated(values: &[Bucket], like: &[Bucket]) -> Vec<Bucket> {
    let size = like.get(like.len() / 2).map_or(1, |bucket| bucket.count.max(1) as usize);
    if size == 1 { values.to_vec() } else { values.chunks(size).map(aggregate).collect() }
}

/// One bucket of several. A value that is not finite is a gap only if it is alone.
fn aggregate(values: &[Bucket]) -> Bucket {
    let (first, last) = (values[0], values[values.len() - 1]);
    let ends = Bucket { last_step: last.last_step, last_x: last.last_x, ..first };
    let finite = || values.iter().filter(|value| value.count > 0);
    let count = finite().count() as u64;
    if count == 0 {
        return ends;
    }
    let mean = finite().map(|value| value.mean).sum::<f64>() / count as f64;
    let (min, max) =
        finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value.min), max.max(value.max)));
    Bucket { min, max, mean, count, ..ends }
}

impl Layers {
    fn all(&self) -> [&Vec<Bucket>; 3] {
        [&self.overview, &self.detail, &self.tail]
    }

    fn last_step(&self) -> Option<u64> {
        self.all().into_iter().filter_map(|layer| layer.last()).map(|bucket| bucket.last_step).max()
    }

    fn last_place(&self) -> f64 {
        self.all().into_iter().filter_map(|layer| layer.last()).map(|bucket| bucket.last_x).fold(0.0, f64::max)
    }

    fn shown(&self) -> Vec<Bucket> {
        let Self { overview, detail, tail } = self;
        let (Some(first), Some(last)) = (detail.first(), detail.last()) else {
            return [&overview[..], &aggregated(after(tail, overview.last()), overview)].concat();
        };
        let before = &overview[..overview.partition_point(|bucket| bucket.last_step < first.step)];
        let between = after(tail, overview.last());
        let between = &between[..between.partition_point(|bucket| bucket.step < first.step)];
        let beyond = after(overview, Some(last));
        let newest = after(tail, overview.last().filter(|overview| overview.last_step > last.last_step).or(Some(last)));
        let like = if beyond.is_empty() { detail } else { overview };
        [before, &aggregated(between, overview), detail, beyond, &aggregated(newest, like)].concat()
    }
}

/// The difference of two losses as buckets over steps, with the band of its mean.
pub(crate) fn difference_buckets(difference: &[Difference]) -> Vec<Bucket> {
    let bucket = |span: &Difference| Bucket {
        step: span.step,
        last_step: span.last_step,
        x: span.step as f64,
        last_x: span.last_step as f64,
        min: span.low,
        max: span.high,
        mean: span.mean,
        count: span.last_step.saturating_sub(span.step) + 1,
    };
    difference.iter().map(bucket).collect()
}
