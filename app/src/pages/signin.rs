//! Signing in: a one-time token, printed on the machine of the lab, becomes this browser's cookie.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiFailure};
use crate::parts::{Failure, Flame};
use crate::session::{Session, Standing};

/// Shown instead of every page until someone is signed in.
#[component]
pub(crate) fn SignInPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let token = RwSignal::new(String::new());
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let sign_in = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let pasted = token_in(&token.get());
        if pasted.is_empty() || is_busy.get() {
            return;
        }
        is_busy.set(true);
        spawn_local(async move {
            match api::sign_in(&pasted).await {
                Ok(me) => session.standing.set(Standing::In(me)),
                Err(refused) => failure.set(Some(refused)),
            }
            is_busy.set(false);
        });
    };
    view! {
        <main class="page narrow signin">
            <h1><Flame size=32 />"Kindling"</h1>
            <p>"This lab knows its people by tokens. On the machine where it runs, print a sign-in link:"</p>
            <pre class="command">"kindling token --sign-in"</pre>
            <p>"Open the link, or paste it (or only its token) here. It works once."</p>
            <form class="row" on:submit=sign_in>
                <input
                    class="grow mono"
                    type="password"
                    name="token"
                    autocomplete="off"
                    spellcheck="false"
                    autofocus
                    aria-label="Sign-in link or token"
                    placeholder="link or token"
                    prop:value=token
                    on:input:target=move |event| token.set(event.target().value())
                />
                <button class="primary" type="submit" disabled=move || is_busy.get() || token.read().trim().is_empty()>
                    {move || if is_busy.get() { "Signing in …" } else { "Sign in" }}
                </button>
            </form>
            {move || failure.get().map(|failure| view! { <Failure what="Not signed in" failure /> })}
        </main>
    }
}

/// The token in what was pasted, which may be the whole link.
fn token_in(pasted: &str) -> String {
    let token = pasted.split_once("token=").map_or(pasted, |(_, token)| token);
    token.trim().chars().take_while(|c| !c.is_whitespace() && *c != '&').collect()
}
