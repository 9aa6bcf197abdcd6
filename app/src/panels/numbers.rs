//! All numbers of the plan, with units and meanings.

use figure::number::{bytes, duration, short, whole, with_unit};
use leptos::prelude::*;
use wire::RunView;
use wire::plan::OptimizerKind;

use super::Desk;

/// Name, value with unit, meaning.
type Number = (&'static str, String, &'static str);

/// The plan.
#[component]
pub(crate) fn Numbers() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let groups = desk.run.with_untracked(|run| groups(&run.view));
    view! {
        <section class="panel numbers" aria-labelledby="numbers-title">
            <details>
                <summary><h2 id="numbers-title">"Plan"</h2></summary>
                {groups.into_iter().map(|(title, numbers)| view! {
                    <h3>{title}</h3>
                    <dl class="pairs">{numbers.into_iter().map(|(name, value, meaning)| view! { <div title=meaning><dt>{name}</dt><dd class="mono">{value}</dd></div> }).collect_view()}</dl>
                }).collect_view()}
            </details>
        </section>
    }
}

fn groups(view: &RunView) -> Vec<(&'static str, Vec<Number>)> {
    vec![
        ("Size", size(view)),
        ("Model", model(view)),
        ("Optimizer", optimizer(view)),
        ("Step", step(view)),
        ("Keep and budget", keep(view)),
        ("Text", text(view)),
    ]
}

fn size(view: &RunView) -> Vec<Number> {
    let estimate = &view.estimate;
    vec![
        ("parameters", whole(estimate.parameters), "Trained numbers in the model."),
        ("steps", with_unit(view.plan.steps as f64, "steps"), "Optimizer steps."),
        ("tokens in all", with_unit(estimate.tokens as f64, "tokens"), "Steps x tokens per step."),
        (
            "tokens per parameter",
            short(estimate.tokens_per_parameter),
            "About 20 is compute-optimal (Hoffmann et al. 2022).",
        ),
        ("arithmetic", with_unit(estimate.flops, "FLOP"), "Forward and backward, all steps."),
        (
            "memory",
            bytes(estimate.memory_bytes),
            "Weights, gradients, optimizer and activations; an estimate on the high side.",
        ),
        ("time, as planned", estimate.secs.map_or("not known".into(), duration), "At the device's measured speed."),
    ]
}

fn model(view: &RunView) -> Vec<Number> {
    let model = &view.plan.recipe.model;
    vec![
        ("layers", model.layers.to_string(), "Blocks of attention and MLP."),
        ("width", format!("{} numbers", whole(model.d_model as u64)), "Length of the residual stream."),
        (
            "heads",
            if model.kv_heads == model.heads {
                model.heads.to_string()
            } else {
                format!("{} over {} keys", model.heads, model.kv_heads)
            },
            "Attention heads of a layer.",
        ),
        ("context", format!("{} tokens", whole(model.seq as u64)), "Tokens the model sees at once."),
        (
            "MLP",
            format!("{} numbers, {}", whole(model.d_ff as u64), word(&model.mlp)),
            "Width and kind of the part that works on each position by itself.",
        ),
        ("positions", word(&model.positions), "How the place of a token enters."),
        ("norm", word(&model.norm), "How the residual stream is normalised."),
        (
            "biases, tied head",
            format!("{}, {}", yes(model.bias), yes(model.tied_head)),
            "Biases in linear layers; whether the head shares the embedding's matrix.",
        ),
        ("vocabulary", format!("{} tokens", whole(model.vocab as u64)), "Different tokens."),
    ]
}

/// A switch's word, as in the plan's JSON.
fn word(switch: &impl serde::Serialize) -> String {
    serde_json::to_value(switch).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn yes(is_on: bool) -> &'static str {
    if is_on { "yes" } else { "no" }
}

fn optimizer(view: &RunView) -> Vec<Number> {
    let (optimizer, schedule) = (&view.plan.recipe.optimizer, &view.plan.recipe.schedule);
    let off = |value: f64| if value == 0.0 { "off".to_owned() } else { short(value) };
    vec![
        ("optimizer", kind(optimizer.kind).into(), "What turns gradients into updates."),
        ("peak rate", format!("{} per step", short(optimizer.rate)), "Highest learning rate."),
        ("warm-up", with_unit(schedule.warmup_steps as f64, "steps"), "Steps of linear rise."),
        ("lowest rate", format!("{} of the peak", short(schedule.floor)), "Where the schedule ends."),
        ("beta1", short(optimizer.beta1), "Decay of the mean of gradients, per step."),
        ("beta2", short(optimizer.beta2), "Decay of the mean of squared gradients, per step."),
        ("epsilon", short(optimizer.eps), "Added to the root of the squared mean."),
        ("weight decay", format!("{} per unit of rate", short(optimizer.weight_decay)), "Decoupled, on matrices only."),
        ("clip", off(optimizer.clip), "Bound on the global gradient norm."),
        ("z-loss", off(optimizer.z_loss), "Weight of the squared log-partition in the loss."),
    ]
}

