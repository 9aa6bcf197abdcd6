//! The form of a new invitation, and its link, which is shown once.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::person::{CreatedInvitation, LabRole, NewInvitation};
use wire::access::{Membership, Role};
use wire::hyperparameters::table::Values;

use super::person::lab_role;
use super::team::{Team, reach};
use crate::base::at;
use crate::components::number::clock;
use crate::components::{CopyButton, Failure, NumberField, RoleSelect, TypedNumber, isolated};
use crate::net::api::{ApiFailure, people};

/// Longest validity of an invitation, days.
const MAX_DAYS: u64 = 90;

/// The fields of the form.
#[derive(Clone, Copy)]
struct Draft {
    name: RwSignal<String>,
    role: RwSignal<Option<Role>>,
    projects: RwSignal<BTreeMap<String, Role>>,
    days: TypedNumber,
}

impl Draft {
    fn new(is_admin: bool) -> Self {
        Self {
            name: RwSignal::default(),
            // Only an admin of the lab can give a role in the whole lab.
            role: RwSignal::new(is_admin.then_some(Role::View)),
            projects: RwSignal::default(),
            days: TypedNumber::optional(Values::Integer { min: 1, max: MAX_DAYS }),
        }
    }

    /// Why the invitation cannot be created yet.
    fn obstacle(self) -> Option<&'static str> {
        if self.name.read().trim().is_empty() {
            Some("Enter a name first.")
        } else if self.role.read().is_none() && self.projects.read().is_empty() {
            Some("Choose a role in the lab or in a project first.")
        } else {
            (!self.days.is_readable()).then_some("Correct the number of days first.")
        }
    }

    fn invitation(self) -> NewInvitation {
        let member = |(project, role): (String, Role)| Membership { project, role };
        NewInvitation {
            name: self.name.get_untracked().trim().to_owned(),
            role: lab_role(self.role.get_untracked()),
            projects: self.projects.get_untracked().into_iter().map(member).collect(),
            days: untrack(|| self.days.small_integer()),
        }
    }

    fn set_role(self, project: &str, role: Option<Role>) {
        self.projects.update(|projects| match role {
            Some(role) => drop(projects.insert(project.to_owned(), role)),
            None => drop(projects.remove(project)),
        });
    }
}

#[component]
pub(super) fn InviteForm(created: RwSignal<Option<CreatedInvitation>>) -> impl IntoView {
    let team = expect_context::<Team>();
    let is_admin = Memo::new(move |_| team.session.is_admin());
    let draft = Draft::new(is_admin.get_untracked());
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || untrack(|| draft.obstacle()).is_some() {
            return;
        }
        let invitation = draft.invitation();
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match people::invite(&invitation).await {
                Ok(invitation) => {
                    created.try_set(Some(invitation));
                    draft.name.try_set(String::new());
                    team.fetch_invitations();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    let names = Memo::new(move |_| team.administered());
    view! {
        <form class="stack" on:submit=submit>
            <div class="invite-fields">
                <label class="field" title="Name of the invited person, 1 to 80 characters. They can change it when they accept.">
                    <span class="label">"Name"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        placeholder="ada"
                        prop:value=draft.name
                        on:input:target=move |event| draft.name.set(event.target().value())
                    />
                </label>
                <Show when=move || is_admin.get()>
                    <div class="field">
                        <span class="label">"Role in the lab"</span>
                        <RoleSelect
                            name="Role in the lab"
                            title="What they may do in the whole lab, all projects included"
                            role=draft.role
                            none="none"
                            choose=move |role| draft.role.set(role)
                        />
                    </div>
                </Show>
                <label class="field" title="Days until the link expires, 1 to 90. Default: 7">
                    <span class="label">"Expires after"<span class="unit">", days"</span></span>
                    <NumberField number=draft.days placeholder="7" />
                </label>
                <button
                    class="primary"
                    type="submit"
                    title=move || draft.obstacle().unwrap_or("Create the invitation; its link is shown once")
                    disabled=move || is_busy.get() || draft.obstacle().is_some()
                >
                    "Invite"
                </button>
            </div>
            {move || (!names.read().is_empty()).then(|| view! {
                <fieldset class="project-roles">
                    <legend class="small">"Roles in projects"</legend>
                    {names.get().into_iter().map(|name| view! { <ProjectRole name draft /> }).collect_view()}
                </fieldset>
            })}
            <p class="small dim">{move || meaning(lab_role(draft.role.get()), draft.projects.read().is_empty())}</p>
            {move || failure.get().map(|failure| view! { <Failure what="The invitation was not created" failure /> })}
        </form>
    }
}

#[component]
fn ProjectRole(name: String, draft: Draft) -> impl IntoView {
    let (label, title) = (name.clone(), format!("What they may do in the project {name}"));
    let project = StoredValue::new(name);
    let role = Signal::derive(move || draft.projects.read().get(&*project.read_value()).copied());
    view! {
        <div class="field">
            <span class="label">{label.clone()}</span>
            <RoleSelect
                name=format!("Role in the project {label}")
                title
                role
                none="none"
                choose=move |role| draft.set_role(&project.read_value(), role)
            />
        </div>
    }
}

/// What the chosen role in the lab permits.
fn meaning(role: LabRole, is_without_project: bool) -> &'static str {
    match role {
        LabRole::None if is_without_project => "Without a role in the lab or in a project, a person sees nothing.",
        LabRole::None => "They see only their projects: runs, datasets and people.",
        LabRole::View => {
            "View: they can read everything in the lab and change nothing, except as their projects permit."
        }
        LabRole::Steer => "Steer: they can read everything; start, control and delete runs; and import datasets.",
        LabRole::Admin => "Admin: they can do everything, including managing people, projects and tokens.",
    }
}

/// The link of an invitation that was just created; it is shown only once.
#[component]
pub(super) fn InvitationLink(
    invitation: CreatedInvitation,
    created: RwSignal<Option<CreatedInvitation>>,
) -> impl IntoView {
    let CreatedInvitation { invitation, text } = invitation;
    let origin = window().location().origin().unwrap_or_default();
    let link = format!("{origin}{}", at(&format!("/invite?token={text}")));
    let copied = link.clone();
    let has_role = invitation.role.is_some() || !invitation.projects.is_empty();
    let about = format!(
        " It gives {}{}, works once, and expires {}. It is not shown again.",
        if has_role { "the role " } else { "" },
        reach(invitation.role, &invitation.projects),
        clock(invitation.expires_ms as f64)
    );
    view! {
        <div class="fresh stack" role="status">
            <p><strong>{format!("Send this link to {}.", isolated(&invitation.name))}</strong>{about}</p>
            <pre class="command">{link}</pre>
            <div class="row end">
                <CopyButton text=move || copied.clone() title="Copy the link to the clipboard" done="The link was copied" />
                <button type="button" title="Hide it" on:click=move |_| created.set(None)>"Done"</button>
            </div>
        </div>
    }
}
