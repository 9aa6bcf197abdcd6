//! The X-ray page: the inside of a run's model, live or at any kept step. The map stands on top and lights what needs a look; below it is
//! the view one went into, with a plain explanation beside it, and the text that the model reads.

mod attention;
mod batch;
mod courses;
mod embedding;
mod emergence;
mod explain;
mod hands;
mod heads;
mod lasting;
mod lens;
mod map;
mod matrix;
mod prompt;
mod seat;
mod text;
mod timeline;
mod trends;
mod unit;
mod units;
mod weights;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wire::look::Passage;
use wire::model::ModelPlan;
use wire::{Event, RunId, RunState, RunSummary, RunView};

use crate::api::{self, ApiFailure};
use crate::live::{Live, News, Watch};
use crate::parts::{Failure, Skeleton, shows};
use crate::route::{Router, run_path, xray_path};
use crate::xray::clock::{When, scrubbed};
use crate::xray::frames::Frames;
use crate::xray::place::{Place, TABS};
use crate::xray::quantity::Light;
use timeline::Player;

/// What the parts of the page share: the run, where one is in its model, and which step is seen.
#[derive(Clone, Copy)]
struct Inside {
    run: StoredValue<RunId>,
    model: StoredValue<ModelPlan>,
    /// Loss of knowing nothing, nats.
    ln_vocab: f64,
    summary: RwSignal<RunSummary>,
    frames: Frames,
    router: Router,
    /// Where one is.
    place: Memo<Place>,
    /// Which step.
    when: RwSignal<When>,
    /// The step beside it, where two are compared.
    other: RwSignal<Option<When>>,
    /// The text that is read.
    passage: RwSignal<Passage>,
    /// A text of one's own is read at past steps too, from checkpoints.
    own_in_past: RwSignal<bool>,
    /// What lights the map.
    light: RwSignal<Light>,
    /// The token someone points at.
    token: RwSignal<Option<usize>>,
    player: Player,
}

impl Inside {
    fn new(view: RunView) -> Self {
        let live = expect_context::<Live>();
        let router = expect_context::<Router>();
        let RunView { summary, plan, references, .. } = view;
        let run = summary.id.clone();
        let summary = RwSignal::new(summary);
        let state = Memo::new(move |_| summary.read().state);
        let asked = |key: &str| untrack(|| router.query(key));
        let passage = match (asked("text"), asked("held").and_then(|held| held.parse().ok())) {
            (Some(text), _) if !text.is_empty() => Passage::Own(text),
            (_, held) => Passage::Held(held.unwrap_or(0)),
        };
        let when = asked("at").and_then(|at| at.parse().ok()).map_or(When::Now, When::At);
        let frames = Frames::new(run.clone(), live, state);
        let when = RwSignal::new(when);
        Self {
            run: StoredValue::new(run),
            model: StoredValue::new(plan.recipe.model),
            ln_vocab: references.ln_vocab,
            summary,
            frames,
            router,
            place: Memo::new(move |_| Place::parse(|key| router.query(key))),
            when,
            other: RwSignal::new(None),
            passage: RwSignal::new(passage),
            own_in_past: RwSignal::new(false),
            light: RwSignal::new(Light::Rms),
            token: RwSignal::new(None),
            player: Player::new(frames.steps, when),
        }
    }

    fn layers(self) -> u32 {
        self.model.with_value(|model| model.layers as u32)
    }

    /// The address of a place, with the text that is read.
    fn path(self, place: &Place) -> String {
        let passage = match &*self.passage.read() {
            Passage::Held(0) => String::new(),
            Passage::Held(window) => format!("&held={window}"),
            Passage::Own(text) => {
                format!("&text={}", String::from(js_sys::encode_uri_component(text)))
            }
        };
        format!("{}?{}{passage}", self.run.with_value(xray_path), place.query())
    }

    /// Goes somewhere: into another view with a line in the browser's history, within one without.
    fn go(self, place: &Place) {
        let path = untrack(|| self.path(place));
        if self.place.with_untracked(|at| at.tab() == place.tab()) {
            self.router.say(&path)
        } else {
            self.router.go(&path)
        }
    }

    /// The text read at a moment: past steps are kept over the first window, unless someone insists on their own.
    fn passage_at(self, when: When) -> Passage {
        let is_past = when != When::Now && !self.own_in_past.get();
        if is_past { Passage::default() } else { self.passage.get() }
    }
}

/// The page.
#[component]
pub(crate) fn XrayPage(run: RunId) -> impl IntoView {
    let opened = RwSignal::new(None::<Result<Box<RunView>, ApiFailure>>);
    let id = StoredValue::new(run);
    let open = move || {
        opened.set(None);
        spawn_local(async move {
            let view = api::run(&id.get_value()).await.map(Box::new);
            opened.try_set(Some(view));
        });
    };
    open();
    move || {
        match opened.get() {
        None => view! { <main class="page xray"><Skeleton rows=1 class="short" /><Skeleton rows=1 class="tall" /><Skeleton rows=1 class="loss" /></main> }.into_any(),
        Some(Err(failure)) => view! {
            <main class="page narrow"><Failure what=format!("{} could not be opened", id.get_value()) failure retry=move |()| open() /><a class="button" href="/">"To the Lab"</a></main>
        }
        .into_any(),
        Some(Ok(run)) => view! { <Open run=*run /> }.into_any(),
    }
    }
}

