//! Who is signed in in this browser, with what rights; for someone with an account also its password, tokens and sessions.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::Me;

use super::password::ChangePassword;
use super::permissions;
use super::personal_tokens::PersonalTokens;
use super::sessions::Sessions;
use crate::components::{Toasts, isolated};
use crate::net::api;
use crate::projects::Projects;
use crate::session::Session;

#[component]
pub(super) fn Account() -> impl IntoView {
    let (session, toasts) = (expect_context::<Session>(), expect_context::<Toasts>());
    let projects = expect_context::<Projects>();
    let is_person = Memo::new(move |_| session.me().is_some_and(|me| me.person.is_some()));
    let sign_out = move |_| {
        spawn_local(async move {
            match api::sign_out().await {
                Ok(()) => session.leave(),
                Err(failure) => toasts.fail("Sign-out failed", &failure),
            }
        });
    };
    let roles = move || session.me().filter(|_| projects.are_several()).and_then(|me| project_roles(&me));
    view! {
        <section class="sheet padded stack" aria-labelledby="account-title">
            <h2 id="account-title">"Account"</h2>
            {move || session.me().map(|me| view! {
                <p>
                    "Signed in as "
                    <strong>{isolated(&me.name)}</strong>
                    {me.grants.lab.map(|role| view! { ", role " <strong>{role.name()}</strong> })}
                    ". "
                    {me.grants.lab.map(permissions)}
                </p>
            })}
            {move || roles().map(|roles| view! { <p>{roles}</p> })}
            <p class="small dim">"In the journal of a run, others see this name beside your commands; you see “you”."</p>
            <div class="row"><button title="Revoke the session of this browser" on:click=sign_out>"Sign out"</button></div>
            <Show when=move || is_person.get()>
                <ChangePassword />
                <PersonalTokens />
                <Sessions />
            </Show>
        </section>
    }
}

/// The roles in projects, as a sentence; `None` without one.
fn project_roles(me: &Me) -> Option<String> {
    let roles: Vec<String> =
        me.grants.projects.iter().map(|(project, role)| format!("{project} ({})", role.name())).collect();
    (!roles.is_empty()).then(|| format!("Roles in projects: {}.", roles.join(", ")))
}
