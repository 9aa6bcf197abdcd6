//! The curves of a run at any zoom. Three layers, the finer laid over the coarser: an overview of the whole run, the
//! stretch in view in detail, and the live values since. Every value recorded lies in exactly one of what is shown.

use std::collections::BTreeMap;

use figure::curve::point;
use wire::series::{Axis, Bucket, Row, SeriesWindow, name};

/// Live values of one curve beyond which the overview should be fetched anew, which folds them.
const TAIL_MOST: usize = 2_000;

/// What the server answered: all of a run, or the stretch asked for.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// The axis it was asked on.
    pub(crate) axis: Axis,
    /// The whole run, and not a stretch.
    pub(crate) is_whole: bool,
    /// Curves.
    pub(crate) windows: Vec<SeriesWindow>,
}

/// One curve's three layers.
#[derive(Debug, Clone, Default)]
struct Layers {
    overview: Vec<Bucket>,
    detail: Vec<Bucket>,
    tail: Vec<Bucket>,
}

/// All curves of one run, on one axis.
#[derive(Debug, Clone)]
pub(crate) struct Curves {
    axis: Axis,
    tokens_per_step: f64,
    flops_per_token: f64,
    layers: BTreeMap<String, Layers>,
    /// Seconds at work by step, coarse but for the newest: places steps on the axis of time.
    clock: Vec<(u64, f64)>,
    end_step: u64,
    is_fetched: bool,
}

impl Curves {
    /// No curves yet, on the axis of steps.
    pub(crate) fn new(tokens_per_step: f64, flops_per_token: f64) -> Self {
        Self {
            axis: Axis::Step,
            tokens_per_step,
            flops_per_token,
            layers: BTreeMap::new(),
            clock: vec![],
            end_step: 0,
            is_fetched: false,
        }
    }

    /// What stands on the x axis.
    pub(crate) fn axis(&self) -> Axis {
        self.axis
    }

    /// Changes the axis; the curves are to be fetched anew.
    pub(crate) fn set_axis(&mut self, axis: Axis) {
        if self.axis != axis {
            self.axis = axis;
            self.layers.values_mut().for_each(|layers| *layers = Layers::default());
            self.is_fetched = false;
        }
    }

