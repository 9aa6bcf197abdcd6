//! The Settings page: the [`account`] with its [`password`], [`personal_tokens`] and [`sessions`], the theme, access tokens of the lab
//! ([`tokens`]), [`agents`], [`alerts`], share links ([`links`]), device checks ([`checks`]), the disk ([`disk`]), and the addresses for programs.

mod account;
mod agents;
mod alerts;
mod checks;
mod disk;
mod links;
mod password;
mod personal_tokens;
mod sessions;
mod tokens;

use leptos::prelude::*;
use wire::access::Role;

use crate::base::at;
use crate::components::ServerCommand;
use crate::session::Session;
use crate::theme::{Choice, Theme};
use account::Account;
use agents::Agents;
use alerts::Alerts;
use checks::DeviceChecks;
use disk::Disk;
use links::ShareLinks;
use tokens::Tokens;

#[component]
pub(crate) fn SettingsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let is_admin = Memo::new(move |_| session.is_admin());
    let can_view_lab = Memo::new(move |_| session.can_view_lab());
    // Whoever has an account needs no sign-in link, and a guest cannot get one.
    let needs_link = Memo::new(move |_| session.is_member() && session.me().is_some_and(|me| me.person.is_none()));
    // A person has agents of their own, an admin those of the lab.
    let manages_agents = Memo::new(move |_| session.is_admin() || session.me().is_some_and(|me| me.person.is_some()));
    let can_share = Memo::new(move |_| session.is_admin() && !session.is_shared());
    view! {
        <main class="page narrow stack roomy">
            <h1>"Settings"</h1>
            <Account />
            <ThemeChoice />
            <Alerts />
            {move || match (is_admin.get(), needs_link.get()) {
                (true, _) => view! { <Tokens /> }.into_any(),
                (false, true) => view! { <AccessNote /> }.into_any(),
                (false, false) => ().into_any(),
            }}
            <Show when=move || manages_agents.get()><Agents /></Show>
            <Show when=move || can_share.get()><ShareLab /></Show>
            <ShareLinks />
            <Show when=move || can_view_lab.get()><DeviceChecks /><Disk /></Show>
            <Programs />
        </main>
    }
}

/// The way to the first invitation, in a lab without people.
#[component]
fn ShareLab() -> impl IntoView {
    view! {
        <section class="sheet padded stack" aria-labelledby="share-title">
            <h2 id="share-title">"Share this lab"</h2>
            <p>
                "Invite people. Each gets an account. A role in the lab, or in single projects, decides what they can see and change."
            </p>
            <div class="row">
                <a class="button" href=at("/people") title="Open the page on which you invite people and create projects">"Invite people"</a>
            </div>
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
                "Each browser needs a sign-in link, which has a role. An admin creates links on this page. This command creates \
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
