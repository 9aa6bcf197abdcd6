//! What to say when the run does not simply run: it waits, loads, has failed, or went silent.

use leptos::prelude::*;
use wire::RunState;

use super::Desk;
use crate::parts::{Icon, Progress};

/// What stands above the charts; nothing for a run that trains or has ended well.
#[component]
pub(crate) fn Standing() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let message = move || desk.summary.read().message.clone();
    move || {
        match desk.state.get() {
        RunState::Queued => Some(waiting(desk, message()).into_any()),
        RunState::Starting => Some(view! {
            <div class="standing">
                <strong>"Starting"</strong>
                <p>{message().unwrap_or_else(|| "The worker loads text and weights; the first step follows.".into())}</p>
                <Progress share=Signal::stored(None::<f64>) label="Loading" is_live=Signal::stored(true) />
            </div>
        }.into_any()),
        RunState::Parked => Some(view! {
            <div class="standing">
                <strong>"Device released"</strong>
                <p>{message().unwrap_or_else(|| "The state is saved. Resume (space) takes the device back, when it is free, and goes on exactly.".into())}</p>
            </div>
        }.into_any()),
        RunState::Failed => Some(trouble(desk, "The run failed", message(), "Its curves and journal up to then are kept below. Resume goes on from its newest checkpoint; rolled back or forked, it goes on from an older one.").into_any()),
        RunState::Lost => Some(trouble(desk, "The worker went silent", message(), "All that it had reported is kept below. If its machine comes back, what it spooled comes too. Resume goes on from its newest checkpoint.").into_any()),
        _ => None,
    }
    }
}

fn waiting(desk: Desk, message: Option<String>) -> impl IntoView + use<> {
    let summary = desk.summary.get();
    let place = match summary.queue_place {
        Some(1) => format!("Next on {}", summary.device),
        Some(place) => format!("Place {place} in the queue of {}", summary.device),
        None => format!("Waits for {}", summary.device),
    };
    view! {
        <div class="standing">
            <strong>{place}</strong>
            <p>{message.unwrap_or_else(|| "It starts by itself when the device is free. The planned rate is drawn below.".into())}</p>
            <a href="/">"Reorder the queue on the Lab page"</a>
        </div>
    }
}

fn trouble(desk: Desk, what: &'static str, message: Option<String>, way_out: &'static str) -> impl IntoView + use<> {
    let id = desk.id();
    view! {
        <div class="standing failed" role="alert">
            <Icon name="warning" />
            <div>
                <strong>{what}</strong>
                <p>{message.unwrap_or_else(|| "No reason was given; the server's log may say more.".into())}</p>
                <p class="dim">{way_out}</p>
                <a class="button" href=format!("/start?from={id}")>"Duplicate with changes"</a>
            </div>
        </div>
    }
}
