//! Signing in: a one-time token, printed on the machine of the server, becomes a cookie of this browser.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::base::at;
use crate::components::{Failure, Flame, Icon, ServerCommand};
use crate::net::api::{self, ApiFailure};
use crate::route::Router;
use crate::session::{Session, SignIn};

/// The page that is shown until someone is signed in.
#[component]
pub(crate) fn SignInPage() -> impl IntoView {
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
                    session.sign_in.set(SignIn::In(me));
                }
                Err(refused) => failure.set(Some(explained(refused))),
            }
            is_busy.set(false);
        });
    };
    view! {
        <main class="page narrow signin">
            <h1><Flame size=32 />"Kindling"</h1>
            {router.is_invalid_link().then(|| view! {
                <div class="failure" role="alert">
                    <Icon name="warning" />
                    <div>
                        <strong>"This sign-in link is not valid"</strong>
                        <p>"The link is invalid, expired or already used."</p>
                    </div>
                </div>
            })}
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
        </main>
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
