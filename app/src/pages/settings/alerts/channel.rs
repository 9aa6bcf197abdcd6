//! One channel: what it sends where and when, its test, its messages, and the form that changes it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::timing::QuietHours;
use wire::alert::{AlertKind, ChannelChange, ChannelView, TestResult, Timing};

use super::ChannelList;
use super::deliveries::Deliveries;
use super::form::ChannelForm;
use super::words::{digest_word, kind_name, kind_word, time_of};
use crate::components::{Failure, Question, clicks, isolated, says, shows, visible};
use crate::net::api::{self, ApiFailure};

#[component]
pub(super) fn ChannelLine(id: i64, list: ChannelList) -> impl IntoView {
    let channel = Memo::new(move |_| {
        let known = list.channels.read();
        known.iter().flat_map(|known| &known.channels).find(|channel| channel.id == id).cloned()
    });
    let of =
        move |text: fn(&ChannelView) -> String| says(move || channel.read().as_ref().map(text).unwrap_or_default());
    let timing = Signal::derive(move || channel.read().as_ref().map(|channel| channel.timing).unwrap_or_default());
    let is_open = RwSignal::new(false);
    let is_enabled = Memo::new(move |_| channel.read().as_ref().is_none_or(|channel| channel.is_enabled));
    let shows_messages = RwSignal::new(false);
    let tested = RwSignal::new(None::<Result<TestResult, ApiFailure>>);
    let is_testing = RwSignal::new(false);
    let test = move |_| {
        is_testing.set(true);
        tested.set(None);
        spawn_local(async move {
            let answer = api::alerts::test(id).await;
            is_testing.try_set(false);
            tested.try_set(Some(answer));
        });
    };
    view! {
        <li>
            <div class="grow stack">
                <div>
                    <p><strong>{of(|channel| isolated(&channel.name))}</strong><span class="dim">{of(owner)}</span></p>
                    <p class="small">{of(|channel| format!("{} · {}", kind_name(&channel.kind), isolated(&channel.target)))}</p>
                    <p class="small dim">{of(about)}</p>
                </div>
                <div class="row">
                    <button title="Send a test message now and show the answer of the receiver" disabled=move || is_testing.get() on:click=clicks(test)>
                        {move || if is_testing.get() { "Testing" } else { "Test" }}
                    </button>
                    <button
                        class="quiet"
                        title="The newest messages of this channel with their state"
                        aria-expanded=move || shows_messages.get().to_string()
                        on:click=clicks(move |_| shows_messages.update(|shown| *shown = !*shown))
                    >
                        "Messages"
                    </button>
                    <button
                        class="quiet"
                        title="Change the receiver, what is sent, and when"
                        aria-expanded=says(move || is_open.get().to_string())
                        on:click=clicks(move |_| is_open.set(true))
                    >
                        "Change"
                    </button>
                    {shows(move || {
                        let is_enabled = is_enabled.get();
                        view! { <Toggle id is_enabled list /> }
                    })}
                    <button
                        class="quiet"
                        title="Delete the channel with its messages, after confirmation"
                        on:click=clicks(move |_| channel.get_untracked().iter().for_each(|channel| ask_delete(list, channel)))
                    >
                        "Delete"
                    </button>
                </div>
                {shows(move || tested.get().map(|tested| view! { <TestAnswer tested /> }))}
                {shows(move || shows_messages.get().then(|| view! { <Deliveries channel=id timing /> }))}
                {shows(move || is_open.get().then(|| {
                    view! { <ChannelForm list channel=channel.get_untracked() is_open /> }
                }))}
            </div>
        </li>
    }
}

/// Turns a channel off or on.
#[component]
fn Toggle(id: i64, is_enabled: bool, list: ChannelList) -> impl IntoView {
    let (title, label) = match is_enabled {
        true => ("Send nothing until it is turned on again; waiting messages are discarded", "Turn off"),
        false => ("Send alerts that are raised from now on", "Turn on"),
    };
    let press = move |_| {
        spawn_local(async move {
            let change = ChannelChange { is_enabled: Some(!is_enabled), ..ChannelChange::default() };
            if let Err(failure) = api::alerts::change(id, &change).await {
                list.toasts.fail("The channel was not changed", &failure);
            }
            list.fetch();
        });
    };
    view! { <button class="quiet" title=title on:click=clicks(press)>{label}</button> }
}

#[component]
fn TestAnswer(tested: Result<TestResult, ApiFailure>) -> impl IntoView {
    match tested {
        Err(failure) => view! { <Failure what="The channel was not tested" failure /> }.into_any(),
        Ok(TestResult { is_accepted, answer, took_ms, .. }) => {
            let word = if is_accepted { "The receiver accepted the test" } else { "The test was not accepted" };
            let text = format!("{word} after {took_ms} ms: {}", visible(&answer));
            view! { <p class="small" role="status">{text}</p> }.into_any()
        }
    }
}

fn ask_delete(list: ChannelList, channel: &ChannelView) {
    let (id, name) = (channel.id, isolated(&channel.name));
    let title = format!("Delete the channel {name}?");
    let act = list.confirm.keep(move || {
        let name = name.clone();
        spawn_local(async move {
            match api::alerts::delete(id).await {
                Ok(()) => list.toasts.say(format!("The channel {name} was deleted")),
                Err(failure) => list.toasts.fail("The channel was not deleted", &failure),
            }
            list.fetch();
        });
    });
    let loses =
        "Waiting messages are not sent, and the list of its messages is lost. This cannot be undone.".to_owned();
    list.confirm.ask(Question { title, loses, verb: "Delete", act });
}

/// ` · lab · turned off`
fn owner(channel: &ChannelView) -> String {
    let owner = if channel.is_of_lab { "lab" } else { "yours" };
    let off = if channel.is_enabled { "" } else { " · turned off" };
    format!(" · {owner}{off}")
}

/// Filter and timing of a channel in one line.
fn about(channel: &ChannelView) -> String {
    let filter = &channel.filter;
    let urgent = if filter.urgent_only { "urgent alerts only" } else { "urgent and other alerts" };
    let kinds: Vec<&str> = match filter.kinds.len() == AlertKind::ALL.len() {
        true => vec!["All kinds"],
        false => filter.kinds.iter().map(|kind| kind_word(*kind)).collect(),
    };
    let limit = |what: &str, names: &std::collections::BTreeSet<String>| {
        let names: Vec<String> = names.iter().map(|name| isolated(name)).collect();
        if names.is_empty() { String::new() } else { format!(" · {what} {}", names.join(", ")) }
    };
    let limits = limit("projects", &filter.projects) + &limit("tags", &filter.tags);
    format!("{} · {urgent}{limits} · {}", kinds.join(", "), when(&channel.timing))
}

fn when(timing: &Timing) -> String {
    let digest = match timing.digest_minutes {
        0 => "at once".to_owned(),
        minutes => digest_word(minutes),
    };
    let Some(QuietHours { from, to, utc_offset_minutes }) = timing.quiet else { return digest };
    let urgent = if timing.urgent_at_once { " except urgent alerts" } else { "" };
    let (sign, offset) = (if utc_offset_minutes < 0 { '-' } else { '+' }, utc_offset_minutes.unsigned_abs());
    let zone = format!("UTC{sign}{}:{:02}", offset / 60, offset % 60);
    format!("{digest} · quiet from {} to {} ({zone}){urgent}", time_of(from), time_of(to))
}
