//! Playback of the snapshots, driven by the frames of the browser.

use leptos::prelude::*;

use super::step::{StepChoice, playback_choice, playback_start, slider_position};

/// Snapshots per second by default.
const DEFAULT_SPEED: u32 = 12;

/// Moves the step forwards through the snapshots.
#[derive(Clone, Copy)]
pub(crate) struct Playback {
    steps: RwSignal<Vec<u64>>,
    step: RwSignal<StepChoice>,
    pub(super) is_playing: RwSignal<bool>,
    /// Snapshots per second.
    pub(super) speed: RwSignal<u32>,
}

impl Playback {
    /// Paused.
    pub(super) fn new(steps: RwSignal<Vec<u64>>, step: RwSignal<StepChoice>) -> Self {
        Self { steps, step, is_playing: RwSignal::new(false), speed: RwSignal::new(DEFAULT_SPEED) }
    }

    pub(super) fn toggle(self) {
        if self.is_playing.get_untracked() { self.pause() } else { self.play() }
    }

    pub(super) fn pause(self) {
        self.is_playing.set(false);
    }

    fn play(self) {
        let steps = self.steps.get_untracked();
        if steps.is_empty() {
            return;
        }
        self.is_playing.set(true);
        let start = playback_start(&steps, self.step.get_untracked());
        self.step.set(start);
        self.schedule(slider_position(&steps, start), js_sys::Date::now(), self.speed.get_untracked());
    }

    /// Schedules the next frame; a changed speed starts anew from the position reached.
    fn schedule(self, from: usize, since_ms: f64, speed: u32) {
        request_animation_frame(move || {
            if self.is_playing.try_get_untracked() != Some(true) {
                return;
            }
            let now = js_sys::Date::now();
            let next = self.steps.with_untracked(|steps| playback_choice(steps, from, (now - since_ms) / 1e3, speed));
            let at = next.unwrap_or(StepChoice::Newest);
            if self.step.get_untracked() != at {
                self.step.set(at);
            }
            match (next, self.speed.get_untracked()) {
                (None, _) => self.pause(),
                (_, same) if same == speed => self.schedule(from, since_ms, speed),
                (_, other) => self.schedule(self.steps.with_untracked(|steps| slider_position(steps, at)), now, other),
            }
        });
    }
}
