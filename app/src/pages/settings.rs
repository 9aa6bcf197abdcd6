//! The Settings page: the account, the theme, access tokens ([`tokens`]), device checks ([`checks`]), the disk ([`disk`]), and the addresses
//! for programs.

mod checks;
mod disk;
mod tokens;

use leptos::prelude::*;
use leptos::task::spawn_local;

use wire::access::Role;

use crate::base::at;
use crate::components::{ServerCommand, Toasts, isolated};
use crate::net::api;
use crate::session::{Session, SignIn};
use crate::theme::{Choice, Theme};
use checks::DeviceChecks;
use disk::Disk;
use tokens::Tokens;

#[component]
pub(crate) fn SettingsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let is_admin = Memo::new(move |_| session.is_admin());
    view! {
        <main class="page narrow stack roomy">
            <h1>"Settings"</h1>
            <Account />
            <ThemeChoice />
            {move || if is_admin.get() { view! { <Tokens /> }.into_any() } else { view! { <AccessNote /> }.into_any() }}
            <DeviceChecks />
            <Disk />
            <Programs />
        </main>
    }
}

#[component]
fn Account() -> impl IntoView {
    let (session, toasts) = (expect_context::<Session>(), expect_context::<Toasts>());
    let sign_out = move |_| {
        spawn_local(async move {
            match api::sign_out().await {
                Ok(()) => session.sign_in.set(SignIn::Out),
                Err(failure) => toasts.fail("Sign-out failed", &failure),
            }
        });
    };
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
            <p class="small dim">"In the journal of a run, others see this name beside your commands; you see “you”."</p>
            <div class="row"><button title="Revoke the session of this browser" on:click=sign_out>"Sign out"</button></div>
        </section>
    }
}

#[component]
fn ThemeChoice() -> impl IntoView {
    let theme = expect_context::<Theme>();
    let word = |choice| match choice {
        Choice::Auto => "System",
        Choice::Light => "Light",
        Choice::Dark => "Dark",
    };
    let meaning = |choice| match choice {
        Choice::Auto => "Follow the setting of the system (default)",
        Choice::Light => "Dark text on a light background",
        Choice::Dark => "Light text on a dark background",
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="theme-title">
            <h2 id="theme-title">"Theme"</h2>
            <div class="row">
                <div class="tabs" role="group" aria-labelledby="theme-title">
                    {Choice::ALL.map(|choice| view! {
                        <button
                            class="tab"
                            title=meaning(choice)
                            aria-pressed=move || (theme.choice.get() == choice).to_string()
                            on:click=move |_| theme.choice.set(choice)
                        >
                            {word(choice)}
                        </button>
                    })}
                </div>
            </div>
            <p class="small dim">"The choice is stored in this browser."</p>
        </section>
    }
}

#[component]
fn AccessNote() -> impl IntoView {
    view! {
        <section class="sheet padded stack" aria-labelledby="access-title">
            <h2 id="access-title">"Access"</h2>
            <p>
                "Each person needs a sign-in link and a role. An admin creates links on this page. This command creates \
                 one on the server's machine:"
            </p>
            <ServerCommand command="kindling token --sign-in --role view --name ada" />
            <p class="small dim">
                "Roles: view, steer, admin. Each link works once. Without --sign-in, the command creates an API token. \
                 Tokens are stored as hashes and cannot be shown again."
            </p>
        </section>
    }
}

#[component]
fn Programs() -> impl IntoView {
    view! {
        <section class="sheet padded stack" aria-labelledby="programs-title">
            <h2 id="programs-title">"API"</h2>
            <ul class="stack">
                <li>
                    <a href=at("/api/v1/openapi.json") target="_blank" rel="noopener" title="Open in a new tab">"/api/v1/openapi.json"</a>
                    <span class="dim">": description of all routes (OpenAPI)"</span>
                </li>
                <li>
                    <a href=at("/metrics") target="_blank" rel="noopener" title="Open in a new tab">"/metrics"</a>
                    <span class="dim">": metrics for Prometheus"</span>
                </li>
                <li>
                    <a href=at("/healthz") target="_blank" rel="noopener" title="Open in a new tab">"/healthz"</a>
                    <span class="dim">": health check of the server"</span>
                </li>
            </ul>
            <p class="small dim">"Programs send the header "<code>"Authorization: Bearer <token>"</code>"."</p>
        </section>
    }
}

/// What a role permits, as a sentence.
fn permissions(role: Role) -> &'static str {
    match role {
        Role::View => "This role can read everything and change nothing.",
        Role::Steer => "This role can read everything; start, control and delete runs; and import datasets.",
        Role::Admin => "This role can do everything, including managing access tokens and deleting datasets.",
        Role::Worker => "This role connects a worker to this server.",
    }
}
