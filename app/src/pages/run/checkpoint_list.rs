//! The checkpoints of the run as the server lists them, which the panel, the rollback, the fork and the undo share.

use figure::number;
use leptos::prelude::*;
use wire::CheckpointId;
use wire::control::checkpoint::CheckpointView;

use super::{RunContext, phrases};
use crate::components::number::moment;
use crate::components::{is_best, told_apart, validation};
use crate::net::api::checkpoints as api;

/// The checkpoints, newest first; empty until they are fetched.
pub(super) fn saved(context: RunContext) -> Vec<CheckpointView> {
    match &*context.checkpoints.read() {
        Some(Ok(saved)) => saved.clone(),
        _ => vec![],
    }
}

/// Whether a chosen checkpoint has been deleted, for example to keep a newer one.
pub(super) fn is_gone(context: RunContext, chosen: Option<CheckpointId>) -> bool {
    match (&*context.checkpoints.read(), chosen) {
        (Some(Ok(saved)), Some(id)) => saved.iter().all(|saved| saved.info.id != id),
        _ => false,
    }
}

/// The checkpoints of a menu, by id, newest first: `step 461 · abandoned branch · before a change · val 2.067 at step 400`.
pub(super) fn entries(context: RunContext, is_offered: impl Fn(&CheckpointView) -> bool) -> Vec<(String, String)> {
    let offered = saved(context).into_iter().filter(is_offered);
    let entry = |saved: CheckpointView| {
        let id = saved.info.id;
        let (is_abandoned, cause) = (is_abandoned(context, id), context.cause(&saved.info));
        let about = phrases::checkpoint(cause, is_best(&saved), is_abandoned);
        let has_branch = is_abandoned && !about.ends_with("abandoned branch");
        let branch = if has_branch { " · abandoned branch" } else { "" };
        let is_last = context.state.get().is_over() && cause == phrases::END;
        let loss = validation(&saved, is_last).map(|loss| format!(" · {loss}")).unwrap_or_default();
        let label = format!("step {}{branch} · {about}{loss}", number::whole(id.step));
        (id.to_string(), label, saved.info.at_ms)
    };
    told_apart(offered.map(entry).collect(), moment)
}

/// Whether a checkpoint is on an abandoned branch.
pub(super) fn is_abandoned(context: RunContext, id: CheckpointId) -> bool {
    !context.run.read_untracked().curves.lineage().contains(id.segment, id.step)
}

/// Where a checkpoint is, if its files are not on the server yet: it can be used once they are.
pub(super) fn whereabouts(saved: &CheckpointView) -> Option<String> {
    let percent = 100 * saved.uploaded_bytes.min(saved.info.bytes) / saved.info.bytes.max(1);
    (!saved.is_available).then(|| match saved.uploaded_bytes {
        0 => "on its worker, not uploaded yet".to_owned(),
        _ => format!("on its worker, {percent} % uploaded"),
    })
}

/// Fetches the list.
pub(super) async fn fetch(context: RunContext) {
    let answer = api::list(&context.id()).await.map(|mut saved| {
        saved.sort_by_key(|saved| std::cmp::Reverse((saved.info.at_ms, saved.info.id)));
        saved
    });
    context.checkpoints.try_set(Some(answer));
}

/// Replaces a checkpoint in the list.
pub(super) fn put(context: RunContext, changed: CheckpointView) {
    context.checkpoints.try_update(|saved| {
        let Some(Ok(saved)) = saved else { return };
        if let Some(old) = saved.iter_mut().find(|old| old.info.id == changed.info.id) {
            *old = changed;
        }
    });
}