/// The page once the run is known.
#[component]
fn Open(run: RunView) -> impl IntoView {
    let cursor = run.cursor;
    let inside = Inside::new(run);
    provide_context(inside);
    watch(inside, cursor);
    listen(inside);
    // The head's choice is a change within the view; another view is another body.
    let tab = Memo::new(move |_| {
        inside
            .place
            .with(|place| (place.tab(), matches!(place, Place::Matrix { .. } | Place::Mlp { unit: Some(_), .. })))
    });
    let has_other = Memo::new(move |_| inside.other.read().is_some());
    let now = Signal::derive(move || inside.when.get());
    let beside = Signal::derive(move || inside.other.get().unwrap_or(When::Now));
    view! {
        <main class="page xray" class:inside=move || *inside.place.read() != Place::Map>
            <h1 class="unseen">{shows(move || format!("X-ray of {}", inside.summary.read().name))}</h1>
            <timeline::Timeline />
            <map::Map />
            <nav class="tabs xray-tabs" aria-label="Views of the inside">
                {TABS.map(|(tab, word)| {
                    let is_here = move || inside.place.with(|place| place.tab() == tab);
                    view! { <a class="tab" href=move || inside.path(&Place::of_tab(tab)) aria-current=move || is_here().then_some("page")>{word}</a> }
                })}
            </nav>
            <div class="xray-grid" class:two=has_other>
                {shows(move || {
                    let (tab, is_deep) = tab.get();
                    let body = move |when| body(inside, tab, is_deep, when);
                    view! {
                        <section class="sheet padded stack view" data-view=tab>{body(now)}</section>
                        {has_other.get().then(|| view! { <section class="sheet padded stack view other" data-view=tab>{body(beside)}</section> })}
                    }
                })}
                <explain::Explain />
            </div>
            <prompt::Prompt />
        </main>
    }
}

fn body(inside: Inside, tab: &'static str, is_deep: bool, when: Signal<When>) -> AnyView {
    match (tab, is_deep) {
        ("attention", _) => attention::view(inside, when),
        ("lens", _) => lens::view(inside, when),
        ("mlp", false) => units::view(inside, when),
        ("mlp", true) => unit::view(inside, when),
        ("weights", false) => weights::view(inside, when),
        ("weights", true) => matrix::view(inside, when),
        ("embedding", _) => embedding::view(inside, when),
        ("hands", _) => hands::view(inside, when),
        ("batch", _) => batch::view(inside, when),
        ("emergence", _) => emergence::view(inside),
        _ => map::view(inside, when),
    }
}

/// Follows the run's stream; after a gap, or a rollback, what was kept is asked for anew.
fn watch(inside: Inside, cursor: wire::run::Cursor) {
    let live = expect_context::<Live>();
    let held = StoredValue::new(None::<Watch>);
    let watch = live.watch_run(inside.run.get_value(), cursor, move |news| match news {
        News::Tick(tick) => {
            let step = tick.summary.step;
            let leads_elsewhere = tick.events.iter().any(|record| matches!(record.event, Event::RolledBack { .. }));
            if inside.summary.try_set(tick.summary).is_some() {
                return;
            }
            inside.frames.take(step, tick.frames);
            if leads_elsewhere {
                inside.frames.forget();
            }
        }
        News::Resync => spawn_local(async move {
            if let Ok(view) = api::run(&inside.run.get_value()).await {
                inside.summary.try_set(view.summary);
                if let Some(watch) = held.try_get_value().flatten() {
                    watch.go_on(view.cursor);
                }
            }
        }),
    });
    held.set_value(Some(watch));
    on_cleanup(move || watch.leave());
    let on_sight = Closure::<dyn Fn()>::new(move || {
        inside.frames.hide(document().visibility_state() != web_sys::VisibilityState::Visible);
    });
    let _ = document().add_event_listener_with_callback("visibilitychange", on_sight.as_ref().unchecked_ref());
    let on_sight = StoredValue::new_local(on_sight);
    on_cleanup(move || {
        on_sight.with_value(|on_sight| {
            let _ =
                document().remove_event_listener_with_callback("visibilitychange", on_sight.as_ref().unchecked_ref());
        });
    });
}

/// Arrows scrub, space plays, Escape goes up a level; never while someone types or holds a picture.
fn listen(inside: Inside) {
    let listener = window_event_listener(ev::keydown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        // A slider has no use for the space bar.
        let is_slide = event.key() == " " && target.as_ref().is_some_and(|at| at.matches("[type=range]") == Ok(true));
        if crate::shell::is_typing(&event) && !is_slide
            || event.default_prevented()
            || document().query_selector("dialog[open]").ok().flatten().is_some()
        {
            return;
        }
        let scrub = |by: isize| {
            inside.player.stop();
            let steps = inside.frames.steps.get_untracked();
            inside.when.update(|when| *when = scrubbed(&steps, *when, by));
        };
        let is_pressed = target.is_some_and(|at| matches!(at.tag_name().as_str(), "BUTTON" | "A" | "SUMMARY"));
        match event.key().as_str() {
            "ArrowLeft" => scrub(-1),
            "ArrowRight" => scrub(1),
            " " if !is_pressed => inside.player.turn(),
            "Escape" => match inside.place.with_untracked(Place::up) {
                Some(up) => inside.go(&up),
                None => return,
            },
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || listener.remove());
}

/// What can be said where a view has no weights to look at.
fn is_waiting(state: RunState) -> bool {
    matches!(state, RunState::Queued | RunState::Starting)
}

/// The address of the run's own page.
fn run_href(inside: Inside) -> String {
    inside.run.with_value(run_path)
}
