//! The Playground page: one prompt, completed by a checkpoint of any run, or by two checkpoints with the same seed.
//! Each token is coloured by its probability; pointing at a token or the arrow keys show the most likely tokens at its
//! place.

mod generation;
mod sampling;
mod source;
mod text;

use leptos::prelude::*;
use wire::{CheckpointId, RunId};

use crate::base::at;
use crate::components::{Empty, Icon, Skeleton};
use crate::net::live::Live;
use crate::route::Router;
use generation::Generation;
use sampling::{SamplingForm, SamplingParameters};
use source::{Source, SourcePicker};
use text::{CompletionText, ProbabilityScale};

/// One of the two sides: a checkpoint and its completion.
#[derive(Clone, Copy)]
struct Side {
    source: Source,
    generation: Generation,
}

impl Side {
    fn new(run: Option<RunId>, checkpoint: Option<CheckpointId>) -> Self {
        Self { source: Source::new(run, checkpoint), generation: Generation::new() }
    }
}

/// The state of the page.
#[derive(Clone, Copy)]
struct Playground {
    sides: [Side; 2],
    has_two: RwSignal<bool>,
    prompt: RwSignal<String>,
    /// Whether the prompt was edited; until then it is that of the run.
    is_edited: RwSignal<bool>,
    parameters: SamplingParameters,
}

impl Playground {
    fn shown(self) -> impl Iterator<Item = Side> {
        let count = if self.has_two.get() { 2 } else { 1 };
        self.sides.into_iter().take(count)
    }

    fn is_busy(self) -> bool {
        self.sides.iter().any(|side| side.generation.is_busy())
    }

    fn generate(self) {
        for side in untrack(|| self.shown().collect::<Vec<_>>()) {
            let Some(run) = side.source.run.get_untracked() else { continue };
            let checkpoint = side.source.checkpoint.get_untracked();
            let prompt = self.prompt.get_untracked();
            if let Some(request) = untrack(|| self.parameters.request(run, checkpoint, prompt)) {
                side.generation.begin(request);
            }
        }
    }

    fn stop(self) {
        self.sides.iter().for_each(|side| side.generation.stop());
    }

    /// The address of the current state.
    fn path(self) -> String {
        let part = |side: Side, run_key: &str, checkpoint_key: &str| {
            let checkpoint =
                side.source.checkpoint.get().map(|id| format!("&{checkpoint_key}={id}")).unwrap_or_default();
            side.source.run.get().map(|run| format!("{run_key}={run}{checkpoint}"))
        };
        let second = if self.has_two.get() { part(self.sides[1], "with", "with_checkpoint") } else { None };
        let parts: Vec<String> = part(self.sides[0], "run", "checkpoint").into_iter().chain(second).collect();
        at(&if parts.is_empty() { "/playground".into() } else { format!("/playground?{}", parts.join("&")) })
    }
}

#[component]
pub(crate) fn PlaygroundPage() -> impl IntoView {
    let live = expect_context::<Live>();
    let router = expect_context::<Router>();
    let asked = |key: &str| untrack(|| router.query(key));
    let run = |key: &str| asked(key).and_then(|run| run.parse().ok());
    let checkpoint = |key: &str| asked(key).and_then(|id| id.parse().ok());
    let play = Playground {
        sides: [Side::new(run("run"), checkpoint("checkpoint")), Side::new(run("with"), checkpoint("with_checkpoint"))],
        has_two: RwSignal::new(asked("with").is_some()),
        prompt: RwSignal::new(String::new()),
        is_edited: RwSignal::new(false),
        parameters: SamplingParameters::new(),
    };
    provide_context(play);
    Effect::new(move |_| router.replace(&play.path()));
    on_cleanup(move || play.stop());
    let stage = Memo::new(move |_| match live.lab.read().as_ref() {
        None => 0,
        Some(lab) if lab.runs.iter().all(|run| run.deleted_ms.is_some()) => 1,
        Some(_) => 2,
    });
    view! {
        <main class="page playground">
            <h1>"Playground"</h1>
            {move || match stage.get() {
                0 => view! { <Skeleton rows=3 class="tall" /> }.into_any(),
                1 => view! {
                    <div class="sheet"><Empty title="No checkpoints yet" text="The Playground completes a prompt with a \
                        checkpoint. Start a run first; it saves checkpoints while it trains.">
                        <a class="button primary" href=at("/start") title="Configure and start a run">"New run"</a>
                    </Empty></div>
                }.into_any(),
                _ => view! { <Content /> }.into_any(),
            }}
        </main>
    }
}

