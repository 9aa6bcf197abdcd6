//! Signing in: a one-time token, printed on the machine of the server, becomes a cookie of this browser.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::components::{Failure, Flame};
use crate::net::api::{self, ApiFailure};
use crate::session::{Session, SignIn};

/// The page that is shown until someone is signed in.
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
                Ok(me) => session.sign_in.set(SignIn::In(me)),
                Err(refused) => failure.set(Some(refused)),
            }
            is_busy.set(false);
        });
    };
    view! {
        <main class="page narrow signin">
            <h1><Flame size=32 />"Kindling"</h1>
            <p>"Access needs a token. Print a sign-in link on the machine where the server runs:"</p>
            <pre class="command">"kindling token --sign-in"</pre>
            <p>"Open the link, or paste it or its token here. It works once."</p>
            <form class="row" on:submit=sign_in>
                <input
                    class="grow mono"
                    type="password"
                    name="token"
                    autocomplete="off"
                    spellcheck="false"
                    autofocus
                    aria-label="Sign-in link or token"
                    placeholder="Sign-in link or token"
                    prop:value=token
                    on:input:target=move |event| token.set(event.target().value())
                />
                <button class="primary" type="submit" disabled=move || is_busy.get() || token.read().trim().is_empty()>
                    {move || if is_busy.get() { "Signing in …" } else { "Sign in" }}
                </button>
            </form>
            {move || failure.get().map(|failure| view! { <Failure what="Sign-in failed" failure /> })}
        </main>
    }
}

/// The token in a pasted text, which may be the whole link.
fn token_in(pasted: &str) -> String {
    let token = pasted.split_once("token=").map_or(pasted, |(_, token)| token);
    token.trim().chars().take_while(|c| !c.is_whitespace() && *c != '&').collect()
}
