//! One person: their roles, and how an admin renames them, changes their role in the lab, or removes them.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::Role;
use wire::access::person::{LabRole, PersonChange, PersonView};

use super::team::{Team, project_roles};
use crate::components::number::{ago, clock};
use crate::components::{Failure, Menu, Question, RoleSelect, isolated};
use crate::net::api::{ApiFailure, people};

/// What removing an account ends, and what it leaves.
const REMOVAL: &str = "Their password, the browsers in which they are signed in, their API tokens, share links and roles end at once. Their \
                       runs, datasets and entries in journals and in the audit log stay. They can be invited again. With OpenID Connect \
                       they cannot sign in until an admin lets their account in again, on this page.";
/// Why one's own role stays as it is.
const OWN_ROLE: &str =
    "You cannot change your own role or remove your own account, so that an admin remains. Another admin can.";

/// The row of one person; it updates by itself.
#[component]
pub(super) fn PersonRow(id: i64) -> impl IntoView {
    let team = expect_context::<Team>();
    let person = Memo::new(move |before: Option<&Option<PersonView>>| {
        let people = team.people.read();
        let found = people.iter().flatten().flatten().find(|person| person.id == id).cloned();
        found.or_else(|| before.cloned().flatten())
    });
    let cell = move |show: fn(&PersonView) -> AnyView| move || person.read().as_ref().map(show);
    let is_admin = Memo::new(move |_| team.session.is_admin());
    let renamed = RwSignal::new(None::<PersonView>);
    let actions = Actions { team, person };
    let is_you = Memo::new(move |_| person.read().as_ref().is_some_and(|person| person.is_you));
    let can_change = Memo::new(move |_| is_admin.get() && !is_you.get());
    let role = Signal::derive(move || person.read().as_ref().and_then(|person| person.role));
    // Of its own, so that no other change builds the controls anew.
    let label = Memo::new(move |_| person.read().as_ref().map(|person| isolated(&person.name)).unwrap_or_default());
    view! {
        <tr>
            <th scope="row">{cell(name)}</th>
            <td data-label="Role in the lab">
                {move || match can_change.get() {
                    true => view! {
                        <RoleSelect
                            name=format!("Role of {} in the lab", label.get())
                            title="What they may do in the whole lab; takes effect at once"
                            role
                            none="none"
                            choose=move |role| actions.change_role(role)
                        />
                    }.into_any(),
                    false => view! {
                        <span title=move || (is_admin.get() && is_you.get()).then_some(OWN_ROLE)>
                            {move || role.get().map_or("none", Role::name)}
                        </span>
                    }.into_any(),
                }}
            </td>
            <td data-label="Projects">{cell(projects)}</td>
            <td data-label="Sign-in" class="dim">{cell(sign_in)}</td>
            <td data-label="Last seen" class="dim">{cell(seen)}</td>
            <td class="c-actions">
                {move || is_admin.get().then(|| view! {
                    <Menu label=format!("Actions for {}", label.get())>
                        <button
                            title="Change the name of this person in journals and lists"
                            on:click=move |_| renamed.set(person.get_untracked())
                        >
                            "Rename …"
                        </button>
                        <button
                            class="danger"
                            title=if is_you.get() { OWN_ROLE } else { "Remove the account, after confirmation" }
                            disabled=is_you.get()
                            on:click=move |_| actions.ask_remove()
                        >
                            "Remove …"
                        </button>
                    </Menu>
                })}
                {move || renamed.get().map(|of| view! { <RenameDialog of renamed /> })}
            </td>
        </tr>
    }
}

fn name(person: &PersonView) -> AnyView {
    let email = person.email.clone().map(|email| view! { <span class="small dim">{isolated(&email)}</span> });
    view! {
        <span class="who">
            <strong>{isolated(&person.name)}</strong>
            {person.is_you.then_some(" (you)")}
        </span>
        {email}
    }
    .into_any()
}

fn projects(person: &PersonView) -> AnyView {
    match person.projects.is_empty() {
        true => view! { <span class="dim">"–"</span> }.into_any(),
        false => project_roles(&person.projects).into_any(),
    }
}

