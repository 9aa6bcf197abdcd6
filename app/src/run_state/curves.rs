//! The curves of a run at any zoom, along the path that led to it. Three layers for each curve of each stretch, the finer laid
//! over the coarser: an overview of the whole, the stretch in view in detail, and the live values since. Every value recorded
//! on the path lies in exactly one of what is shown; what was abandoned is shown as ghosts, what a fork began with as its past.

use std::collections::BTreeMap;

use figure::curve::point;
use wire::course::Stairs;
use wire::series::{Axis, Bucket, Row, SeriesWindow, name};

use super::lineage::{Lineage, OWN, Piece};

/// Live values of one curve beyond which the overview should be fetched anew, which folds them.
const TAIL_MOST: usize = 2_000;

/// What the server answered: all of a run, or the stretch asked for.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// The axis it was asked on.
    pub(crate) axis: Axis,
    /// Whose curves: this run's, or those of one it came from.
    pub(crate) source: usize,
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
    tokens_per_pass: f64,
    flops_per_token: f64,
    passes: Stairs,
    lineage: Lineage,
    layers: BTreeMap<String, BTreeMap<Piece, Layers>>,
    /// Seconds at work by step, coarse but for the newest: places steps on the axis of time.
    clock: Vec<(u64, f64)>,
    is_fetched: bool,
}

impl Curves {
    /// No curves yet, on the axis of steps.
    pub(crate) fn new(tokens_per_pass: f64, flops_per_token: f64) -> Self {
        Self {
            axis: Axis::Step,
            tokens_per_pass,
            flops_per_token,
            passes: Stairs::level(1),
            lineage: Lineage::default(),
            layers: BTreeMap::new(),
            clock: vec![],
            is_fetched: false,
        }
    }

    /// Learns how many passes the steps have, which places them on the axis of tokens.
    pub(crate) fn set_passes(&mut self, passes: &Stairs) {
        self.passes.clone_from(passes);
    }

    /// Learns which stretches are the path and which were abandoned.
    pub(crate) fn set_lineage(&mut self, lineage: Lineage) {
        self.lineage = lineage;
        self.wind_clock();
    }

    /// Which stretches are the path and which were abandoned.
    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// What stands on the x axis.
    pub(crate) fn axis(&self) -> Axis {
        self.axis
    }

    /// Changes the axis; the curves are to be fetched anew.
    pub(crate) fn set_axis(&mut self, axis: Axis) {
        if self.axis != axis {
            self.axis = axis;
            self.each_mut().for_each(|layers| *layers = Layers::default());
            self.is_fetched = false;
        }
    }

