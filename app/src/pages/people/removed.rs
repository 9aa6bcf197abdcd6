//! The accounts of OpenID Connect whose persons were removed, with a button that lets each in again.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::person::RemovedAccount;

use super::team::Team;
use crate::components::number::ago;
use crate::components::{Failure, isolated};
use crate::net::api::people;

/// The list; nothing while it is empty.
#[component]
pub(super) fn RemovedAccounts() -> impl IntoView {
    let team = expect_context::<Team>();
    team.fetch_removed();
    move || match team.removed.get() {
        None => None,
        Some(Ok(removed)) if removed.is_empty() => None,
        Some(answer) => Some(view! {
            <section class="sheet padded stack" aria-labelledby="removed-title">
                <h2 id="removed-title">"Removed accounts"</h2>
                <p>
                    "The OpenID Connect provider still has these accounts. They cannot sign in. One that is let in again gets a new person at its \
                     next sign-in, with the role of new people."
                </p>
                {match answer {
                    Err(failure) => view! {
                        <Failure what="The removed accounts could not be listed" failure retry=move |()| team.fetch_removed() />
                    }.into_any(),
                    Ok(removed) => {
                        let lines = removed.into_iter().map(|account| view! { <Line account /> });
                        view! { <ul class="tokens" aria-label="Removed accounts">{lines.collect_view()}</ul> }.into_any()
                    }
                }}
            </section>
        }),
    }
}

#[component]
fn Line(account: RemovedAccount) -> impl IntoView {
    let team = expect_context::<Team>();
    let RemovedAccount { id, name, removed_ms } = account;
    let name = isolated(&name);
    let (label, done) = (format!("Let {name} in again"), format!("{name} can sign in again"));
    let let_in = move |_| {
        let done = done.clone();
        spawn_local(async move {
            match people::let_in_again(id).await {
                Ok(()) => team.toasts.say(done),
                Err(failure) => team.toasts.fail("The account was not let in again", &failure),
            }
            team.fetch_removed();
        });
    };
    view! {
        <li>
            <div class="grow">
                <p><strong>{name}</strong></p>
                <p class="small dim">{format!("removed {}", ago(removed_ms as f64))}</p>
            </div>
            <button class="quiet" title="Let the account sign in again, as a new person" aria-label=label on:click=let_in>
                "Let in again"
            </button>
        </li>
    }
}
