//! Projects: listed with what they have used, created, changed and deleted; their members. What their limits hold back is in
//! [`crate::lab::limits`].

use std::collections::HashMap;

use store::{Identity, PersonRecord, ProjectRecord, StoreError};
use wire::access::project::{NewProject, ProjectMember, ProjectUsage, ProjectView};
use wire::access::{ProjectLimits, Role};

use crate::auth::people::invitations::check_role;
use crate::auth::{forbidden, not_a_program};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::limits;
use crate::lab::name::PROJECT_CHARS;

/// The projects that the sender may see, `default` first. A share link shows nobody of their people.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Vec<ProjectView>, ApiError> {
    let seen = lab.store().own_grants(own.token_id).await?;
    let (people, disk) = (lab.store().people().await?, limits::disk_uses(lab).await?);
    let projects = lab.store().projects().await?.into_iter();
    let people_of = |project: &str| if seen.in_project(project).is_some() { people.as_slice() } else { &[] };
    Ok(projects.filter_map(|project| view(own, people_of(&project.name), project, &disk)).collect())
}

async fn get(lab: &Lab, own: &Identity, name: &str) -> Result<ProjectView, ApiError> {
    let (people, disk) = (lab.store().people().await?, limits::disk_uses(lab).await?);
    let found = view(own, &people, lab.store().project(name).await?, &disk);
    found.ok_or_else(|| forbidden(own, Role::View, Some(&format!("the project {name}"))))
}

fn view(
    own: &Identity,
    people: &[PersonRecord],
    project: ProjectRecord,
    disk: &HashMap<String, u64>,
) -> Option<ProjectView> {
    let role = own.grants.in_project(&project.name)?;
    let ProjectRecord { name, created_ms, limits, runs, training, elapsed_secs } = project;
    let (device_hours, disk_bytes) = (elapsed_secs / 3600.0, Some(disk.get(&name).copied().unwrap_or(0)));
    let people = people.iter().filter_map(|person| member(person, &name)).collect();
    let usage = ProjectUsage { runs, training, device_hours, disk_bytes };
    Some(ProjectView { name, created_ms, limits, usage, people, role })
}

fn member(person: &PersonRecord, project: &str) -> Option<ProjectMember> {
    let membership = person.projects.iter().find(|membership| membership.project == project)?;
    Some(ProjectMember { person: person.id, name: person.name.clone(), role: membership.role })
}

/// Creates a project.
///
/// # Errors
/// 422 for an invalid name or limit, 409 for a name that is taken; an error of the store.
pub async fn create(lab: &Lab, own: &Identity, new: NewProject) -> Result<ProjectView, ApiError> {
    let name = &new.name;
    let is_valid = (1..=PROJECT_CHARS).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_valid {
        let shown: String = name.chars().take(PROJECT_CHARS).collect();
        return Err(ApiError::invalid("name_invalid", format!("{shown:?} cannot name a project")).field("name").hint(
            format!("1 to {PROJECT_CHARS} lower-case letters, digits and dashes, beginning with a letter or digit"),
        ));
    }
    limits::check(&new.limits)?;
    lab.store().add_project(name, &new.limits).await?;
    get(lab, own, name).await
}

/// Sets the limits of a project.
///
/// # Errors
/// 404 for an unknown project, 422 for an invalid limit; an error of the store.
pub async fn set_limits(lab: &Lab, own: &Identity, name: &str, limits: ProjectLimits) -> Result<ProjectView, ApiError> {
    limits::check(&limits)?;
    lab.store().set_project_limits(name, &limits).await?;
    lab.feed.wake_queue();
    get(lab, own, name).await
}

/// Deletes a project without runs and datasets.
///
/// # Errors
/// 404 for an unknown project, 409 for one in use; an error of the store.
pub async fn remove(lab: &Lab, name: &str) -> Result<(), ApiError> {
    lab.store().remove_project(name).await?;
    lab.access_changed();
    Ok(())
}

/// Sets the role of a person in a project.
///
/// # Errors
/// 404 for an unknown project and for a person that does not exist or that the sender may not see, 409 for a person's token of a program,
/// 422 for a role that people do not have; an error of the store.
pub async fn set_member(
    lab: &Lab,
    own: &Identity,
    name: &str,
    person: i64,
    role: Role,
) -> Result<ProjectView, ApiError> {
    check_role(role)?;
    not_a_program(own)?;
    if !is_seen(lab, own, person).await? {
        return Err(StoreError::UnknownPerson { id: person }.into());
    }
    lab.store().set_member(name, person, role, Some(own.token_id)).await?;
    lab.access_changed();
    get(lab, own, name).await
}

/// Whether someone may see a person: by a role in the lab, or in a project of that person.
async fn is_seen(lab: &Lab, own: &Identity, person: i64) -> Result<bool, ApiError> {
    let grants = lab.store().own_grants(own.token_id).await?;
    if grants.lab.is_some() || own.person == Some(person) {
        return Ok(true);
    }
    let people = lab.store().people().await?;
    let found = people.into_iter().find(|one| one.id == person);
    let is_seen = |found: PersonRecord| found.projects.iter().any(|one| grants.in_project(&one.project).is_some());
    Ok(found.is_some_and(is_seen))
}

/// Removes a person from a project.
///
/// # Errors
/// 404 for somebody who is not in it; an error of the store.
pub async fn remove_member(lab: &Lab, own: &Identity, name: &str, person: i64) -> Result<(), ApiError> {
    lab.store().remove_member(name, person, Some(own.token_id)).await?;
    lab.access_changed();
    Ok(())
}