    /// Names of the curves that are known.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.keys().map(String::as_str)
    }

    /// Learns of a curve before its values come.
    pub(crate) fn expect(&mut self, name: &str) {
        self.layers.entry(name.to_owned()).or_default();
    }

    /// The last step of any curve.
    pub(crate) fn end_step(&self) -> u64 {
        self.end_step
    }

    /// The newest step with a value.
    pub(crate) fn newest_step(&self) -> Option<u64> {
        self.layers.values().filter_map(Layers::last_step).max()
    }

    /// The right end of the curves.
    pub(crate) fn end(&self) -> f64 {
        let last = |layers: &Layers| {
            [&layers.overview, &layers.detail, &layers.tail]
                .into_iter()
                .filter_map(|layer| layer.last())
                .map(|last| last.last_x)
                .fold(0.0, f64::max)
        };
        self.layers.values().map(last).fold(0.0, f64::max)
    }

    /// Whether the whole run has been fetched on this axis.
    pub(crate) fn has_overview(&self) -> bool {
        self.is_fetched
    }

    /// Lets go of the detail of a stretch that is no longer in view.
    pub(crate) fn drop_detail(&mut self) {
        self.layers.values_mut().for_each(|layers| layers.detail.clear());
    }

    /// Whether so many live values have come that the overview should be fetched anew.
    pub(crate) fn is_long(&self) -> bool {
        self.layers.values().any(|layers| layers.tail.len() > TAIL_MOST)
    }

    /// Where the end of a step stands on the axis. The store counts as this does: a step's tokens are trained on after it.
    pub(crate) fn place(&self, step: u64) -> f64 {
        let tokens = (step + 1) as f64 * self.tokens_per_step;
        match self.axis {
            Axis::Step => step as f64,
            Axis::Tokens => tokens,
            Axis::Flops => tokens * self.flops_per_token,
            Axis::Secs => self.secs(step),
        }
    }

    /// Where something stands that took effect before a step: on the step itself, or at what had been done by then.
    pub(crate) fn place_before(&self, step: u64) -> f64 {
        match (self.axis, step.checked_sub(1)) {
            (Axis::Step, _) => step as f64,
            (_, None) => 0.0,
            (_, Some(before)) => self.place(before),
        }
    }

    /// Seconds at work by the end of a step: straight lines between what is known.
    fn secs(&self, step: u64) -> f64 {
        let after = self.clock.partition_point(|(at, _)| *at <= step);
        match (after.checked_sub(1).and_then(|before| self.clock.get(before)), self.clock.get(after)) {
            (Some(&(s0, t0)), Some(&(s1, t1))) => t0 + (t1 - t0) * (step - s0) as f64 / (s1 - s0) as f64,
            (Some(&(_, secs)), None) => secs,
            (None, Some(&(at, secs))) => secs * (step + 1) as f64 / (at + 1) as f64,
            (None, None) => 0.0,
        }
    }

    /// Takes in a live row. Values at or before a curve's last are known already.
    pub(crate) fn add_row(&mut self, row: &Row) {
        self.end_step = self.end_step.max(row.step);
        if let Some((_, secs)) = row.values.iter().find(|(series, _)| series == name::SECS)
            && self.clock.last().is_none_or(|(step, _)| *step < row.step)
        {
            self.clock.push((row.step, *secs));
        }
        let place = self.place(row.step);
        for (series, value) in &row.values {
            let layers = self.layers.entry(series.clone()).or_default();
            if layers.last_step().is_none_or(|last| last < row.step) {
                layers.tail.push(point(row.step, place, *value));
            }
        }
    }

    /// Takes in what was fetched; an answer for another axis is out of date and passed over.
    pub(crate) fn add_fetched(&mut self, fetched: Fetched) {
        if fetched.axis != self.axis {
            return;
        }
        self.is_fetched |= fetched.is_whole;
        for window in fetched.windows {
            self.end_step = self.end_step.max(window.buckets.last().map_or(0, |last| last.last_step));
            if fetched.is_whole && window.name == name::SECS {
                self.set_clock(&window.buckets);
            }
            let layers = self.layers.entry(window.name).or_default();
            if fetched.is_whole {
                let last = window.buckets.last().map(|bucket| bucket.last_step);
                layers.tail.retain(|bucket| Some(bucket.step) > last);
                layers.overview = window.buckets;
                layers.detail.clear();
            } else {
                layers.detail = window.buckets;
            }
        }
    }

    /// The clock of the whole run, from the curve of seconds: a bucket's ends are its least and greatest, as it only rises.
    fn set_clock(&mut self, buckets: &[Bucket]) {
        let last = buckets.last().map(|bucket| bucket.last_step);
        let newer = self.clock.iter().copied().filter(|(step, _)| Some(*step) > last).collect::<Vec<_>>();
        self.clock = buckets
            .iter()
            .filter(|bucket| bucket.count > 0)
            .flat_map(|bucket| [(bucket.step, bucket.min), (bucket.last_step, bucket.max)])
            .chain(newer)
            .collect();
        self.clock.dedup_by_key(|(step, _)| *step);
    }

    /// A curve as it is known best: detail where there is detail, the overview around it, then the live values.
    pub(crate) fn shown(&self, series: &str) -> Vec<Bucket> {
        let Some(Layers { overview, detail, tail }) = self.layers.get(series) else { return vec![] };
        let (Some(first), Some(last)) = (detail.first(), detail.last()) else {
            return [&overview[..], &folded(after(tail, overview.last()), overview)].concat();
        };
        let before = &overview[..overview.partition_point(|bucket| bucket.last_step < first.step)];
        let between = after(tail, overview.last());
        let between = &between[..between.partition_point(|bucket| bucket.step < first.step)];
        let beyond = after(overview, Some(last));
        let newest = after(tail, overview.last().filter(|overview| overview.last_step > last.last_step).or(Some(last)));
        let like = if beyond.is_empty() { detail } else { overview };
        [before, &folded(between, overview), detail, beyond, &folded(newest, like)].concat()
    }
}

/// Buckets that begin after another ends.
fn after<'a>(buckets: &'a [Bucket], end: Option<&Bucket>) -> &'a [Bucket] {
    let end = end.map(|end| end.last_step);
    &buckets[buckets.partition_point(|bucket| Some(bucket.step) <= end)..]
}

/// Live values in buckets as long as those they follow, extremes kept: a curve looks alike where it is old and where it is new.
fn folded(values: &[Bucket], like: &[Bucket]) -> Vec<Bucket> {
    let size = like.get(like.len() / 2).map_or(1, |bucket| bucket.count.max(1) as usize);
    if size == 1 { values.to_vec() } else { values.chunks(size).map(fold).collect() }
}

/// One bucket of several. A value that is not a number is a gap only where it stands alone.
fn fold(values: &[Bucket]) -> Bucket {
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
    fn last_step(&self) -> Option<u64> {
        [&self.overview, &self.detail, &self.tail]
            .into_iter()
            .filter_map(|layer| layer.last())
            .map(|bucket| bucket.last_step)
            .max()
    }
}
