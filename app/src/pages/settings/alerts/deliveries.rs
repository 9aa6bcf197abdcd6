//! The messages of a channel with their state.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::timing::{COLLECT_MINUTES, MOST_PER_HOUR};
use wire::alert::{DeliveryState, DeliveryView, Timing, Wait};

use super::words::digest_word;
use crate::components::number::{ago, clock, counted};
use crate::components::{Failure, Skeleton, clicks, isolated, shows, visible};
use crate::net::api::{self, ApiFailure};

#[component]
pub(super) fn Deliveries(channel: i64, timing: Signal<Timing>) -> impl IntoView {
    let found = RwSignal::new(None::<Result<Vec<DeliveryView>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let answer = api::alerts::deliveries(channel).await;
            found.try_set(Some(answer));
        });
    };
    fetch();
    view! {
        <div class="stack">
            {shows(move || match found.get() {
                None => view! { <Skeleton rows=1 class="short" /> }.into_any(),
                Some(Err(failure)) => {
                    view! { <Failure what="The messages could not be listed" failure retry=move |()| fetch() /> }.into_any()
                }
                Some(Ok(messages)) if messages.is_empty() => {
                    view! { <p class="small dim">"No messages in the last 30 days. Tests are not listed."</p> }.into_any()
                }
                Some(Ok(messages)) => {
                    let lines = messages.into_iter().map(|message| view! { <MessageLine message timing=timing.get() /> });
                    view! { <ul class="tokens" aria-label="Messages of the channel">{lines.collect_view()}</ul> }.into_any()
                }
            })}
            <div class="row">
                <button class="quiet" title="Refresh the list and the state of each message" on:click=clicks(move |_| fetch())>"Refresh"</button>
            </div>
        </div>
    }
}

#[component]
fn MessageLine(message: DeliveryView, timing: Timing) -> impl IntoView {
    let state = state_of(&message, &timing);
    let more = match message.alerts {
        0 | 1 => String::new(),
        alerts => format!(" and {} more", alerts - 1),
    };
    let DeliveryView { delivery, created_ms, title, answer, .. } = message;
    let title = match title.is_empty() {
        true => "An alert that you may no longer see".to_owned(),
        false => isolated(&title),
    };
    view! {
        <li>
            <div class="grow">
                <p>{title}{more}<span class="dim">{format!(" · {}", ago(created_ms as f64))}</span></p>
                <p class="small">{state}</p>
                {answer.map(|answer| view! { <p class="small dim">{visible(&answer).into_owned()}</p> })}
                <p class="small dim" title="The id that the receiver gets, the same for each attempt">"Delivery "<code>{delivery}</code></p>
            </div>
        </li>
    }
}

/// The state of a message of a channel with this timing, as a sentence.
fn state_of(message: &DeliveryView, timing: &Timing) -> String {
    let attempts = counted(u64::from(message.attempts), "attempt");
    let at = clock(message.due_ms as f64);
    match (message.state, message.attempts) {
        (DeliveryState::Sent, 0 | 1) => "Sent.".to_owned(),
        (DeliveryState::Sent, _) => format!("Sent after {attempts}."),
        (DeliveryState::Failed, 0) => "Failed: it was not sent.".to_owned(),
        (DeliveryState::Failed, _) => format!("Failed after {attempts}."),
        (DeliveryState::Waiting, 0) => format!("Will be sent at {at}{}.", reason(message, timing)),
        (DeliveryState::Waiting, _) => format!("Not accepted after {attempts}; will be sent again at {at}."),
    }
}

/// Why a message waits: ": digest every 30 min".
fn reason(message: &DeliveryView, timing: &Timing) -> String {
    match timing.wait(message.created_ms, message.due_ms) {
        Some(Wait::Digest) => format!(": {}", digest_word(timing.digest_minutes)),
        Some(Wait::Quiet) => ", when the quiet hours end".to_owned(),
        Some(Wait::MostPerHour) => format!(
            ": the channel has had {MOST_PER_HOUR} messages in an hour, so that further alerts are collected for {COLLECT_MINUTES} min"
        ),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_waits_says_why() {
        let message = DeliveryView {
            delivery: "0af1".into(),
            state: DeliveryState::Waiting,
            created_ms: 1_000,
            due_ms: 1_801_000,
            attempts: 0,
            answer: None,
            alerts: 2,
            title: "amber-fox: finished".into(),
        };
        let timing = Timing { digest_minutes: 30, ..Timing::default() };
        assert_eq!(reason(&message, &timing), ": digest every 30 min");
        let flood = DeliveryView { due_ms: 901_000, ..message };
        assert!(reason(&flood, &Timing::default()).contains("30 messages in an hour"));
    }
}
