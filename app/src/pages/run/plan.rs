//! The plan of the run: its cost, every hyperparameter of the table with its planned value, and the dataset.

use figure::number::{bytes, duration, in_unit, short, whole, with_unit};
use leptos::prelude::*;
use wire::hyperparameters::table::TABLE;
use wire::{LiveHyperparameters, LivePath, RunView};

use super::RunContext;
use super::fork_plan::with_changes;
use crate::components::hyperparameters::{group_title, in_plan};
use crate::components::{isolated, tokenizer_name};

/// In place of a number of the dataset that is measured when it is tokenized.
const UNKNOWN: &str = "known when the dataset is tokenized";

/// Label, value with unit, meaning.
type Row = (&'static str, String, &'static str);

#[component]
pub(super) fn PlanPanel() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let references = Memo::new(move |_| context.run.read().view.references.clone());
    let groups = move || {
        // Read, not only tracked: a memo that nobody reads is never computed, and never changes.
        let _ = references.get();
        context.run.with_untracked(|run| groups(&run.view))
    };
    view! {
        <section class="panel plan" aria-labelledby="plan-title">
            <details>
                <summary title="Cost of the run, its dataset, and all hyperparameters with which it started">
                    <h2 id="plan-title">"Plan"</h2>
                </summary>
                {move || groups().into_iter().map(|(title, rows)| view! {
                    <h3>{title}</h3>
                    <dl class="pairs">
                        {rows.into_iter().map(|(label, value, meaning)| view! {
                            <div title=meaning><dt>{label}</dt><dd class="mono">{value}</dd></div>
                        }).collect_view()}
                    </dl>
                }).collect_view()}
            </details>
        </section>
    }
}

fn groups(view: &RunView) -> Vec<(&'static str, Vec<Row>)> {
    let mut groups = vec![("Cost", cost(view)), ("Dataset", dataset(view))];
    let recipe = serde_json::to_value(&view.plan.recipe).unwrap_or_default();
    let at_start = fork_start(view);
    for row in TABLE {
        let title = group_title(row.group());
        let started = at_start.as_ref().and_then(|(live, step)| value_at(live, *step, row.path));
        let value = (row.label, in_plan(row, started.as_ref().or(row.value_in(&recipe))), row.meaning);
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, rows)) => rows.push(value),
            None => groups.push((title, vec![value])),
        }
    }
    groups
}

/// The hyperparameters with which a fork starts, and its first step: those of its parent with its own changes. `None` for other runs, which
/// start with their plan.
fn fork_start(view: &RunView) -> Option<(LiveHyperparameters, u64)> {
    let step = view.plan.origin.as_ref()?.from.checkpoint.step;
    let parent = view.spec.parent.as_ref();
    let changes = parent.map(|parent| parent.changes.as_slice()).unwrap_or_default();
    let refits = parent.is_some_and(|parent| parent.refit_schedule);
    Some((with_changes(&view.plan.live(), (step, view.plan.steps), changes, refits), step))
}

/// The value of a hyperparameter that can change during a run, at a step; `None` for others.
fn value_at(live: &LiveHyperparameters, step: u64, path: &str) -> Option<serde_json::Value> {
    let path: LivePath = path.parse().ok()?;
    let value = live.get(path, step);
    // A value of a schedule has more digits than a person types.
    let brief = format!("{value:.2e}").parse::<f64>().ok().filter(|_| value.fract() != 0.0).unwrap_or(value);
    Some(brief.into())
}

/// The steps of a run: of a fork those that it trains itself.
fn steps(view: &RunView) -> String {
    match &view.plan.origin {
        None => with_unit(view.plan.steps as f64, "steps"),
        Some(origin) => {
            let from = origin.from.checkpoint.step;
            let own = with_unit(view.plan.steps.saturating_sub(from) as f64, "steps");
            format!("{own}, from {} to {}", whole(from), whole(view.plan.steps.saturating_sub(1)))
        }
    }
}

