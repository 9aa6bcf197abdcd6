//! The tree of the segments of some runs: the selected runs, those that they were forked from, and those forked from
//! them, in rows. Pure.

use std::collections::BTreeMap;

use figure::number;
use wire::run::history::Segment;
use wire::{RunId, RunSummary};

/// A run of the family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) summary: RunSummary,
    pub(super) segments: Vec<Segment>,
    /// The last step with a value, by segment.
    pub(super) ends: BTreeMap<u32, u64>,
}

/// A segment as it is drawn: one bar in a separate row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) run: RunId,
    /// Name of the run, and whether the segment is abandoned or an earlier part of its path.
    pub(super) label: String,
    /// First step.
    pub(super) from_step: u64,
    /// Where a rollback left it for another segment of the same run; it is abandoned from there on.
    pub(super) left_at: Option<u64>,
    /// Last step.
    pub(super) to_step: u64,
    /// Row of the segment that it continues, if that is shown.
    pub(super) stem: Option<usize>,
    /// Whether it grows.
    pub(super) is_live: bool,
    /// Whether it belongs to a control run.
    pub(super) is_control_run: bool,
}

/// The selected runs, their ancestors, and the forks of the selected runs.
pub(super) fn gather(chosen: &[RunId], all: &[RunSummary]) -> Vec<RunId> {
    let find = |run: &RunId| all.iter().find(|known| known.id == *run);
    let mut family: Vec<RunId> = vec![];
    for run in chosen {
        let mut at = find(run);
        while let Some(known) = at.filter(|known| !family.contains(&known.id)) {
            family.push(known.id.clone());
            at = known.parent.as_ref().and_then(|parent| find(&parent.run));
        }
    }
    let forks = all.iter().filter(|run| {
        run.deleted_ms.is_none()
            && !family.contains(&run.id)
            && run.parent.as_ref().is_some_and(|parent| chosen.contains(&parent.run))
    });
    let forks: Vec<RunId> = forks.map(|run| run.id.clone()).collect();
    family.extend(forks);
    family
}

/// The rows of a family: each run below the one that it was forked from, with its segments in order.
pub(super) fn rows(members: &[Member], name_of: &dyn Fn(&RunSummary) -> String) -> Vec<Bar> {
    let is_root = |member: &&Member| {
        let parent = member.summary.parent.as_ref().map(|parent| &parent.run);
        !members.iter().any(|other| Some(&other.summary.id) == parent)
    };
    let mut roots: Vec<&Member> = members.iter().filter(is_root).collect();
    roots.sort_by_key(|member| member.summary.created_ms);
    let mut bars = vec![];
    roots.into_iter().for_each(|root| add(root, members, name_of, &mut bars));
    bars
}

fn add(member: &Member, members: &[Member], name_of: &dyn Fn(&RunSummary) -> String, bars: &mut Vec<Bar>) {
    let first = bars.len();
    let parent = member.summary.parent.as_ref();
    let origin = parent.and_then(|parent| place_of(bars, &parent.run, parent.checkpoint.segment, members));
    let newest = member.segments.iter().map(|segment| segment.segment).max().unwrap_or(0);
    for segment in &member.segments {
        let of_own =
            |number: u32| member.segments.iter().position(|known| known.segment == number).map(|at| first + at);
        let is_newest = segment.segment == newest;
        let known = member.ends.get(&segment.segment).map_or(segment.from_step, |last| last + 1);
        let to_step = if is_newest { known.max(member.summary.step) } else { known };
        let left_at = left_at(segment.segment, &member.segments);
        let branch = match left_at {
            _ if is_newest => String::new(),
            Some(left) if left <= segment.from_step => {
                format!(", abandoned branch left at step {}", number::whole(to_step))
            }
            Some(left) if left < to_step => {
                format!(
                    ", up to step {}, then an abandoned branch to step {}",
                    number::whole(left),
                    number::whole(to_step)
                )
            }
            _ => format!(", up to step {}", number::whole(to_step)),
        };
        bars.push(Bar {
            run: member.summary.id.clone(),
            label: format!("{}{branch}", name_of(&member.summary)),
            from_step: segment.from_step,
            left_at,
            to_step: to_step.max(segment.from_step),
            stem: segment.parent.map_or(origin, of_own),
            is_live: is_newest && member.summary.state.is_live(),
            is_control_run: parent.is_some_and(|parent| parent.control_of.is_some()),
        });
    }
    let mut forks: Vec<&Member> = members
        .iter()
        .filter(|other| other.summary.parent.as_ref().is_some_and(|parent| parent.run == member.summary.id))
        .collect();
    forks.sort_by_key(|fork| fork.summary.created_ms);
    forks.into_iter().for_each(|fork| add(fork, members, name_of, bars));
}

