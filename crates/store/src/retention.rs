//! The retention rule: which checkpoints are kept. A pure function, so that it is tested by table.

use std::collections::BTreeSet;

use wire::CheckpointId;
use wire::control::checkpoint::{Cause, CheckpointInfo};
use wire::hyperparameters::recipe::Retention;

/// Checkpoints from before a change that are kept, so that the last changes can be undone.
const BEFORE_CHANGES: usize = 8;

/// A stored checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Saved {
    pub(crate) info: CheckpointInfo,
    /// Number of its event in the journal.
    pub(crate) number: u64,
    /// Number of checkpoints saved at an interval, up to and including this one.
    pub(crate) ordinal: u64,
    pub(crate) is_pinned: bool,
}

/// The checkpoints to prune. `path` has those on the run's path, newest first; `in_use` those from which forks start.
///
/// These are kept: the newest on the path; pinned, requested and imported ones and those in `in_use`; among the periodic checkpoints (saved at
/// an interval or at an end) on the path, the newest `latest` and every nth; the best on the path; and the newest from before a change, also on
/// abandoned segments, because undoing a rollback returns to one.
pub(crate) fn checkpoints_to_prune(
    saved: &[Saved],
    rule: &Retention,
    path: &[CheckpointId],
    in_use: &BTreeSet<CheckpointId>,
) -> Vec<CheckpointId> {
    let newest = || saved.iter().rev();
    let is_routine =
        |saved: &&Saved| matches!(saved.info.cause, Cause::Interval | Cause::End) && path.contains(&saved.info.id);
    let mut kept: BTreeSet<CheckpointId> = path.iter().take(1).chain(in_use).copied().collect();
    kept.extend(newest().filter(is_routine).take(rule.latest.max(1) as usize).map(|saved| saved.info.id));
    kept.extend(
        newest()
            .filter(|saved| saved.info.cause == Cause::BeforeChange)
            .take(BEFORE_CHANGES)
            .map(|saved| saved.info.id),
    );
    kept.extend(best(saved, path).filter(|_| rule.best));
    for Saved { info, ordinal, is_pinned, .. } in saved {
        let is_nth = info.cause == Cause::Interval && rule.every_nth > 0 && ordinal % u64::from(rule.every_nth) == 0;
        if *is_pinned || matches!(info.cause, Cause::Requested | Cause::Imported) || (is_nth && path.contains(&info.id))
        {
            kept.insert(info.id);
        }
    }
    saved.iter().map(|saved| saved.info.id).filter(|id| !kept.contains(id)).collect()
}

/// The checkpoint on the path with the lowest validation loss; if several are equal, the first, which was saved at
/// that loss.
pub(crate) fn best(saved: &[Saved], path: &[CheckpointId]) -> Option<CheckpointId> {
    let measured = saved.iter().filter(|saved| path.contains(&saved.info.id));
    let measured = measured.filter_map(|saved| Some((saved.info.loss_valid.filter(|loss| loss.is_finite())?, saved)));
    let rank = |(loss, saved): &(f64, &Saved)| (*loss, saved.info.cause != Cause::Best, saved.number);
    measured
        .min_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(std::cmp::Ordering::Equal))
        .map(|(_, saved)| saved.info.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(step: u64, cause: Cause, loss_valid: Option<f64>) -> Saved {
        let id = CheckpointId { segment: 0, step };
        let info = CheckpointInfo {
            id,
            cause,
            at_ms: 0,
            bytes: 1,
            hash: String::new(),
            changes: 0,
            loss_train: None,
            loss_valid,
            best_valid: None,
        };
        Saved { info, number: step, ordinal: step / 100, is_pinned: false }
    }

    fn left(saved: &[Saved], rule: &Retention, path: &[u64], in_use: &[u64]) -> Vec<u64> {
        let id = |step: &u64| CheckpointId { segment: 0, step: *step };
        let pruned = checkpoints_to_prune(
            saved,
            rule,
            &path.iter().map(id).collect::<Vec<_>>(),
            &in_use.iter().map(id).collect(),
        );
        saved.iter().map(|saved| saved.info.id.step).filter(|step| !pruned.contains(&id(step))).collect()
    }

    #[test]
    fn checkpoints_are_kept_as_planned() {
        let periodic: Vec<Saved> =
            (1..=9).map(|n| saved(n * 100, Cause::Interval, Some(3.0 - 0.1 * n as f64))).collect();
        let path: Vec<u64> = (1..=9).rev().map(|n| n * 100).collect();
        let keep = |latest, every_nth, best| Retention { latest, every_nth, best, ..Retention::default() };
        assert_eq!(left(&periodic, &keep(3, 0, false), &path, &[]), [700, 800, 900]);
        assert_eq!(left(&periodic, &keep(0, 0, false), &path, &[]), [900], "the newest always");
        assert_eq!(left(&periodic, &keep(1, 4, false), &path, &[200]), [200, 400, 800, 900]);
        let mut worse = periodic.clone();
        worse[2].info.loss_valid = Some(0.5);
        worse[3].info.loss_valid = Some(0.5);
        worse[4].is_pinned = true;
        assert_eq!(left(&worse, &keep(1, 0, true), &path, &[]), [300, 500, 900], "the best, the pinned, the newest");
        worse[3].info.cause = Cause::Best;
        assert_eq!(left(&worse, &keep(1, 0, true), &path, &[]), [400, 500, 900], "saved as the best");
    }

    #[test]
    fn an_abandoned_segment_keeps_what_undoes_the_rollback_and_requested_checkpoints() {
        let mut all: Vec<Saved> = (1..=12).map(|n| saved(n * 10, Cause::BeforeChange, None)).collect();
        all.push(saved(200, Cause::Interval, None));
        all.push(saved(210, Cause::Requested, None));
        let keep = Retention::default();
        let before: Vec<u64> = (5..=12).map(|n| n * 10).collect();
        assert_eq!(left(&all, &keep, &[50], &[]), [before, vec![210]].concat());
    }
}
