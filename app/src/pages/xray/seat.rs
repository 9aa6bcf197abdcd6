//! A view's seat before a look: what it shows at its moment, where that comes from, and what stands there while there is nothing.

use std::time::Duration;

use figure::number::{self, THIN};
use leptos::prelude::*;
use wire::RunState;
use wire::look::{Look, Passage};

use super::{Inside, is_waiting};
use crate::parts::number::now_ms;
use crate::parts::{Empty, Skeleton, clicks, shows};
use crate::xray::clock::When;
use crate::xray::frames::{How, Seeing, Shown};
use crate::xray::tokens::percent;

/// A live picture older than this, and than four of its turns, is said to be old.
const STALE_MS: f64 = 6_000.0;

/// A look and what it shows.
#[derive(Clone, Copy)]
pub(super) struct Seat {
    pub(super) seeing: Memo<Seeing>,
    /// The newest picture; it stays while the next is on its way.
    pub(super) shown: Memo<Option<Shown>>,
    look: Signal<Option<Look>>,
    when: Signal<When>,
}

impl Inside {
    /// A seat before the look that `ask` makes of the text.
    pub(super) fn seat(
        self,
        when: Signal<When>,
        ask: impl Fn(Passage) -> Option<Look> + Send + Sync + 'static,
    ) -> Seat {
        let look = Signal::derive(move || ask(self.passage_at(when.get())));
        let seeing = self.frames.see(look, when);
        let shown = Memo::new(move |before: Option<&Option<Shown>>| match seeing.get() {
            Seeing::Seen(shown) => Some(shown),
            Seeing::Waiting => before.cloned().flatten(),
            Seeing::Unseen(_) | Seeing::NotKept => None,
        });
        Seat { seeing, shown, look, when }
    }
}

/// The content of a view once there is something to show, and what stands there until then.
pub(super) fn stand(inside: Inside, seat: Seat, content: impl Fn() -> AnyView + Send + 'static) -> AnyView {
    let stage = Memo::new(move |_| match seat.seeing.get() {
        Seeing::Seen(_) => 1,
        Seeing::Waiting if seat.shown.read().is_some() => 1,
        Seeing::Waiting => 0,
        Seeing::Unseen(_) => 2,
        Seeing::NotKept => 3,
    });
    let is_late = move || seat.seeing.get() == Seeing::Waiting;
    view! {
        <Provenance inside seat />
        <div class="stack" class:late=is_late>
            {shows(move || match stage.get() {
                0 => view! { <Skeleton rows=1 class="picture" /> }.into_any(),
                1 => content(),
                2 => unseen(inside, seat),
                _ => not_kept(inside, seat),
            })}
        </div>
    }
    .into_any()
}

fn unseen(inside: Inside, seat: Seat) -> AnyView {
    let message = move || match seat.seeing.get() {
        Seeing::Unseen(message) => message,
        _ => String::new(),
    };
    if is_waiting(inside.summary.with_untracked(|summary| summary.state)) {
        return view! { <Empty title="Nothing to see yet" text="The run waits for its device. Its inside is shown from the first step on."><a class="button" href=super::run_href(inside)>"To the run"</a></Empty> }.into_any();
    }
    view! { <div class="note" role="status"><strong>"This cannot be seen. "</strong>{message}</div> }.into_any()
}

fn not_kept(inside: Inside, seat: Seat) -> AnyView {
    let compute = move |_| {
        if let Some(look) = seat.look.get_untracked() {
            inside.frames.compute(look, seat.when.get_untracked());
        }
    };
    let step = move || match seat.when.get() {
        When::At(step) => number::whole(step),
        When::Now => "now".into(),
    };
    view! {
        <Empty title="Not kept at this step" text="Map, lens, attention, weights, embedding and what steps measured are kept over held-out window 0. Everything else is worked out again from the newest checkpoint that is not after this step; that takes a few seconds and does not touch the run.">
            <button class="primary" on:click=compute>{shows(move || format!("Work it out for step {}", step()))}</button>
            <button on:click=clicks(move |_| inside.when.set(When::Now))>"Back to now"</button>
        </Empty>
    }
    .into_any()
}

/// Which step this is, where it comes from, and what it costs.
#[component]
fn Provenance(inside: Inside, seat: Seat) -> impl IntoView {
    let told = move || {
        let shown = seat.shown.get()?;
        let how = match shown.how {
            How::Live(pace) if pace.every_ms > 0.0 => {
                format!(
                    "live, every {}, {} a look",
                    number::duration(pace.every_ms / 1e3),
                    number::duration(pace.cost_ms / 1e3)
                )
            }
            How::Live(pace) => format!("taken while paused, in {}", number::duration(pace.cost_ms / 1e3)),
            How::Kept => "kept".into(),
            How::Again => "worked out again from a checkpoint".into(),
        };
        Some((number::whole(shown.step), how))
    };
    let late = move || {
        (seat.seeing.get() == Seeing::Waiting && seat.shown.read().is_some()).then_some(" · the next is on its way")
    };
    // A live picture that stays away says how old the one on show is.
    let (arrived, now) = (RwSignal::new(now_ms()), RwSignal::new(now_ms()));
    Effect::new(move || {
        seat.shown.track();
        arrived.set(now_ms());
    });
    let beat = set_interval_with_handle(move || now.set(now_ms()), Duration::from_secs(1)).ok();
    on_cleanup(move || beat.iter().for_each(|beat| beat.clear()));
    let is_running = Memo::new(move |_| inside.summary.read().state == RunState::Running);
    let old = move || {
        let shown = seat.shown.get()?;
        let How::Live(pace) = shown.how else {
            return None;
        };
        let age = now.get() - arrived.get();
        (is_running.get() && age > (4.0 * pace.every_ms).max(STALE_MS))
            .then(|| format!(" · {} old", number::duration(age / 1e3)))
    };
    view! {
        <p class="provenance small dim">
            {shows(move || told().map(|(step, how)| view! { <span class="mono">{format!("step {step}")}</span>{format!(" · {how}")} }))}
            {late}
            <b>{old}</b>
        </p>
    }
}

/// What all looks cost together: the newest that was told.
pub(super) fn cost(seeing: &Seeing) -> Option<String> {
    match seeing {
        Seeing::Seen(shown) => match shown.how {
            How::Live(pace) if pace.every_ms > 0.0 => Some(format!(
                "looks: {} of training time, every {}",
                percent(pace.share).replace(THIN, " "),
                number::duration(pace.every_ms / 1e3)
            )),
            How::Live(pace) => Some(format!("taken in {}, while paused", number::duration(pace.cost_ms / 1e3))),
            _ => None,
        },
        _ => None,
    }
}