fn sign_in(person: &PersonView) -> AnyView {
    let ways = [(person.has_password, "password"), (person.has_provider, "OpenID Connect")];
    let known = ways.iter().any(|(has, _)| has.is_some());
    let ways: Vec<&str> = ways.into_iter().filter(|(has, _)| *has == Some(true)).map(|(_, way)| way).collect();
    // Only admins are sent the ways of others.
    let text = match (known, ways.is_empty()) {
        (false, _) => "–".to_owned(),
        (true, true) => "none".to_owned(),
        (true, false) => ways.join(", "),
    };
    text.into_any()
}

fn seen(person: &PersonView) -> AnyView {
    let created = person.created_ms.map(|at| format!("Account created {}", clock(at as f64)));
    // Only admins are sent when others were seen.
    let text = person.seen_ms.map_or_else(|| "–".to_owned(), |at| ago(at as f64));
    view! { <span title=created>{text}</span> }.into_any()
}

#[derive(Clone, Copy)]
struct Actions {
    team: Team,
    person: Memo<Option<PersonView>>,
}

impl Actions {
    fn change_role(self, role: Option<Role>) {
        let Some(person) = self.person.get_untracked() else { return };
        let change = PersonChange { name: None, role: Some(lab_role(role)) };
        let team = self.team;
        spawn_local(async move {
            match people::change(person.id, &change).await {
                Ok(changed) => {
                    let role = changed.role.map_or("none", Role::name);
                    team.toasts.say(format!("{} now has the role {role} in the lab", isolated(&changed.name)));
                }
                Err(failure) => team.toasts.fail("The role was not changed", &failure),
            }
            team.renew();
        });
    }

    fn ask_remove(self) {
        let Some(person) = self.person.get_untracked() else { return };
        let team = self.team;
        let title = format!("Remove {}?", isolated(&person.name));
        let act = team.confirm.keep(move || {
            let person = person.clone();
            spawn_local(async move {
                match people::remove(person.id).await {
                    Ok(()) => team.toasts.say(format!("{} was removed", isolated(&person.name))),
                    Err(failure) => team.toasts.fail("The account was not removed", &failure),
                }
                team.renew();
            });
        });
        team.confirm.ask(Question { title, loses: REMOVAL.to_owned(), verb: "Remove", act });
    }
}

/// The role in a change.
pub(super) fn lab_role(role: Option<Role>) -> LabRole {
    match role {
        Some(Role::View) => LabRole::View,
        Some(Role::Steer) => LabRole::Steer,
        Some(Role::Admin) => LabRole::Admin,
        Some(Role::Worker) | None => LabRole::None,
    }
}

/// The form for a new name.
#[component]
fn RenameDialog(of: PersonView, renamed: RwSignal<Option<PersonView>>) -> impl IntoView {
    let team = expect_context::<Team>();
    let dialog = NodeRef::<html::Dialog>::new();
    let name = RwSignal::new(of.name.clone());
    let failure = RwSignal::new(None::<ApiFailure>);
    Effect::new(move || {
        if let Some(dialog) = dialog.get().filter(|dialog| !dialog.open()) {
            // Fails only for a dialog that is already open or not in the document.
            let _ = dialog.show_modal();
        }
    });
    let title = format!("Rename {}", isolated(&of.name));
    let label = title.clone();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let change = PersonChange { name: Some(name.get_untracked().trim().to_owned()), role: None };
        spawn_local(async move {
            match people::change(of.id, &change).await {
                Ok(_) => {
                    team.renew();
                    renamed.try_set(None);
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
        });
    };
    view! {
        <dialog node_ref=dialog aria-label=label on:close=move |_| renamed.set(None)>
            <form class="stack" on:submit=submit>
                <h2>{title}</h2>
                <label class="field" title="1 to 80 characters. No two people have the same name.">
                    <span class="label">"Name"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        prop:value=name
                        on:input:target=move |event| name.set(event.target().value())
                    />
                    <span class="small dim">"Existing entries of journals and of the audit log keep the old name."</span>
                </label>
                {move || failure.get().map(|failure| view! { <Failure what="The person was not renamed" failure /> })}
                <div class="row end">
                    <button type="button" title="Close without saving" on:click=move |_| renamed.set(None)>"Cancel"</button>
                    <button class="primary" type="submit" title="Save the name" disabled=move || name.read().trim().is_empty()>
                        "Save"
                    </button>
                </div>
            </form>
        </dialog>
    }
}
