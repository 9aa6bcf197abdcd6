//! The valid join tokens of all pools: listed and revoked.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::fleet::JoinTokenView;

use crate::components::number::{ago, clock};
use crate::components::{Confirm, Failure, Question, Toasts, isolated};
use crate::net::api::{ApiFailure, fleet};

/// The list; nothing without a token.
#[component]
pub(super) fn JoinTokens(
    /// The pools.
    names: Signal<Vec<String>>,
    /// Fetched again when it changes.
    version: RwSignal<u32>,
) -> impl IntoView {
    let tokens = RwSignal::new(None::<Result<Vec<JoinTokenView>, ApiFailure>>);
    let names = Memo::new(move |_| names.get());
    Effect::new(move || {
        version.track();
        let names = names.get();
        spawn_local(async move {
            let answer = of_pools(names).await;
            tokens.try_set(Some(answer));
        });
    });
    let again = move |()| version.update(|version| *version += 1);
    move || match tokens.get() {
        None => ().into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The join tokens could not be listed" failure retry=again /> }.into_any()
        }
        Some(Ok(tokens)) if tokens.is_empty() => ().into_any(),
        Some(Ok(tokens)) => {
            let lines = tokens.into_iter().rev().map(|token| view! { <TokenLine token version /> });
            view! {
                <h3>"Join tokens"</h3>
                <ul class="tokens" aria-label="Join tokens">{lines.collect_view()}</ul>
            }
            .into_any()
        }
    }
}

async fn of_pools(names: Vec<String>) -> Result<Vec<JoinTokenView>, ApiFailure> {
    let mut all = vec![];
    for name in names {
        all.extend(fleet::join_tokens(&name).await?);
    }
    all.sort_by_key(|token| token.created_ms);
    Ok(all)
}

#[component]
fn TokenLine(token: JoinTokenView, version: RwSignal<u32>) -> impl IntoView {
    let (confirm, toasts) = (expect_context::<Confirm>(), expect_context::<Toasts>());
    let until =
        token.expires_ms.map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", clock(at as f64)));
    let uses = match (token.used, token.uses_left) {
        (used, None) => format!("{used} joined"),
        (used, Some(left)) => format!("{used} joined, {left} more can join"),
    };
    let about =
        format!("{uses} · created {} by {}, {until}", ago(token.created_ms as f64), isolated(&token.created_by));
    let (id, pool) = (token.id, token.pool.clone());
    let revoke = move |_| {
        let act = confirm.keep(move || {
            spawn_local(async move {
                match fleet::revoke_join_token(id).await {
                    Ok(()) => toasts.say("The join token was revoked"),
                    Err(failure) => toasts.fail("The join token was not revoked", &failure),
                }
                version.try_update(|version| *version += 1);
            });
        });
        let title = format!("Revoke this join token of the pool {pool}?");
        let loses = "No more machines can join with it. Machines that have joined stay.".to_owned();
        confirm.ask(Question { title, loses, verb: "Revoke", act });
    };
    view! {
        <li>
            <div class="grow">
                <p><strong>{token.pool.clone()}</strong></p>
                <p class="small dim">{about}</p>
            </div>
            <button
                class="quiet"
                title="Revoke it, after confirmation"
                aria-label=format!("Revoke a join token of {}", token.pool)
                on:click=revoke
            >
                "Revoke"
            </button>
        </li>
    }
}
