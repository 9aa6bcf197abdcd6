//! The People page: people with accounts ([`directory`], [`person`]), removed accounts ([`removed`]), invitations ([`invitations`],
//! [`invite`]) and projects ([`projects`], [`project`], [`members`], [`limits`]), which [`team`] fetches; the audit log ([`audit`]); and the
//! page of an [`invitation`] for the person who was invited.

mod audit;
mod directory;
mod invitation;
mod invitations;
mod invite;
mod limits;
mod members;
mod person;
mod project;
mod projects;
mod removed;
mod team;

use leptos::prelude::*;

use crate::base::at;
use crate::session::Session;
pub(crate) use audit::AuditPage;
use directory::Directory;
pub(crate) use invitation::InvitationPage;
use invitations::Invitations;
use projects::ProjectSection;
use removed::RemovedAccounts;
use team::Team;

#[component]
pub(crate) fn PeoplePage() -> impl IntoView {
    let session = expect_context::<Session>();
    let team = Team::start();
    provide_context(team);
    let (is_admin, can_invite) = (Memo::new(move |_| session.is_admin()), Memo::new(move |_| session.can_invite()));
    view! {
        <main class="page people stack roomy">
            <div class="row">
                <h1 class="grow">"People"</h1>
                <Show when=move || is_admin.get()>
                    <a class="button" href=at("/audit") title="Who changed what, when, and from where">"Audit log"</a>
                </Show>
            </div>
            <Directory />
            <Show when=move || is_admin.get()><RemovedAccounts /></Show>
            <Show when=move || can_invite.get()><Invitations /></Show>
            <ProjectSection />
        </main>
    }
}
