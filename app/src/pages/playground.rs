//! The Playground: one prompt, completed by a checkpoint of any run, or by two side by side with the same seed. Each token is
//! tinted by how likely the model thought it; what it would rather have written is a hover or an arrow key away.

mod dials;
mod source;
mod text;
mod writing;

use leptos::prelude::*;
use wire::{CheckpointId, RunId};

use crate::live::Live;
use crate::parts::{Empty, Icon, Skeleton};
use crate::route::Router;
use dials::{DialRow, Dials};
use source::{Source, SourcePicker};
use text::{Text, TintScale};
use writing::Writing;

/// One of the two sides: whose weights, and what they wrote.
#[derive(Clone, Copy)]
struct Side {
    source: Source,
    writing: Writing,
}

impl Side {
    fn new(run: Option<RunId>, checkpoint: Option<CheckpointId>) -> Self {
        Self { source: Source::new(run, checkpoint), writing: Writing::new() }
    }
}

/// What the page is about, for its parts.
#[derive(Clone, Copy)]
struct Play {
    sides: [Side; 2],
    has_two: RwSignal<bool>,
    prompt: RwSignal<String>,
    /// Someone has written in the box; until then it shows the run's own prompt.
    is_own_prompt: RwSignal<bool>,
    dials: Dials,
}

impl Play {
    fn shown(self) -> impl Iterator<Item = Side> {
        let count = if self.has_two.get() { 2 } else { 1 };
        self.sides.into_iter().take(count)
    }

    fn is_writing(self) -> bool {
        self.sides.iter().any(|side| side.writing.is_busy())
    }

    fn write(self) {
        for side in untrack(|| self.shown().collect::<Vec<_>>()) {
            let Some(run) = side.source.run.get_untracked() else { continue };
            let checkpoint = side.source.checkpoint.get_untracked();
            side.writing.begin(self.dials.ask(run, checkpoint, self.prompt.get_untracked()));
        }
    }

    fn stop(self) {
        self.sides.iter().for_each(|side| side.writing.stop());
    }

    /// The address that shows the same again.
    fn path(self) -> String {
        let part = |side: Side, run_key: &str, checkpoint_key: &str| {
            let checkpoint =
                side.source.checkpoint.get().map(|id| format!("&{checkpoint_key}={id}")).unwrap_or_default();
            side.source.run.get().map(|run| format!("{run_key}={run}{checkpoint}"))
        };
        let second = if self.has_two.get() { part(self.sides[1], "with", "with_checkpoint") } else { None };
        let parts: Vec<String> = part(self.sides[0], "run", "checkpoint").into_iter().chain(second).collect();
        if parts.is_empty() { "/playground".into() } else { format!("/playground?{}", parts.join("&")) }
    }
}

/// The page.
#[component]
pub(crate) fn PlaygroundPage() -> impl IntoView {
    let live = expect_context::<Live>();
    let router = expect_context::<Router>();
    let asked = |key: &str| untrack(|| router.query(key));
    let run = |key: &str| asked(key).and_then(|run| run.parse().ok());
    let checkpoint = |key: &str| asked(key).and_then(|id| id.parse().ok());
    let play = Play {
        sides: [Side::new(run("run"), checkpoint("checkpoint")), Side::new(run("with"), checkpoint("with_checkpoint"))],
        has_two: RwSignal::new(asked("with").is_some()),
        prompt: RwSignal::new(String::new()),
        is_own_prompt: RwSignal::new(false),
        dials: Dials::new(),
    };
    provide_context(play);
    Effect::new(move |_| router.say(&play.path()));
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
                    <div class="sheet"><Empty title="Nobody to write yet" text="A run's checkpoint completes your prompt here. Start a run: its first checkpoint can write.">
                        <a class="button primary" href="/start">"New run"</a>
                    </Empty></div>
                }.into_any(),
                _ => view! { <Table /> }.into_any(),
            }}
        </main>
    }
}

/// Everything on the page: what is asked on top, what was written below.
#[component]
fn Table() -> impl IntoView {
    let play = expect_context::<Play>();
    let add = move |_| {
        let [first, second] = play.sides;
        second.source.run.set(first.source.run.get_untracked());
        play.has_two.set(true);
    };
    view! {
        <section class="sheet padded stack" aria-label="What is asked">
            <Prompt />
            <DialRow dials=play.dials />
            <div class="row">
                <Show
                    when=move || !play.is_writing()
                    fallback=move || view! { <button class="large" on:click=move |_| play.stop()><Icon name="stopped" />"Stop"</button> }
                >
                    <button class="primary large" disabled=move || !play.sides[0].source.can_write() on:click=move |_| play.write() title="Ctrl + Enter in the prompt">"Write"</button>
                </Show>
                <Show when=move || !play.has_two.get()>
                    <button class="large" title="The same prompt and seed, by another checkpoint or run" on:click=add><Icon name="plus" />"Compare with another checkpoint"</button>
                </Show>
                <span class="grow"></span>
                <TintScale />
            </div>
        </section>
        <div class="written-sides" class:two=move || play.has_two.get()>
            <Sheet side=play.sides[0] index=0 />
            <Show when=move || play.has_two.get()><Sheet side=play.sides[1] index=1 /></Show>
        </div>
    }
}

#[component]
fn Prompt() -> impl IntoView {
    let play = expect_context::<Play>();
    // The first side's run brings its prompt, as long as nobody has written another.
    Effect::new(move |_| {
        let usual = play.sides[0].source.prompt();
        if let Some(usual) = usual.filter(|_| !play.is_own_prompt.get_untracked()) {
            play.prompt.set(usual);
        }
    });
    let press = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) {
            event.prevent_default();
            if !untrack(|| play.is_writing()) {
                play.write();
            }
        }
    };
    view! {
        <label class="field">
            <span class="label">"Prompt"</span>
            <textarea
                id="prompt"
                rows="4"
                spellcheck="false"
                placeholder="What the text begins with; empty for a new document"
                prop:value=play.prompt
                on:input:target=move |event| { play.is_own_prompt.set(true); play.prompt.set(event.target().value()) }
                on:keydown=press
            ></textarea>
        </label>
    }
}

/// One side: who writes, how it stands, the text.
#[component]
fn Sheet(side: Side, index: usize) -> impl IntoView {
    let play = expect_context::<Play>();
    let close = move |_| {
        side.writing.clear();
        play.has_two.set(false);
    };
    let other = play.sides[1 - index].writing;
    let shared = Memo::new(move |_| play.has_two.get().then(|| side.writing.shared_with(other)).flatten());
    view! {
        <section class="sheet padded stack written-sheet" aria-label=if index == 0 { "The text" } else { "The other text" }>
            <div class="row">
                <SourcePicker source=side.source label=if index == 0 { "Run" } else { "Other run" } />
                <span class="grow"></span>
                {(index == 1).then(|| view! { <button class="quiet icon-only" aria-label="Only one text" title="Only one text" on:click=close><Icon name="close" /></button> })}
            </div>
            <Text writing=side.writing source=side.source />
            {move || shared.get().filter(|_| index == 1).map(|shared| view! { <p class="small dim">{shared}</p> })}
        </section>
    }
}
