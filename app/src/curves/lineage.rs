//! The path of segments that led to the current state of a run, and its abandoned branches. Pure: read from the view of
//! the run, and kept up to date by the rollbacks of its live stream.

use wire::run::history::Segment;
use wire::{Event, EventRecord, RunId, RunView};

/// The source that is the run itself; higher numbers are the runs that it was forked from.
pub(crate) const OWN: usize = 0;

/// A segment of the run itself or of one that it was forked from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceSegment {
    /// [`OWN`], or 1 + the index in [`Lineage::parents`].
    pub(crate) source: usize,
    /// Segment of that run's history.
    pub(crate) segment: u32,
}

/// Steps of a segment: `from_step..to_step`, without an end if it still grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentSpan {
    /// The segment.
    pub(crate) key: SourceSegment,
    /// First step.
    pub(crate) from_step: u64,
    /// One past the last.
    pub(crate) to_step: Option<u64>,
}

/// The path of a run, and its abandoned branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// The runs that it was forked from, oldest first.
    pub(crate) parents: Vec<RunId>,
    /// The path through them, oldest first.
    pub(crate) path: Vec<SegmentSpan>,
    /// Abandoned branches of the run itself; `to_step` is where each was left, if known.
    pub(crate) abandoned: Vec<SegmentSpan>,
}

impl Default for Lineage {
    fn default() -> Self {
        let whole = SegmentSpan { key: SourceSegment::default(), from_step: 0, to_step: None };
        Self { parents: vec![], path: vec![whole], abandoned: vec![] }
    }
}

impl Lineage {
    /// Reads it from the view of a run. `left` returns the step at which a segment was left.
    pub(crate) fn read(view: &RunView, left: impl Fn(u32) -> Option<u64>) -> Self {
        let own = &view.summary.id;
        let mut parents: Vec<RunId> = vec![];
        let mut path = vec![];
        for span in view.lineage.iter().filter(|span| span.run != *own) {
            let known = parents.iter().position(|parent| *parent == span.run);
            let index = known.unwrap_or_else(|| {
                parents.push(span.run.clone());
                parents.len() - 1
            });
            let key = SourceSegment { source: index + 1, segment: span.segment };
            path.push(SegmentSpan { key, from_step: span.from_step, to_step: span.to_step });
        }
        path.extend(own_path(&view.segments));
        let abandoned = abandoned(&view.segments, &path, left);
        Self { parents, path, abandoned }
    }

    /// The segment that grows.
    pub(crate) fn newest(&self) -> SourceSegment {
        self.path.last().map(|span| span.key).unwrap_or_default()
    }

    /// Whether a step of a segment of the run itself is not on an abandoned branch.
    pub(crate) fn contains(&self, segment: u32, step: u64) -> bool {
        let key = SourceSegment { source: OWN, segment };
        !self.abandoned.iter().any(|span| span.key == key && step > span.from_step)
    }
}

/// The segment that a rollback opens.
pub(crate) fn opened(record: &EventRecord) -> Option<Segment> {
    match &record.event {
        Event::RolledBack { checkpoint, .. } => Some(Segment {
            segment: record.segment,
            from_step: checkpoint.step,
            parent: Some(checkpoint.segment),
            opened_by: Some(record.number),
        }),
        _ => None,
    }
}

/// From the newest segment back to the first, each up to where the next begins.
fn own_path(segments: &[Segment]) -> Vec<SegmentSpan> {
    let mut path = vec![];
    let (mut at, mut end) = (segments.iter().max_by_key(|segment| segment.segment), None);
    while let Some(segment) = at {
        if end.is_none_or(|end| end > segment.from_step) || segment.parent.is_none() {
            let key = SourceSegment { source: OWN, segment: segment.segment };
            path.push(SegmentSpan { key, from_step: segment.from_step, to_step: end });
            end = Some(segment.from_step);
        }
        // A parent is always older; anything else would not end.
        at = segment
            .parent
            .filter(|parent| *parent < segment.segment)
            .and_then(|parent| segments.iter().find(|known| known.segment == parent));
    }
    path.reverse();
    if path.is_empty() { Lineage::default().path } else { path }
}

fn abandoned(segments: &[Segment], path: &[SegmentSpan], left: impl Fn(u32) -> Option<u64>) -> Vec<SegmentSpan> {
    let abandoned = |segment: &Segment| {
        let key = SourceSegment { source: OWN, segment: segment.segment };
        let from_step = match path.iter().find(|span| span.key == key) {
            Some(span) => span.to_step?,
            None => segment.from_step,
        };
        Some(SegmentSpan { key, from_step, to_step: left(segment.segment) })
    };
    segments.iter().filter_map(abandoned).collect()
}
