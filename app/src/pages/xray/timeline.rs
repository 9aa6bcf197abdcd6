//! The slider over the kept steps, whose right end is now: play, pause, speed, live, and a second step beside the first.

use figure::number;
use leptos::prelude::*;

use super::Inside;
use crate::parts::{Icon, clicks, says, shows};
use crate::xray::clock::{SPEEDS, When, moment, notch, played, scrubbed, start_of_play};
use crate::xray::place::Place;

/// Plays the kept steps, a frame of the browser at a time.
#[derive(Clone, Copy)]
pub(super) struct Player {
    steps: RwSignal<Vec<u64>>,
    when: RwSignal<When>,
    is_playing: RwSignal<bool>,
    speed: RwSignal<u32>,
}

impl Player {
    /// Still, at the newest.
    pub(super) fn new(steps: RwSignal<Vec<u64>>, when: RwSignal<When>) -> Self {
        Self { steps, when, is_playing: RwSignal::new(false), speed: RwSignal::new(12) }
    }

    /// Plays or holds.
    pub(super) fn turn(self) {
        if self.is_playing.get_untracked() { self.stop() } else { self.play() }
    }

    /// Holds.
    pub(super) fn stop(self) {
        self.is_playing.set(false);
    }

    fn play(self) {
        let steps = self.steps.get_untracked();
        if steps.is_empty() {
            return;
        }
        self.is_playing.set(true);
        let from = start_of_play(&steps, self.when.get_untracked());
        self.when.set(from);
        self.frame(notch(&steps, from), js_sys::Date::now(), self.speed.get_untracked());
    }

    /// One frame; another speed begins anew from where it is.
    fn frame(self, from: usize, since_ms: f64, speed: u32) {
        request_animation_frame(move || {
            if self.is_playing.try_get_untracked() != Some(true) {
                return;
            }
            let now = js_sys::Date::now();
            let when = self.steps.with_untracked(|steps| played(steps, from, (now - since_ms) / 1e3, speed));
            let at = when.unwrap_or(When::Now);
            if self.when.get_untracked() != at {
                self.when.set(at);
            }
            match (when, self.speed.get_untracked()) {
                (None, _) => self.stop(),
                (_, same) if same == speed => self.frame(from, since_ms, speed),
                (_, other) => self.frame(self.steps.with_untracked(|steps| notch(steps, at)), now, other),
            }
        });
    }
}

/// The row on top: where one is, which step, and what it costs.
#[component]
pub(super) fn Timeline() -> impl IntoView {
    let inside = expect_context::<Inside>();
    let Inside { when, other, player, .. } = inside;
    let steps = inside.frames.steps;
    let last = move || steps.read().len();
    let step_word = move |when: When| match when {
        When::Now => number::whole(inside.summary.read().step),
        When::At(step) => number::whole(step),
    };
    let scrub = move |by: isize| {
        player.stop();
        when.update(|when| *when = steps.with_untracked(|steps| scrubbed(steps, *when, by)));
    };
    let slide = move |text: String| {
        player.stop();
        if let Ok(at) = text.parse::<usize>() {
            when.set(steps.with_untracked(|steps| moment(steps, at)));
        }
    };
    let slide_other = move |text: String| {
        if let Ok(at) = text.parse::<usize>() {
            other.set(Some(steps.with_untracked(|steps| moment(steps, at))));
        }
    };
    let compare = move |_| {
        let middle = move || steps.with_untracked(|steps| moment(steps, steps.len() / 2));
        other.update(|other| *other = if other.is_some() { None } else { Some(middle()) });
    };
    view! {
        <div class="xray-head">
            <nav class="crumbs" aria-label="Where this is">
                <a href=super::run_href(inside)>{shows(move || inside.summary.read().name.clone())}</a>
                {shows(move || inside.place.get().path().into_iter().map(|(place, word)| view! {
                    <span class="dim" aria-hidden="true">"▸"</span><a href=inside.path(&place)>{word}</a>
                }).collect_view())}
                {shows(move || inside.place.get().up().map(|up| view! { <button class="quiet up" title="One level up (Esc)" on:click=clicks(move |_| inside.go(&up))><Icon name="up" />"up"</button> }))}
            </nav>
            <div class="timeline" role="group" aria-label="Step that is seen">
                <button class="icon-only" aria-label="The kept step before" title="The kept step before (←)" on:click=clicks(move |_| scrub(-1))>"◂"</button>
                <button class="icon-only play" aria-label=move || if player.is_playing.get() { "Hold" } else { "Play the kept steps" } title="Play the kept steps (space)" on:click=clicks(move |_| player.turn())>
                    {shows(move || if player.is_playing.get() { view! { <Icon name="paused" /> }.into_any() } else { "▶".into_any() })}
                </button>
                <button class="icon-only" aria-label="The next kept step" title="The next kept step (→)" on:click=clicks(move |_| scrub(1))>"▸"</button>
                <input type="range" class="scrub" aria-label="Step" min="0" max=says(move || last().to_string()) prop:value=says(move || steps.with(|steps| notch(steps, when.get())).to_string())
                    aria-valuetext=says(move || format!("step {}{}", step_word(when.get()), if when.get() == When::Now { ", the newest" } else { "" }))
                    on:input:target=move |event| slide(event.target().value()) />
                <output class="mono at" title="Steps done when this was seen">{shows(move || step_word(when.get()))}</output>
                <button class="live-again" class:is-live=move || when.get() == When::Now aria-pressed=says(move || (when.get() == When::Now).to_string()) title="Follow the newest step" on:click=clicks(move |_| { player.stop(); when.set(When::Now) })>
                    {shows(move || if inside.frames.is_live() { "live" } else { "newest" })}
                </button>
                <label class="pick" title="Kept steps a second while playing"><span class="unseen">"Speed"</span>
                    <select on:change:target=move |event| player.speed.set(event.target().value().parse().unwrap_or(12))>
                        {SPEEDS.map(|speed| view! { <option value=speed.to_string() selected=move || player.speed.get() == speed>{format!("{speed} / s")}</option> })}
                    </select>
                </label>
                <button class="switch" aria-pressed=says(move || other.read().is_some().to_string()) title="Another step beside this one" on:click=compare>"two steps"</button>
            </div>
            {shows(move || other.read().is_some().then(|| view! {
                <div class="timeline beside" role="group" aria-label="Step beside it">
                    <span class="dim">"beside it"</span>
                    <input type="range" class="scrub" aria-label="Step beside it" min="0" max=says(move || last().to_string()) prop:value=says(move || steps.with(|steps| notch(steps, other.get().unwrap_or(When::Now))).to_string()) on:input:target=move |event| slide_other(event.target().value()) />
                    <output class="mono at">{shows(move || step_word(other.get().unwrap_or(When::Now)))}</output>
                </div>
            }))}
            {shows(move || (last() == 0).then(|| view! { <p class="small dim">"No step is kept yet: the slider fills as the run goes on."</p> }))}
        </div>
    }
}

/// The tabs of a block: one for each layer.
pub(super) fn layers(
    inside: Inside,
    layer: impl Fn() -> u32 + Copy + Send + Sync + 'static,
    to: fn(u32) -> Place,
) -> AnyView {
    (inside.layers() > 1)
        .then(|| {
            view! {
                <div class="tabs" role="group" aria-label="Block">
                    {(0..inside.layers()).map(|each| view! { <button class="tab" aria-pressed=says(move || (layer() == each).to_string()) on:click=clicks(move |_| inside.go(&to(each)))>{format!("block {each}")}</button> }).collect_view()}
                </div>
            }
        })
        .into_any()
}
