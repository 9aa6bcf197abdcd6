//! What the rules know about a run apart from its values.

use research::rules::Facts;
use wire::{Event, EventRecord, RunView};

/// The facts of a run with the hyperparameters that are in force. `events` may be others, too.
pub(super) fn facts(view: &RunView, events: &[EventRecord]) -> Facts {
    let RunView { plan, hyperparameters, references, .. } = view;
    let grad_clip = hyperparameters.optimizer.grad_clip;
    // The first loss of a fork, or of a model that was imported, is not that of random weights.
    let is_new = plan.origin.is_none();
    Facts {
        steps: hyperparameters.steps,
        budget_steps: events.iter().rev().find(|record| is_end(view, record)).map(|record| record.step),
        warmup_steps: hyperparameters.schedule.warmup_steps,
        grad_clip: (grad_clip > 0.0).then_some(grad_clip),
        initial_vocab: is_new.then_some(plan.recipe.model.vocab as u64),
        unigram_nats: references.unigram,
        floor_nats: references.floor,
        has_dropout: plan.recipe.model.dropout > 0.0,
    }
}

/// Whether a budget ended the present segment of a run with this event.
fn is_end(view: &RunView, record: &EventRecord) -> bool {
    let present = view.segments.iter().map(|segment| segment.segment).max().unwrap_or(0);
    matches!(record.event, Event::BudgetReached { .. }) && record.segment == present
}
