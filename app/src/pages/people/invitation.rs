//! The page that the link of an invitation opens: who invites to what, and the form for the new account.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::person::{AcceptInvitation, InvitationView};

use super::team::reach;
use crate::base::at;
use crate::components::number::clock;
use crate::components::{Empty, Failure, Flame, NewPasswordField, Skeleton, is_password, isolated};
use crate::net::api::{ApiFailure, people};
use crate::route::Router;
use crate::session::Session;

/// Statuses of the answer for a link that cannot be used any more, or never could.
const GONE: [u16; 3] = [404, 410, 422];

#[component]
pub(crate) fn InvitationPage() -> impl IntoView {
    let router = expect_context::<Router>();
    let token = untrack(|| router.query("token")).unwrap_or_default();
    let found = RwSignal::new(None::<Result<InvitationView, ApiFailure>>);
    let stored = StoredValue::new(token);
    let fetch = move || {
        spawn_local(async move {
            let Some(token) = stored.try_get_value() else { return };
            let answer = people::preview_invitation(&token).await;
            found.try_set(Some(answer));
        });
    };
    fetch();
    view! {
        <main class="page narrow signin">
            <h1><Flame size=32 />"Kindling"</h1>
            {move || match found.get() {
                None => view! { <Skeleton rows=3 /> }.into_any(),
                Some(Err(failure)) if GONE.contains(&failure.status) => view! { <Gone /> }.into_any(),
                Some(Err(failure)) => view! {
                    <Failure what="The invitation could not be read" failure retry=move |()| fetch() />
                }.into_any(),
                Some(Ok(invitation)) => view! { <Accept invitation token=stored.get_value() /> }.into_any(),
            }}
        </main>
    }
}

/// The link is used, expired, revoked or incomplete.
#[component]
fn Gone() -> impl IntoView {
    view! {
        <Empty
            title="This invitation cannot be used"
            text="It has expired, was already used or was revoked. Each invitation works once. Ask the person who invited you for a new one."
        >
            <a class="button" href=at("/") title="For those who have an account already">"Sign in"</a>
        </Empty>
    }
}

#[component]
fn Accept(invitation: InvitationView, token: String) -> impl IntoView {
    let (session, router) = (expect_context::<Session>(), expect_context::<Router>());
    let InvitationView { name: proposed, role, projects, created_by, expires_ms, .. } = invitation;
    let (name, password) = (RwSignal::new(proposed), RwSignal::new(String::new()));
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let obstacle = move || match (name.read().trim().is_empty(), is_password(&password.read())) {
        (true, _) => Some("Enter a name first."),
        (false, false) => Some("Enter a password of at least 10 characters first."),
        (false, true) => None,
    };
    let accept = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || untrack(obstacle).is_some() {
            return;
        }
        let accept = AcceptInvitation {
            token: token.clone(),
            name: name.get_untracked().trim().to_owned(),
            password: password.get_untracked(),
        };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match people::accept_invitation(&accept).await {
                Ok(me) => {
                    session.enter(me);
                    router.replace(&at("/"));
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <h2>{format!("{} invites you to this lab", isolated(&created_by))}</h2>
        <p>
            "You get: "<strong>{reach(role, &projects)}</strong>
            <span class="dim">{format!(". The invitation expires {}.", clock(expires_ms as f64))}</span>
        </p>
        {move || session.me().map(|me| view! {
            <p class="small dim">
                {format!("This browser is signed in as {}. The invitation signs it in as the new person instead.", isolated(&me.name))}
            </p>
        })}
        <form class="stack" on:submit=accept>
            <label class="field" title="1 to 80 characters. Journals show it as the author of what you do.">
                <span class="label">"Your name"</span>
                <input
                    type="text"
                    name="username"
                    maxlength="80"
                    autocomplete="username"
                    prop:value=name
                    on:input:target=move |event| name.set(event.target().value())
                />
            </label>
            <NewPasswordField label="Password" password />
            <div class="row">
                <button
                    class="primary"
                    type="submit"
                    title=move || obstacle().unwrap_or("Create your account and sign this browser in")
                    disabled=move || is_busy.get() || obstacle().is_some()
                >
                    {move || if is_busy.get() { "Creating the account …" } else { "Create account" }}
                </button>
            </div>
            {move || failure.get().map(|failure| view! { <Failure what="The account was not created" failure /> })}
        </form>
    }
}
