//! The tree of stretches that some runs come from: the runs, those they were forked from, and those forked from them, laid out in rows.
//! Pure.

use std::collections::BTreeMap;

use wire::history::Segment;
use wire::{RunId, RunSummary};

/// What is known of a run of the family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Its line in the lab's list.
    pub(super) summary: RunSummary,
    /// Its stretches.
    pub(super) segments: Vec<Segment>,
    /// The last step with a value, by segment.
    pub(super) ends: BTreeMap<u32, u64>,
}

/// A stretch as it is drawn: one row, one bar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    /// Whose.
    pub(super) run: RunId,
    /// Name of the run, and which of its stretches where there are several.
    pub(super) label: String,
    /// First step.
    pub(super) from_step: u64,
    /// Where it was left for another stretch of the same run; it is a ghost from there on.
    pub(super) left_at: Option<u64>,
    /// Last step.
    pub(super) to_step: u64,
    /// Row of the stretch that it left, where that is in the picture.
    pub(super) stem: Option<usize>,
    /// It grows.
    pub(super) is_live: bool,
    /// It is a fork that leaves a change out.
    pub(super) is_twin: bool,
}

/// The runs of a family among all runs: the chosen, what they were forked from, and what was forked from them.
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

/// The rows of a family: each run under the one it was forked from, a run's stretches in order.
pub(super) fn rows(members: &[Member]) -> Vec<Bar> {
    let is_root = |member: &&Member| {
        let parent = member.summary.parent.as_ref().map(|parent| &parent.run);
        !members.iter().any(|other| Some(&other.summary.id) == parent)
    };
    let mut roots: Vec<&Member> = members.iter().filter(is_root).collect();
    roots.sort_by_key(|member| member.summary.created_ms);
    let mut bars = vec![];
    roots.into_iter().for_each(|root| add(root, members, &mut bars));
    bars
}

fn add(member: &Member, members: &[Member], bars: &mut Vec<Bar>) {
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
        let many = if member.segments.len() > 1 { format!(", stretch {}", segment.segment) } else { String::new() };
        bars.push(Bar {
            run: member.summary.id.clone(),
            label: format!("{}{many}", member.summary.name),
            from_step: segment.from_step,
            left_at: left_at(segment.segment, &member.segments),
            to_step: to_step.max(segment.from_step),
            stem: segment.parent.map_or(origin, of_own),
            is_live: is_newest && member.summary.state.is_live(),
            is_twin: parent.is_some_and(|parent| parent.twin_of.is_some()),
        });
    }
    let mut forks: Vec<&Member> = members
        .iter()
        .filter(|other| other.summary.parent.as_ref().is_some_and(|parent| parent.run == member.summary.id))
        .collect();
    forks.sort_by_key(|fork| fork.summary.created_ms);
    forks.into_iter().for_each(|fork| add(fork, members, bars));
}

/// The row of a run's segment.
fn place_of(bars: &[Bar], run: &RunId, segment: u32, members: &[Member]) -> Option<usize> {
    let first = bars.iter().position(|bar| bar.run == *run)?;
    let member = members.iter().find(|member| member.summary.id == *run)?;
    let place = member.segments.iter().position(|known| known.segment == segment)?;
    Some(first + place)
}

/// Where the path left a segment: the earliest beginning of what was opened from it, on the way to the newest.
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
    // Not on the path at all.
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
            twin_of: None,
        });
        let summary = RunSummary {
            id: id.parse().unwrap(),
            name: id.into(),
            state: RunState::Finished,
            step: ends.last().map_or(0, |end| end + 1),
            created_ms: id.len() as i64,
            parent,
            ..crate::run_state::tests::view().summary
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
    fn forks_stand_under_their_parents_and_ghosts_are_told() {
        let root = member("root", None, &[(0, 0, None), (1, 300, Some(0)), (2, 200, Some(0))], &[499, 399, 799]);
        let fork = member("fork-1", Some(("root", "2-600")), &[(0, 600, None)], &[999]);
        let bars = rows(&[fork.clone(), root.clone()]);
        let seen: Vec<_> =
            bars.iter().map(|bar| (bar.label.as_str(), bar.from_step, bar.left_at, bar.to_step, bar.stem)).collect();
        assert_eq!(
            seen,
            [
                ("root, stretch 0", 0, Some(200), 500, None),
                ("root, stretch 1", 300, Some(300), 400, Some(0)),
                ("root, stretch 2", 200, None, 800, Some(0)),
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