/// The row of a run's segment.
fn place_of(bars: &[Bar], run: &RunId, segment: u32, members: &[Member]) -> Option<usize> {
    let first = bars.iter().position(|bar| bar.run == *run)?;
    let member = members.iter().find(|member| member.summary.id == *run)?;
    let index = member.segments.iter().position(|known| known.segment == segment)?;
    Some(first + index)
}

/// Where the path left a segment: the earliest beginning of a segment that continues it, on the way to the newest.
fn left_at(segment: u32, segments: &[Segment]) -> Option<u64> {
    let newest = segments.iter().map(|segment| segment.segment).max()?;
    let mut at = segments.iter().find(|known| known.segment == newest);
    let mut end = None;
    while let Some(known) = at {
        if known.segment == segment {
            return end;
        }
        end = Some(end.map_or(known.from_step, |end: u64| end.min(known.from_step)));
        at = known
            .parent
            .filter(|parent| *parent < known.segment)
            .and_then(|parent| segments.iter().find(|other| other.segment == parent));
    }
    // It is not on the path.
    segments.iter().find(|known| known.segment == segment).map(|known| known.from_step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::RunState;
    use wire::run::Parentage;

    fn member(id: &str, parent: Option<(&str, &str)>, segments: &[(u32, u64, Option<u32>)], ends: &[u64]) -> Member {
        let parent = parent.map(|(run, checkpoint)| Parentage {
            run: run.parse().unwrap(),
            checkpoint: checkpoint.parse().unwrap(),
            control_of: None,
        });
        let summary = RunSummary {
            id: id.parse().unwrap(),
            name: id.into(),
            state: RunState::Finished,
            step: ends.last().map_or(0, |end| end + 1),
            created_ms: id.len() as i64,
            parent,
            ..crate::curves::fixture::view().summary
        };
        let segments = segments
            .iter()
            .map(|(segment, from_step, parent)| Segment {
                segment: *segment,
                from_step: *from_step,
                parent: *parent,
                opened_by: None,
            })
            .collect();
        Member { summary, segments, ends: ends.iter().enumerate().map(|(i, end)| (i as u32, *end)).collect() }
    }

    #[test]
    fn a_segment_that_was_returned_to_is_not_abandoned() {
        // Rolled back from step 814 to 300, and returned to step 814.
        let root = member("root", None, &[(0, 0, None), (1, 300, Some(0)), (2, 814, Some(0))], &[813, 350, 3999]);
        let labels: Vec<String> = rows(&[root], &|run| run.name.clone()).into_iter().map(|bar| bar.label).collect();
        assert_eq!(labels, ["root, up to step 814", "root, abandoned branch left at step 351", "root"]);
    }

    #[test]
    fn forks_are_below_their_parents_and_abandoned_segments_are_marked() {
        let root = member("root", None, &[(0, 0, None), (1, 300, Some(0)), (2, 200, Some(0))], &[499, 399, 799]);
        let fork = member("fork-1", Some(("root", "2-600")), &[(0, 600, None)], &[999]);
        let bars = rows(&[fork.clone(), root.clone()], &|run| run.name.clone());
        let seen: Vec<_> =
            bars.iter().map(|bar| (bar.label.as_str(), bar.from_step, bar.left_at, bar.to_step, bar.stem)).collect();
        assert_eq!(
            seen,
            [
                ("root, up to step 200, then an abandoned branch to step 500", 0, Some(200), 500, None),
                ("root, abandoned branch left at step 400", 300, Some(300), 400, Some(0)),
                ("root", 200, None, 800, Some(0)),
                ("fork-1", 600, None, 1000, Some(2)),
            ]
        );
        let all = [fork.summary.clone(), root.summary.clone()];
        let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<RunId>>();
        assert_eq!(gather(&ids(&["fork-1"]), &all), ids(&["fork-1", "root"]));
        assert_eq!(gather(&ids(&["root"]), &all), ids(&["root", "fork-1"]));
        assert!(gather(&ids(&["gone"]), &all).is_empty());
    }
}
