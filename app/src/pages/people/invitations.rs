//! The invitations that can still be accepted: created, listed and revoked.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::person::{CreatedInvitation, InvitationView};

use super::invite::{InvitationLink, InviteForm};
use super::team::{Team, reach};
use crate::components::number::{ago, clock};
use crate::components::{Failure, Question, Skeleton, isolated};
use crate::net::api::people;

#[component]
pub(super) fn Invitations() -> impl IntoView {
    let team = expect_context::<Team>();
    let created = RwSignal::new(None::<CreatedInvitation>);
    team.fetch_invitations();
    let list = move || match team.invitations.get() {
        None => view! { <Skeleton rows=1 class="short" /> }.into_any(),
        Some(Err(failure)) => view! {
            <Failure what="The invitations could not be listed" failure retry=move |()| team.fetch_invitations() />
        }
        .into_any(),
        Some(Ok(open)) if open.is_empty() => view! { <p class="dim">"No open invitations."</p> }.into_any(),
        Some(Ok(open)) => {
            let lines = open.into_iter().rev().map(|invitation| view! { <InvitationLine invitation /> });
            view! { <ul class="tokens" aria-label="Open invitations">{lines.collect_view()}</ul> }.into_any()
        }
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="invitations-title">
            <h2 id="invitations-title">"Invitations"</h2>
            <p>
                "An invitation is a link that works once. The invited person opens it, chooses a name and a password, and is signed in."
            </p>
            <InviteForm created />
            {move || created.get().map(|invitation| view! { <InvitationLink invitation created /> })}
            {list}
        </section>
    }
}

#[component]
fn InvitationLine(invitation: InvitationView) -> impl IntoView {
    let team = expect_context::<Team>();
    let InvitationView { id, name, role, projects, created_by, created_ms, expires_ms } = invitation;
    let name = isolated(&name);
    let about = format!(
        "created {} by {}, expires {}",
        ago(created_ms as f64),
        isolated(&created_by),
        clock(expires_ms as f64)
    );
    let (title, label) = (format!("Revoke the invitation of {name}?"), format!("Revoke the invitation of {name}"));
    let revoke = move |_| {
        let act = team.confirm.keep(move || {
            spawn_local(async move {
                match people::revoke_invitation(id).await {
                    Ok(()) => team.toasts.say("The invitation was revoked"),
                    Err(failure) => team.toasts.fail("The invitation was not revoked", &failure),
                }
                team.fetch_invitations();
            });
        });
        let loses = "Its link stops working. Nobody loses access, and you can invite the person again.".to_owned();
        team.confirm.ask(Question { title: title.clone(), loses, verb: "Revoke", act });
    };
    view! {
        <li>
            <div class="grow">
                <p><strong>{name}</strong>" "<span class="dim">{format!("· {}", reach(role, &projects))}</span></p>
                <p class="small dim">{about}</p>
            </div>
            <button class="quiet" title="Revoke it, after confirmation" aria-label=label on:click=revoke>"Revoke"</button>
        </li>
    }
}