/// The request above, the completions below.
#[component]
fn Content() -> impl IntoView {
    let play = expect_context::<Playground>();
    let add = move |_| {
        let [first, second] = play.sides;
        second.source.run.set(first.source.run.get_untracked());
        // The oldest checkpoint, since the newest would be compared with itself.
        second.source.checkpoint.set(untrack(|| first.source.oldest()));
        play.has_two.set(true);
    };
    let second_title = move || match play.sides[0].source.oldest() {
        Some(_) => {
            "Complete the same prompt with the same seed and a second checkpoint. Default: the oldest of this run"
        }
        None => {
            "Complete the same prompt with the same seed and a second checkpoint. This run has no second one yet: select another run \
             in the second column."
        }
    };
    view! {
        <section class="sheet padded stack" aria-label="Request">
            <Prompt />
            <SamplingForm parameters=play.parameters />
            <div class="row">
                <Show
                    when=move || !play.is_busy()
                    fallback=move || view! {
                        <button class="large" title="Stop; the generated tokens are kept" on:click=move |_| play.stop()><Icon name="stopped" />"Stop"</button>
                    }
                >
                    <button
                        class="primary large"
                        disabled=move || !play.sides[0].source.has_weights() || !play.parameters.are_readable()
                        on:click=move |_| play.generate()
                        title="Complete the prompt. Shortcut: Ctrl + Enter in the prompt"
                    >
                        "Generate"
                    </button>
                </Show>
                <Show when=move || !play.has_two.get()>
                    <button
                        class="large"
                        title=second_title
                        on:click=add
                    >
                        <Icon name="plus" />
                        "Compare with another checkpoint"
                    </button>
                </Show>
                <span class="grow"></span>
                <ProbabilityScale />
            </div>
        </section>
        <div class="completions" class:two=move || play.has_two.get()>
            <CompletionSheet side=play.sides[0] index=0 />
            <Show when=move || play.has_two.get()><CompletionSheet side=play.sides[1] index=1 /></Show>
        </div>
    }
}

#[component]
fn Prompt() -> impl IntoView {
    let play = expect_context::<Playground>();
    // The prompt of the first run, unless it was edited.
    Effect::new(move |_| {
        let usual = play.sides[0].source.prompt();
        if let Some(usual) = usual.filter(|_| !play.is_edited.get_untracked()) {
            play.prompt.set(usual);
        }
    });
    let press = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) {
            event.prevent_default();
            if !untrack(|| play.is_busy()) {
                play.generate();
            }
        }
    };
    view! {
        <label class="field" title="The text that the model continues">
            <span class="label">"Prompt"</span>
            <textarea
                id="prompt"
                rows="4"
                spellcheck="false"
                placeholder="Text to complete; empty to start a new document"
                prop:value=play.prompt
                on:input:target=move |event| { play.is_edited.set(true); play.prompt.set(event.target().value()) }
                on:keydown=press
            ></textarea>
        </label>
    }
}

/// One side: the checkpoint, its state, and the completion.
#[component]
fn CompletionSheet(side: Side, index: usize) -> impl IntoView {
    let play = expect_context::<Playground>();
    let close = move |_| {
        side.generation.clear();
        play.has_two.set(false);
    };
    let other = play.sides[1 - index].generation;
    let (label, at_first) = match index {
        0 => ("Run", "the newest run that has trained"),
        _ => ("Second run", "the first run"),
    };
    let shared = Memo::new(move |_| play.has_two.get().then(|| side.generation.shared_with(other)).flatten());
    view! {
        <section
            class="sheet padded stack completion"
            aria-label=if index == 0 { "Completion" } else { "Second completion" }
        >
            <div class="row">
                <SourcePicker source=side.source label at_first />
                <span class="grow"></span>
                {(index == 1).then(|| view! {
                    <button
                        class="quiet icon-only"
                        aria-label="Remove the second completion"
                        title="Remove the second completion"
                        on:click=close
                    >
                        <Icon name="close" />
                    </button>
                })}
            </div>
            <CompletionText generation=side.generation source=side.source />
            {move || shared.get().filter(|_| index == 1).map(|shared| view! { <p class="small dim">{shared}</p> })}
        </section>
    }
}
