//! Which stretches of history lead to the present, and which were abandoned. Pure: read from the run's view, and kept up to date
//! by the rollbacks of its live stream.

use wire::history::Segment;
use wire::{Event, EventRecord, RunId, RunView};

/// The source that is the run itself; higher ones are the runs it came from.
pub(crate) const OWN: usize = 0;

/// A segment of the run itself or of one it came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Piece {
    /// [`OWN`], or the place in [`Lineage::parents`] and one more.
    pub(crate) source: usize,
    /// Segment of that run's history.
    pub(crate) segment: u32,
}

/// Steps of a piece: `from_step..to_step`, open where it still grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Of which piece.
    pub(crate) piece: Piece,
    /// First step.
    pub(crate) from_step: u64,
    /// One past the last.
    pub(crate) to_step: Option<u64>,
}

/// The path of a run, and what is not on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// Runs it came from, oldest first.
    pub(crate) parents: Vec<RunId>,
    /// The path, oldest first, through them.
    pub(crate) path: Vec<Stretch>,
    /// What was abandoned, of the run's own; `to_step` is where it was left, where that is known.
    pub(crate) ghosts: Vec<Stretch>,
}

impl Default for Lineage {
    fn default() -> Self {
        let whole = Stretch { piece: Piece::default(), from_step: 0, to_step: None };
        Self { parents: vec![], path: vec![whole], ghosts: vec![] }
    }
}

impl Lineage {
    /// As a run's view tells it. `left` finds the step at which a segment was left.
    pub(crate) fn read(view: &RunView, left: impl Fn(u32) -> Option<u64>) -> Self {
        let own = &view.summary.id;
        let mut parents: Vec<RunId> = vec![];
        let mut path = vec![];
        for span in view.lineage.iter().filter(|span| span.run != *own) {
            let known = parents.iter().position(|parent| *parent == span.run);
            let place = known.unwrap_or_else(|| {
                parents.push(span.run.clone());
                parents.len() - 1
            });
            let piece = Piece { source: place + 1, segment: span.segment };
            path.push(Stretch { piece, from_step: span.from_step, to_step: span.to_step });
        }
        path.extend(own_path(&view.segments));
        let ghosts = abandoned(&view.segments, &path, left);
        Self { parents, path, ghosts }
    }

    /// The stretch that grows.
    pub(crate) fn newest(&self) -> Piece {
        self.path.last().map(|stretch| stretch.piece).unwrap_or_default()
    }

    /// Whether what belongs to a segment and a step of the run itself has not been left behind.
    pub(crate) fn holds(&self, segment: u32, step: u64) -> bool {
        let piece = Piece { source: OWN, segment };
        !self.ghosts.iter().any(|ghost| ghost.piece == piece && step > ghost.from_step)
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
fn own_path(segments: &[Segment]) -> Vec<Stretch> {
    let mut path = vec![];
    let (mut at, mut end) = (segments.iter().max_by_key(|segment| segment.segment), None);
    while let Some(segment) = at {
        if end.is_none_or(|end| end > segment.from_step) || segment.parent.is_none() {
            let piece = Piece { source: OWN, segment: segment.segment };
            path.push(Stretch { piece, from_step: segment.from_step, to_step: end });
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

fn abandoned(segments: &[Segment], path: &[Stretch], left: impl Fn(u32) -> Option<u64>) -> Vec<Stretch> {
    let ghost = |segment: &Segment| {
        let piece = Piece { source: OWN, segment: segment.segment };
        let from_step = match path.iter().find(|stretch| stretch.piece == piece) {
            Some(stretch) => stretch.to_step?,
            None => segment.from_step,
        };
        Some(Stretch { piece, from_step, to_step: left(segment.segment) })
    };
    segments.iter().filter_map(ghost).collect()
}