fn cost(view: &RunView) -> Vec<Row> {
    let estimate = &view.estimate;
    vec![
        ("Parameters", whole(estimate.parameters), "Parameters of the model, all of which are trained."),
        (
            "Steps",
            steps(view),
            "Optimizer steps. A fork trains only the steps after its checkpoint, and the cost shown here is that of those steps.",
        ),
        (
            "Tokens per step",
            with_unit(view.plan.tokens_per_step() as f64, "tokens"),
            "Batch size × gradient accumulation × context length.",
        ),
        ("Training tokens", with_unit(estimate.tokens as f64, "tokens"), "Steps × tokens per step."),
        (
            "Tokens per parameter",
            short(estimate.tokens_per_parameter),
            "Training tokens divided by parameters. For a fork, the tokens before its checkpoint count too. About 20 is compute-optimal \
             (Hoffmann et al. 2022).",
        ),
        ("FLOPs", with_unit(estimate.flops, "FLOP"), "Floating-point operations of all forward and backward passes."),
        (
            "Memory",
            bytes(estimate.memory_bytes),
            "Upper estimate of weights, gradients, optimizer state and activations.",
        ),
        ("Planned time", estimate.secs.map_or("unknown".into(), duration), "FLOPs / measured speed of the device."),
        (
            "Seed",
            view.plan.seed.to_string(),
            "Seed for initialization, batches and samples. The same seed reproduces the run.",
        ),
    ]
}

fn datasets(view: &RunView) -> String {
    match view.plan.mix.as_slice() {
        [part] => format!("{} ({})", isolated(&view.summary.corpus), part.corpus),
        parts => {
            let part = |part: &wire::run::plan::MixPart| format!("{} {:.0} %", part.corpus, part.weight * 100.0);
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    }
}

fn dataset(view: &RunView) -> Vec<Row> {
    let references = &view.references;
    let missing = if references.bytes_per_token.is_some() { "unknown" } else { UNKNOWN };
    let nats = |value: Option<f64>| {
        value.map_or(missing.to_owned(), |value| format!("{}\u{202f}nats/token", in_unit(value, "nats/token")))
    };
    vec![
        ("Datasets", datasets(view), "Datasets of the run, with their planned fractions of the sequences."),
        ("Tokenizer", tokenizer_name(view.plan.tokenizer), "Tokenizer of the run."),
        (
            "Prompt of samples",
            isolated(&view.plan.prompt),
            "Prompt of the periodic samples: the first word of the dataset.",
        ),
        (
            "Bytes per token",
            references.bytes_per_token.map_or(UNKNOWN.into(), |value| format!("{}\u{202f}bytes/token", short(value))),
            "Bytes of text per token in the validation split. Loss in bits/byte = nats/token / (bytes/token × ln 2).",
        ),
        (
            "Uniform (ln V)",
            nats(Some(references.ln_vocab)),
            "Loss of a uniform prediction over the vocabulary of size V.",
        ),
        (
            "Unigram entropy",
            nats(references.unigram),
            "Entropy of the token frequencies: the lowest loss without any context.",
        ),
        ("Entropy floor", nats(references.floor), "Entropy of the generator of the dataset: the lowest expected loss."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_shows_every_hyperparameter() {
        let view = crate::curves::fixture::view();
        let groups = groups(&view);
        let shown: Vec<&Row> = groups.iter().flat_map(|(_, rows)| rows).collect();
        let value = |label: &str| shown.iter().find(|row| row.0 == label).map(|row| row.1.as_str());
        assert_eq!((value("Dropout"), value("Token limit")), (Some("0 (off)"), Some("none")));
        for row in TABLE {
            let found = shown.iter().find(|(label, _, meaning)| (*label, *meaning) == (row.label, row.meaning));
            assert!(found.is_some_and(|(_, value, _)| !value.is_empty()), "{}", row.path);
        }
    }
}
