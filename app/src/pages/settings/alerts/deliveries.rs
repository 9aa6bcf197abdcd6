//! The messages of a channel with their state.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::{DeliveryState, DeliveryView};

use crate::components::number::{ago, clock, counted};
use crate::components::{Failure, Skeleton, clicks, isolated, shows, visible};
use crate::net::api::{self, ApiFailure};

#[component]
pub(super) fn Deliveries(channel: i64) -> impl IntoView {
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
                    let lines = messages.into_iter().map(|message| view! { <MessageLine message /> });
                    view! { <ul class="tokens" aria-label="Messages of the channel">{lines.collect_view()}</ul> }.into_any()
                }
            })}
            <div class="row">
                <button class="quiet" title="List the messages again with their present state" on:click=clicks(move |_| fetch())>"Refresh"</button>
            </div>
        </div>
    }
}

#[component]
fn MessageLine(message: DeliveryView) -> impl IntoView {
    let state = state_of(&message);
    let more = match message.alerts {
        0 | 1 => String::new(),
        alerts => format!(" and {} more", alerts - 1),
    };
    let DeliveryView { delivery, created_ms, title, answer, .. } = message;
    let title = match title.is_empty() {
        true => "An alert that you may not see any more".to_owned(),
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

/// The state of a message, as a sentence.
fn state_of(message: &DeliveryView) -> String {
    let attempts = counted(u64::from(message.attempts), "attempt");
    let at = clock(message.due_ms as f64);
    match (message.state, message.attempts) {
        (DeliveryState::Sent, 0 | 1) => "Sent.".to_owned(),
        (DeliveryState::Sent, _) => format!("Sent after {attempts}."),
        (DeliveryState::Failed, 0) => "Failed: it was not sent.".to_owned(),
        (DeliveryState::Failed, _) => format!("Failed after {attempts}."),
        (DeliveryState::Waiting, 0) => format!("Will be sent at {at}."),
        (DeliveryState::Waiting, _) => format!("Not accepted after {attempts}; will be sent again at {at}."),
    }
}
