//! Signing in with a one-time token: the page has the command that prints a link with one.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::base::at;
use crate::components::{Failure, ServerCommand};
use crate::net::api::{self, ApiFailure};
use crate::route::Router;
use crate::session::Session;

/// The command, and a field for the link.
#[component]
pub(super) fn LinkForm() -> impl IntoView {
    let (session, router) = (expect_context::<Session>(), expect_context::<Router>());
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
                Ok(me) => {
                    if untrack(|| router.is_sign_in()) {
                        router.replace(&at("/"));
                    }
                    session.enter(me);
                }
                Err(refused) => drop(failure.try_set(Some(explained(refused)))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <p>"Sign in with a link. To create one, run this command on the server's machine:"</p>
        <ServerCommand command="kindling token --sign-in" />
        <p>"Open the link, or paste it here. Each link works once."</p>
        <form class="row" on:submit=sign_in>
            <input
                class="grow mono"
                type="password"
                name="token"
                autocomplete="off"
                spellcheck="false"
                autofocus
                aria-label="Sign-in link"
                placeholder="Sign-in link"
                title="The whole link, or only its token"
                prop:value=token
                on:input:target=move |event| token.set(event.target().value())
            />
            <button
                class="primary"
                type="submit"
                title=move || match token.read().trim().is_empty() {
                    true => "Paste a sign-in link first.",
                    false => "Sign this browser in for 30 days",
                }
                disabled=move || is_busy.get() || token.read().trim().is_empty()
            >
                {move || if is_busy.get() { "Signing in …" } else { "Sign in" }}
            </button>
        </form>
        {move || failure.get().map(|failure| view! { <Failure what="Sign-in failed" failure /> })}
    }
}

/// A refused token in the words of this page, which has the command for a new link above the form.
fn explained(mut failure: ApiFailure) -> ApiFailure {
    if failure.status == 401 {
        failure.body.message = "The link is invalid, expired or already used.".to_owned();
        failure.body.hint = Some("Print a new one with the command above.".to_owned());
    }
    failure
}

/// The token in a pasted text, which may be the whole link.
fn token_in(pasted: &str) -> String {
    let token = pasted.split_once("token=").map_or(pasted, |(_, token)| token);
    token.trim().chars().take_while(|c| !c.is_whitespace() && *c != '&').collect()
}
