//! The edit of the learning-rate schedule: how it begins, changes and ends. The schedule that is being edited is a
//! [`ScheduleDraft`].

use leptos::prelude::*;
use wire::series::Axis;

use super::RunContext;
use super::schedule_draft::ScheduleDraft;
use super::viewport::Viewport;

/// Begins or discards an edit.
pub(super) fn toggle(context: RunContext) {
    if context.draft.read_untracked().is_some() {
        leave(context);
    } else if context.disabled_reason.read_untracked().is_none() {
        let draft = ScheduleDraft::begin(&context.hyperparameters.read_untracked(), context.next_step());
        context.draft.set(Some(draft));
        // Points are at steps, and the end of the plan must be in view.
        context.options.update(|options| options.axis = Axis::Step);
        context.viewport.set(Viewport::Plan);
    }
}

/// Discards an edit.
pub(super) fn leave(context: RunContext) {
    context.draft.set(None);
    context.viewport.set(Viewport::Whole);
}

/// Changes the schedule that is being edited; nothing without an edit.
pub(super) fn change(context: RunContext, change: impl FnOnce(&mut ScheduleDraft)) {
    context.draft.update(|draft| {
        if let Some(draft) = draft {
            change(draft);
        }
    });
}

/// Moves the start of the edit with the run, whose past steps can no longer be changed, and discards it once the run
/// cannot be controlled.
pub(super) fn follow_run(context: RunContext) {
    Effect::new(move || {
        let step = context.summary.read().step;
        let is_behind =
            context.draft.with_untracked(|draft| draft.as_ref().is_some_and(|draft| draft.from_step <= step));
        if is_behind {
            let next = context.next_step();
            change(context, |draft| draft.advance(next, &context.hyperparameters.read_untracked()));
        }
    });
    Effect::new(move || {
        if context.disabled_reason.read().is_some() && context.draft.with_untracked(Option::is_some) {
            leave(context);
        }
    });
}
