//! What the rules know about a run apart from its values.

use research::rules::Facts;
use wire::RunView;

/// The facts of a run with the hyperparameters that are in force.
pub(super) fn facts(view: &RunView) -> Facts {
    let RunView { plan, hyperparameters, references, .. } = view;
    let grad_clip = hyperparameters.optimizer.grad_clip;
    // The first loss of a fork, or of a model that was imported, is not that of random weights.
    let is_new = plan.origin.is_none();
    Facts {
        steps: hyperparameters.steps,
        warmup_steps: hyperparameters.schedule.warmup_steps,
        grad_clip: (grad_clip > 0.0).then_some(grad_clip),
        initial_vocab: is_new.then_some(plan.recipe.model.vocab as u64),
        unigram_nats: references.unigram,
        floor_nats: references.floor,
        has_dropout: plan.recipe.model.dropout > 0.0,
    }
}
