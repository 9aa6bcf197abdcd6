//! The people of a project and their roles in it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::Role;
use wire::access::project::{ProjectMember, ProjectView};

use super::team::Team;
use crate::components::{Icon, Question, RoleSelect, isolated};
use crate::net::api;

/// The members; for admins of the project with controls.
#[component]
pub(super) fn Members(project: Memo<Option<ProjectView>>) -> impl IntoView {
    let people = Memo::new(move |_| project.read().as_ref().map(|project| project.people.clone()).unwrap_or_default());
    let can_change =
        Memo::new(move |_| project.read().as_ref().is_some_and(|project| project.role.includes(Role::Admin)));
    let name =
        project.with_untracked(|project| project.as_ref().map(|project| project.name.clone()).unwrap_or_default());
    let project = StoredValue::new(name);
    view! {
        <div class="stack members">
            <h4>"People of the project"</h4>
            {move || people.read().is_empty().then(|| view! {
                <p class="small dim">"Nobody has a role that is limited to this project. Roles in the lab hold here too."</p>
            })}
            <ul>
                <For each=move || people.get() key=|member| (member.person, member.role, member.name.clone()) let(member)>
                    <MemberLine member project can_change />
                </For>
            </ul>
            <Show when=move || can_change.get()><AddMember people project /></Show>
        </div>
    }
}

#[component]
fn MemberLine(member: ProjectMember, project: StoredValue<String>, can_change: Memo<bool>) -> impl IntoView {
    let team = expect_context::<Team>();
    let ProjectMember { person, name, role } = member;
    let name = StoredValue::new(isolated(&name));
    let choose = move |role: Option<Role>| {
        if let Some(role) = role {
            set_role(team, project.get_value(), person, role);
        }
    };
    view! {
        <li class="row nowrap">
            <span class="grow">{name.get_value()}</span>
            <Show
                when=move || can_change.get()
                fallback=move || view! { <span class="dim">{role.name()}</span> }
            >
                <RoleSelect
                    name=format!("Role of {} in {}", name.read_value(), project.read_value())
                    title="What they may do in this project; takes effect at once"
                    role=Some(role)
                    choose=choose
                />
                <button
                    class="quiet icon-only"
                    aria-label=format!("Remove {} from {}", name.read_value(), project.read_value())
                    title="Remove them from this project, after confirmation"
                    on:click=move |_| ask_remove(team, project.get_value(), person, &name.read_value())
                >
                    <Icon name="close" />
                </button>
            </Show>
        </li>
    }
}

fn set_role(team: Team, project: String, person: i64, role: Role) {
    spawn_local(async move {
        match api::projects::set_member(&project, person, role).await {
            Ok(()) => team.toasts.say(format!("The role in {project} is now {}", role.name())),
            Err(failure) => team.toasts.fail("The role was not changed", &failure),
        }
        team.renew();
    });
}

fn ask_remove(team: Team, project: String, person: i64, name: &str) {
    let title = format!("Remove {name} from the project {project}?");
    let done = format!("{name} was removed from {project}");
    let act = team.confirm.keep(move || {
        let (project, done) = (project.clone(), done.clone());
        spawn_local(async move {
            match api::projects::remove_member(&project, person).await {
                Ok(()) => team.toasts.say(done),
                Err(failure) => team.toasts.fail("The person was not removed", &failure),
            }
            team.renew();
        });
    });
    let loses = "They lose access to its runs and datasets, unless they have a role in the lab. Their account and their runs stay. You can add them \
                 again.";
    team.confirm.ask(Question { title, loses: loses.to_owned(), verb: "Remove", act });
}

/// Adds someone who has an account and no role in the project.
#[component]
fn AddMember(people: Memo<Vec<ProjectMember>>, project: StoredValue<String>) -> impl IntoView {
    let team = expect_context::<Team>();
    let others = Memo::new(move |_| {
        let (known, members) = (team.people.read(), people.read());
        let known = known.iter().flatten().flatten();
        let others = known.filter(|person| members.iter().all(|member| member.person != person.id));
        others.map(|person| (person.id, person.name.clone())).collect::<Vec<_>>()
    });
    let (person, role) = (RwSignal::new(None::<i64>), RwSignal::new(Some(Role::Steer)));
    let is_complete = move || person.get().is_some_and(|person| others.read().iter().any(|(id, _)| *id == person));
    let add = move |_| {
        if let (Some(person), Some(role)) = (person.get_untracked(), role.get_untracked()) {
            set_role(team, project.get_value(), person, role);
        }
    };
    view! {
        <Show
            when=move || !others.read().is_empty()
            fallback=|| view! { <p class="small dim">"There is nobody else that you can add here. Others need an invitation first."</p> }
        >
            <div class="row">
                <select
                    class="grow"
                    aria-label=format!("Person to add to {}", project.read_value())
                    title="Someone with an account. Others need an invitation."
                    on:change:target=move |event| person.set(event.target().value().parse().ok())
                >
                    <option value="">"Add a person …"</option>
                    {move || others.get().into_iter().map(|(id, name)| view! {
                        <option value=id.to_string() prop:selected=move || person.get() == Some(id)>{isolated(&name)}</option>
                    }).collect_view()}
                </select>
                <RoleSelect
                    name=format!("Role of the person to add to {}", project.read_value())
                    title="What they may do in this project"
                    role
                    choose=move |chosen| role.set(chosen)
                />
                <button
                    title=move || if is_complete() { "Give them this role in the project" } else { "Choose a person first." }
                    disabled=move || !is_complete()
                    on:click=add
                >
                    "Add"
                </button>
            </div>
        </Show>
    }
}
