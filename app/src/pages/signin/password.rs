//! Signing in with the name or e-mail address of an account and its password.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::session::PasswordSignIn;

use crate::base::at;
use crate::components::Failure;
use crate::net::api::{ApiFailure, account};
use crate::route::Router;
use crate::session::Session;

#[component]
pub(super) fn PasswordForm() -> impl IntoView {
    let (session, router) = (expect_context::<Session>(), expect_context::<Router>());
    let (name, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let is_complete = move || !name.read().trim().is_empty() && !password.read().is_empty();
    let sign_in = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || !untrack(is_complete) {
            return;
        }
        let sign_in =
            PasswordSignIn { name: name.get_untracked().trim().to_owned(), password: password.get_untracked() };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match account::sign_in(&sign_in).await {
                Ok(me) => {
                    if untrack(|| router.is_sign_in()) {
                        router.replace(&at("/"));
                    }
                    session.enter(me);
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form class="stack" on:submit=sign_in>
            <label class="field" title="The name or the e-mail address of your account">
                <span class="label">"Name or e-mail address"</span>
                <input
                    type="text"
                    name="username"
                    autocomplete="username"
                    autocapitalize="none"
                    spellcheck="false"
                    autofocus
                    prop:value=name
                    on:input:target=move |event| name.set(event.target().value())
                />
            </label>
            <label class="field" title="The password of your account">
                <span class="label">"Password"</span>
                <input
                    type="password"
                    name="password"
                    autocomplete="current-password"
                    prop:value=password
                    on:input:target=move |event| password.set(event.target().value())
                />
            </label>
            <div class="row">
                <button
                    class="primary"
                    type="submit"
                    title=move || match is_complete() {
                        true => "Sign this browser in for 30 days",
                        false => "Enter name and password first.",
                    }
                    disabled=move || is_busy.get() || !is_complete()
                >
                    {move || if is_busy.get() { "Signing in …" } else { "Sign in" }}
                </button>
            </div>
            {move || failure.get().map(|failure| view! { <Failure what="Sign-in failed" failure /> })}
        </form>
    }
}