    fn each(&self) -> impl Iterator<Item = (&Piece, &Layers)> {
        self.layers.values().flatten()
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Layers> {
        self.layers.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// Names of the curves that are known.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.keys().map(String::as_str)
    }

    /// Learns of a curve before its values come.
    pub(crate) fn expect(&mut self, name: &str) {
        self.layers.entry(name.to_owned()).or_default();
    }

    /// The newest step with a value, on any stretch.
    pub(crate) fn newest_step(&self) -> Option<u64> {
        self.each().filter(|(piece, _)| piece.source == OWN).filter_map(|(_, layers)| layers.last_step()).max()
    }

    /// The last step of the path with a value.
    pub(crate) fn end_step(&self) -> u64 {
        let newest = self.lineage.newest();
        self.each()
            .filter(|(piece, _)| **piece == newest)
            .filter_map(|(_, layers)| layers.last_step())
            .max()
            .unwrap_or(0)
    }

    /// The right end of the path.
    pub(crate) fn end(&self) -> f64 {
        let newest = self.lineage.newest();
        self.each().filter(|(piece, _)| **piece == newest).map(|(_, layers)| layers.last_place()).fold(0.0, f64::max)
    }

    /// The right end of everything, ghosts too.
    pub(crate) fn reach(&self) -> f64 {
        self.each().filter(|(piece, _)| piece.source == OWN).map(|(_, layers)| layers.last_place()).fold(0.0, f64::max)
    }

    /// Whether the whole run has been fetched on this axis.
    pub(crate) fn has_overview(&self) -> bool {
        self.is_fetched
    }

    /// Lets go of the detail of a stretch that is no longer in view.
    pub(crate) fn drop_detail(&mut self) {
        self.each_mut().for_each(|layers| layers.detail.clear());
    }

    /// Whether so many live values have come that the overview should be fetched anew.
    pub(crate) fn is_long(&self) -> bool {
        self.each().any(|(_, layers)| layers.tail.len() > TAIL_MOST)
    }

    /// Tokens of all steps before one.
    pub(crate) fn tokens_before(&self, step: u64) -> f64 {
        self.passes.sum_before(step) as f64 * self.tokens_per_pass
    }

    /// Where the end of a step stands on the axis. The store counts as this does: a step's tokens are trained on after it.
    pub(crate) fn place(&self, step: u64) -> f64 {
        match self.axis {
            Axis::Step => step as f64,
            Axis::Tokens => self.tokens_before(step + 1),
            Axis::Flops => self.tokens_before(step + 1) * self.flops_per_token,
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

    /// Takes in a live row. Values at or before the last of a curve's stretch are known already.
    pub(crate) fn add_row(&mut self, row: &Row) {
        let piece = Piece { source: OWN, segment: row.segment };
        if let Some((_, secs)) = row.values.iter().find(|(series, _)| series == name::SECS)
            && piece == self.lineage.newest()
            && self.clock.last().is_none_or(|(step, _)| *step < row.step)
        {
            self.clock.push((row.step, *secs));
        }
        let place = self.place(row.step);
        for (series, value) in &row.values {
            let pieces = match self.layers.get_mut(series) {
                Some(pieces) => pieces,
                None => self.layers.entry(series.clone()).or_default(),
            };
            let layers = pieces.entry(piece).or_default();
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
        self.is_fetched |= fetched.is_whole && fetched.source == OWN;
        for window in fetched.windows {
            let piece = Piece { source: fetched.source, segment: window.segment };
            let layers = self.layers.entry(window.name).or_default().entry(piece).or_default();
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
            self.wind_clock();
        }
    }

    /// The clock along the path, from the curve of seconds: a bucket's ends are its least and greatest, as it only rises.
    fn wind_clock(&mut self) {
        let buckets = self.shown(name::SECS);
        if buckets.is_empty() {
            return;
        }
        let ends = buckets
            .iter()
            .filter(|bucket| bucket.count > 0)
            .flat_map(|bucket| [(bucket.step, bucket.min), (bucket.last_step, bucket.max)]);
        let mut clock: Vec<(u64, f64)> = ends.collect();
        clock.dedup_by_key(|(step, _)| *step);
        self.clock = clock;
    }

    /// A curve along the run's own path, as it is known best: detail where there is detail, the overview around it, then the
    /// live values.
    pub(crate) fn shown(&self, series: &str) -> Vec<Bucket> {
        self.along(series, |piece| piece.source == OWN)
    }

    /// The same along the part of the path that was trained by the runs it came from.
    pub(crate) fn past(&self, series: &str) -> Vec<Bucket> {
        // Each run counts its own seconds at work.
        if self.axis == Axis::Secs { vec![] } else { self.along(series, |piece| piece.source != OWN) }
    }

    fn along(&self, series: &str, takes: impl Fn(Piece) -> bool) -> Vec<Bucket> {
        let Some(pieces) = self.layers.get(series) else { return vec![] };
        let stretches = self.lineage.path.iter().filter(|stretch| takes(stretch.piece));
        let known = stretches.filter_map(|stretch| Some((stretch, pieces.get(&stretch.piece)?)));
        known
            .flat_map(|(stretch, layers)| {
                let mut buckets = layers.shown();
                let ends = buckets.partition_point(|bucket| stretch.to_step.is_none_or(|to| bucket.step < to));
                buckets.truncate(ends);
                // The first bucket of a stretch may reach back over its beginning, where a fork's parent ends.
                buckets.drain(..buckets.partition_point(|bucket| bucket.last_step < stretch.from_step));
                buckets
            })
            .collect()
    }

    /// The abandoned stretches of a curve, each with the step at which it was left.
    pub(crate) fn ghosts(&self, series: &str) -> Vec<(u64, Vec<Bucket>)> {
        let Some(pieces) = self.layers.get(series) else { return vec![] };
        let ghosts = self.lineage.ghosts.iter().filter_map(|ghost| {
            let mut buckets = pieces.get(&ghost.piece)?.shown();
            // One bucket before its beginning stays: it ties the ghost to the path it left.
            let begins = buckets.partition_point(|bucket| bucket.last_step < ghost.from_step).saturating_sub(1);
            buckets.drain(..begins);
            let left = ghost.to_step.or_else(|| buckets.last().map(|last| last.last_step + 1))?;
            let has_own = buckets.last().is_some_and(|last| last.last_step >= ghost.from_step);
            has_own.then_some((left, buckets))
        });
        ghosts.collect()
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
