//! One channel: what it sends where and when, its test, its messages, and the form that changes it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::channel::ChannelOffers;
use wire::alert::timing::QuietHours;
use wire::alert::{AlertKind, ChannelChange, ChannelView, TestResult, Timing};

use super::deliveries::Deliveries;
use super::form::ChannelForm;
use super::words::{kind_name, kind_word, time_of};
use super::{ChannelList, FormOf};
use crate::components::{Failure, Question, clicks, isolated, shows, visible};
use crate::net::api::{self, ApiFailure};

#[component]
pub(super) fn ChannelLine(channel: ChannelView, offers: ChannelOffers, list: ChannelList) -> impl IntoView {
    let id = channel.id;
    let (name, about) = (isolated(&channel.name), about(&channel));
    let target = format!("{} · {}", kind_name(&channel.kind), isolated(&channel.target));
    let owner = if channel.is_of_lab { "lab" } else { "yours" };
    let off = if channel.is_enabled { "" } else { " · turned off" };
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
    let kept = StoredValue::new(channel.clone());
    view! {
        <li>
            <div class="grow stack">
                <div>
                    <p><strong>{name}</strong><span class="dim">{format!(" · {owner}{off}")}</span></p>
                    <p class="small">{target}</p>
                    <p class="small dim">{about}</p>
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
                        on:click=clicks(move |_| list.form.set(Some(FormOf::Channel(id))))
                    >
                        "Change"
                    </button>
                    <Toggle channel=channel.clone() list />
                    <button
                        class="quiet"
                        title="Delete the channel with its messages, after a confirmation"
                        on:click=clicks(move |_| kept.with_value(|channel| ask_delete(list, channel)))
                    >
                        "Delete"
                    </button>
                </div>
                {shows(move || tested.get().map(|tested| view! { <TestAnswer tested /> }))}
                {shows(move || shows_messages.get().then(|| view! { <Deliveries channel=id /> }))}
                {shows(move || (list.form.get() == Some(FormOf::Channel(id))).then(|| {
                    view! { <ChannelForm offers=offers.clone() list channel=Some(kept.get_value()) /> }
                }))}
            </div>
        </li>
    }
}

/// Turns a channel off or on.
#[component]
fn Toggle(channel: ChannelView, list: ChannelList) -> impl IntoView {
    let (id, is_enabled) = (channel.id, channel.is_enabled);
    let (title, label) = match is_enabled {
        true => ("Send nothing until it is turned on again; messages that wait are given up", "Turn off"),
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
        "Messages that wait are not sent, and the list of its messages is lost. This cannot be undone.".to_owned();
    list.confirm.ask(Question { title, loses, verb: "Delete", act });
}

/// Filter and timing of a channel in one line.
fn about(channel: &ChannelView) -> String {
    let filter = &channel.filter;
    let urgent = if filter.urgent_only { "urgent alerts only" } else { "all levels" };
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
        minutes => format!("collected for {minutes} min"),
    };
    let Some(QuietHours { from, to, utc_offset_minutes }) = timing.quiet else { return digest };
    let urgent = if timing.urgent_at_once { " except urgent alerts" } else { "" };
    let (sign, offset) = (if utc_offset_minutes < 0 { '-' } else { '+' }, utc_offset_minutes.unsigned_abs());
    let zone = format!("UTC{sign}{}:{:02}", offset / 60, offset % 60);
    format!("{digest} · quiet from {} to {} ({zone}){urgent}", time_of(from), time_of(to))
}