fn kind(kind: OptimizerKind) -> &'static str {
    match kind {
        OptimizerKind::Adamw => "AdamW",
        OptimizerKind::Muon => "Muon, AdamW for the rest",
    }
}

fn step(view: &RunView) -> Vec<Number> {
    let (batch, cadence) = (&view.plan.recipe.batch, &view.plan.recipe.cadence);
    let every = |steps: u64| if steps == 0 { "never".to_owned() } else { with_unit(steps as f64, "steps") };
    vec![
        ("rows", format!("{} rows", whole(batch.rows as u64)), "Rows of context in one pass."),
        (
            "accumulation",
            format!("{} passes", whole(batch.accumulation as u64)),
            "Passes whose gradients are summed before a step.",
        ),
        ("tokens per step", with_unit(view.plan.tokens_per_step() as f64, "tokens"), "Rows x passes x context."),
        ("parts", format!("{} parts", whole(batch.shards as u64)), "Parts of a pass, one per core, summed in order."),
        ("evaluate every", every(cadence.eval_every), "Steps between validation losses."),
        ("evaluation", format!("{} batches", whole(cadence.eval_batches)), "Always the same ones."),
        ("sample every", every(cadence.sample_every), "Steps between samples."),
        ("statistics every", every(cadence.stats_every), "Steps between weight and gradient statistics."),
        ("seed", view.plan.seed.to_string(), "Of initialisation, batches and samples."),
    ]
}

fn keep(view: &RunView) -> Vec<Number> {
    let (keep, budget) = (&view.plan.recipe.keep, &view.plan.recipe.budget);
    let none = |is_set: bool, text: String| if is_set { text } else { "none".to_owned() };
    let every = none(keep.every > 0, with_unit(keep.every as f64, "steps"));
    let for_good = none(keep.every_nth > 0, format!("every {}th", keep.every_nth));
    vec![
        ("checkpoint every", every, "Steps between saved states, as planned."),
        ("newest kept", format!("{} checkpoints", keep.latest), "Of those on the cadence."),
        ("kept for good", for_good, "Of those on the cadence, besides the pinned ones."),
        ("best kept", yes(keep.best).into(), "The one with the lowest validation loss."),
        ("saved before changes", yes(keep.before_changes).into(), "So that a change can be undone by going back."),
        ("started again", format!("{} times", keep.restarts), "By itself, after its worker died."),
        (
            "budget, tokens",
            none(budget.tokens > 0, with_unit(budget.tokens as f64, "tokens")),
            "Reached, the run ends.",
        ),
        ("budget, time", none(budget.secs > 0.0, duration(budget.secs)), "Seconds at work; reached, the run ends."),
        (
            "budget, loss",
            none(budget.loss > 0.0, format!("{} nats / token", short(budget.loss))),
            "Validation loss; reached, the run ends.",
        ),
    ]
}

fn texts(view: &RunView) -> String {
    match view.plan.mix.as_slice() {
        [_] => view.summary.corpus.clone(),
        parts => {
            let part = |part: &wire::plan::MixPart| format!("{} {:.0} %", part.corpus, part.weight * 100.0);
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    }
}

fn text(view: &RunView) -> Vec<Number> {
    let references = &view.references;
    let nats =
        |value: Option<f64>| value.map_or("not known".to_owned(), |value| format!("{} nats / token", short(value)));
    vec![
        ("text", texts(view), "What it learns, with each text's share of the batches as planned."),
        ("tokenizer", view.plan.tokenizer.to_string(), "How text becomes tokens."),
        (
            "bytes per token",
            references.bytes_per_token.map_or("not known".into(), |value| with_unit(value, "B")),
            "Of held-out text; nats / (bytes x ln 2) are bits per byte.",
        ),
        ("untrained, ln V", nats(Some(references.ln_vocab)), "Loss of a uniform guess."),
        ("single tokens", nats(references.unigram), "Entropy of single tokens: the best guess that ignores context."),
        ("floor", nats(references.floor), "The generator's own entropy; no model can pass it."),
    ]
}
