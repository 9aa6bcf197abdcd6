//! Who is signed in, how the page looks, who else may enter ([`tokens`]), how devices were checked ([`checks`]), and where programs find
//! the lab.

mod checks;
mod tokens;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::parts::Toasts;
use crate::session::{Session, Standing};
use crate::theme::{Choice, Theme};
use checks::Checks;
use tokens::Tokens;

/// The page.
#[component]
pub(crate) fn SettingsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let is_admin = Memo::new(move |_| session.is_admin());
    view! {
        <main class="page narrow stack roomy">
            <h1>"Settings"</h1>
            <Who />
            <Looks />
            {move || if is_admin.get() { view! { <Tokens /> }.into_any() } else { view! { <People /> }.into_any() }}
            <Checks />
            <Programs />
        </main>
    }
}

#[component]
fn Who() -> impl IntoView {
    let (session, toasts) = (expect_context::<Session>(), expect_context::<Toasts>());
    let may = |role: &str| match role {
        "admin" => "may look, steer, and do what cannot be undone",
        "steer" => "may look, start, steer and delete runs, and bring texts",
        _ => "may look at everything and change nothing",
    };
    let sign_out = move |_| {
        spawn_local(async move {
            match api::sign_out().await {
                Ok(()) => session.standing.set(Standing::Out),
                Err(failure) => toasts.fail("Not signed out", &failure),
            }
        });
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="who-title">
            <h2 id="who-title">"You"</h2>
            {move || session.me().map(|me| view! {
                <p>"Signed in as "<strong>{me.name}</strong>", role "<strong>{me.role.clone()}</strong>": "{may(&me.role)}"."</p>
            })}
            <p class="small dim">"What you do to a run is signed with this name in its journal."</p>
            <div class="row"><button on:click=sign_out>"Sign this browser out"</button></div>
        </section>
    }
}

#[component]
fn Looks() -> impl IntoView {
    let theme = expect_context::<Theme>();
    let word = |choice| match choice {
        Choice::Auto => "As the system",
        Choice::Light => "Light",
        Choice::Dark => "Dark",
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="looks-title">
            <h2 id="looks-title">"Colours"</h2>
            <div class="row">
                <div class="tabs" role="group" aria-labelledby="looks-title">
                    {Choice::ALL.map(|choice| view! {
                        <button class="tab" aria-pressed=move || (theme.choice.get() == choice).to_string() on:click=move |_| theme.choice.set(choice)>{word(choice)}</button>
                    })}
                </div>
            </div>
            <p class="small dim">"Kept in this browser."</p>
        </section>
    }
}

#[component]
fn People() -> impl IntoView {
    view! {
        <section class="sheet padded stack" aria-labelledby="people-title">
            <h2 id="people-title">"Who may enter"</h2>
            <p>"Each person has a sign-in link of their own, with the role they need. An admin hands them out on this page; on the machine of the lab they are made with:"</p>
            <pre class="command">"kindling token --sign-in --role view --name ada"</pre>
            <p class="small dim">"Roles: view, steer, admin. A link works once; without --sign-in it is a token for programs. Only hashes are kept, so a lost token is replaced, not found."</p>
        </section>
    }
}

#[component]
fn Programs() -> impl IntoView {
    view! {
        <section class="sheet padded stack" aria-labelledby="programs-title">
            <h2 id="programs-title">"For programs"</h2>
            <ul class="stack">
                <li><a href="/api/v1/openapi.json" target="_blank" rel="noopener">"/api/v1/openapi.json"</a><span class="dim">": every route and every body (OpenAPI)"</span></li>
                <li><a href="/metrics" target="_blank" rel="noopener">"/metrics"</a><span class="dim">": counters for Prometheus"</span></li>
                <li><a href="/healthz" target="_blank" rel="noopener">"/healthz"</a><span class="dim">": whether the server is well"</span></li>
            </ul>
            <p class="small dim">"Programs send Authorization: Bearer with a token."</p>
        </section>
    }
}
