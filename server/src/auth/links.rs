//! Share links: created, listed and revoked. A link shares what its creator may steer by themselves, never what another link has opened for
//! them.

use store::{Identity, LinkRecord, NewLinkRecord, StoreError};
use wire::RunId;
use wire::access::address::{self, Shown};
use wire::access::embed::EmbedView;
use wire::access::link::{CreatedLink, LinkScope, LinkView, MAX_LINK_RUNS, NewLink};
use wire::access::{Role, TokenKind};

use super::{project, run};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

const HOUR_MS: i64 = 3600 * 1000;
/// Maximum validity, hours.
const MAX_HOURS: u32 = 8_760;
/// Length of a passphrase, characters.
const PASSPHRASE: std::ops::RangeInclusive<usize> = 4..=200;

/// The links that someone may revoke, oldest first: their own, and as an admin of the lab or of a project all of that.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Vec<LinkView>, ApiError> {
    let mut listed = vec![];
    for link in lab.store().links().await? {
        if may_revoke(lab, own, &link).await? {
            listed.push(view(lab, link));
        }
    }
    Ok(listed)
}

/// Creates a link. That of a token of a program ends with the token.
///
/// # Errors
/// 404 and 403 for what the creator may not see or not steer, 422 for an invalid value, 409 if there are too many links; an error of the
/// store.
pub async fn create(lab: &Lab, own: &Identity, new: NewLink) -> Result<CreatedLink, ApiError> {
    check_values(&new)?;
    // What another link has opened for this browser is not shared further.
    let own = Identity { grants: lab.store().own_grants(own.token_id).await?, ..own.clone() };
    check_scope(lab, &own, &new.scope).await?;
    check_path(lab, &new).await?;
    let passphrase = match new.passphrase {
        Some(text) => Some(lab.passwords.hash(text).await?),
        None => None,
    };
    let creator = own.creator();
    let until_ms = new.hours.map(|hours| now_ms() + i64::from(hours) * HOUR_MS);
    let record = NewLinkRecord {
        scope: new.scope,
        path: new.path,
        role: new.role,
        is_embed: new.is_embed,
        passphrase,
        created_by: creator.name.to_owned(),
        person: creator.person,
        token: creator.token,
        // The link of a program's token ends with it.
        expires_ms: until_ms.into_iter().chain(creator.token.and(own.expires_ms)).min(),
    };
    let (text, link) = lab.store().add_link(record).await?;
    tracing::info!("{} created share link {}", own.name, link.id);
    Ok(CreatedLink { link: view(lab, link), text })
}

/// Revokes a link, at once also for those who have opened it.
///
/// # Errors
/// 404 for an unknown link and one of someone else; an error of the store.
pub async fn revoke(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    let unknown = || {
        ApiError::not_found(format!("unknown link {id}")).hint("GET /api/v1/links lists the links that you may revoke")
    };
    let link = lab.store().links().await?.into_iter().find(|link| link.id == id).ok_or_else(unknown)?;
    if !may_revoke(lab, own, &link).await? || !lab.revoke_link(id).await? {
        return Err(unknown());
    }
    tracing::info!("{} revoked share link {id} of {}", own.name, link.created_by);
    Ok(())
}

fn view(lab: &Lab, link: LinkRecord) -> LinkView {
    let LinkRecord {
        id,
        scope,
        path,
        role,
        is_embed,
        passphrase,
        created_by,
        created_ms,
        expires_ms,
        opened,
        opened_ms,
        ..
    } = link;
    let has_passphrase = passphrase.is_some();
    let opened = opened + lab.openings.waiting(id);
    LinkView { id, scope, path, role, is_embed, has_passphrase, created_by, created_ms, expires_ms, opened, opened_ms }
}

/// Whether someone created a link, or administers all that it shares.
async fn may_revoke(lab: &Lab, own: &Identity, link: &LinkRecord) -> Result<bool, ApiError> {
    let is_creator = match (link.person, own.person) {
        // A token of a program may be limited, and sees only its own links.
        (Some(creator), Some(person)) => {
            person == creator && (own.kind == TokenKind::Session || link.token == Some(own.token_id))
        }
        (Some(_), None) => false,
        (None, None) => own.kind != TokenKind::Guest && link.created_by == own.name,
        (None, Some(_)) => false,
    };
    let administers = |project: &str| own.grants.in_project(project).is_some_and(|role| role.includes(Role::Admin));
    if is_creator || own.grants.has_lab(Role::Admin) {
        return Ok(true);
    }
    match &link.scope {
        LinkScope::Project(project) => Ok(administers(project)),
        LinkScope::Runs(runs) => {
            for run in runs {
                let project = lab.store().project_of_run(run).await?;
                if !project.is_some_and(|project| administers(&project)) {
                    return Ok(false);
                }
            }
            Ok(!runs.is_empty())
        }
    }
}

fn check_values(new: &NewLink) -> Result<(), ApiError> {
    let invalid = |field: &str, message: String| ApiError::invalid("value_invalid", message).field(field);
    if !matches!(new.role, Role::View | Role::Steer) || new.is_embed && new.role != Role::View {
        let roles = if new.is_embed { "an embed has the role view" } else { "a link has the role view or steer" };
        return Err(invalid("role", format!("the role is {}; {roles}", new.role.name())));
    }
    if let Some(hours) = new.hours.filter(|hours| !(1..=MAX_HOURS).contains(hours)) {
        return Err(invalid("hours", format!("the validity must be 1 to {MAX_HOURS} hours; got {hours}")));
    }
    match &new.passphrase {
        Some(_) if new.is_embed => {
            return Err(invalid("passphrase", "an embed has no passphrase: nobody could enter it".to_owned()));
        }
        Some(text) if !PASSPHRASE.contains(&text.chars().count()) => {
            let (least, most) = (PASSPHRASE.start(), PASSPHRASE.end());
            return Err(invalid("passphrase", format!("the passphrase must have {least} to {most} characters")));
        }
        _ => {}
    }
    match &new.scope {
        LinkScope::Runs(runs) if runs.is_empty() || runs.len() > MAX_LINK_RUNS => {
            Err(invalid("scope", format!("a link shares 1 to {MAX_LINK_RUNS} runs; got {}", runs.len())))
        }
        _ => address::check(&new.path).map_err(ApiError::invalid_value),
    }
}

/// Checks that the creator may steer all that the link shares.
async fn check_scope(lab: &Lab, own: &Identity, scope: &LinkScope) -> Result<(), ApiError> {
    match scope {
        LinkScope::Project(name) => {
            project::check(own, name, Role::Steer)?;
            project_exists(lab, name).await
        }
        LinkScope::Runs(runs) => {
            for id in runs {
                run::check(lab, own, id, Role::Steer).await?;
                lab.feed.summary(id).await?;
            }
            Ok(())
        }
    }
}

/// Someone who may steer the whole lab may steer projects that do not exist.
async fn project_exists(lab: &Lab, name: &str) -> Result<(), ApiError> {
    let projects = lab.store().projects().await?;
    match projects.iter().any(|project| project.name == name) {
        true => Ok(()),
        false => Err(StoreError::UnknownProject { project: name.to_owned() }.into()),
    }
}

/// Checks that the page that the link opens shows nothing beyond what it shares.
async fn check_path(lab: &Lab, new: &NewLink) -> Result<(), ApiError> {
    let shown = Shown::of(&new.path);
    let is_within = match (&shown, &new.scope) {
        (Shown::Runs(runs), scope) => has_runs(lab, scope, runs).await?,
        (Shown::Project(project), LinkScope::Project(shared)) => project == shared,
        (Shown::Overview, LinkScope::Project(_)) => true,
        _ => false,
    };
    if !is_within {
        let message = format!("{} shows more than the link shares", new.path);
        return Err(ApiError::invalid("value_invalid", message)
            .field("path")
            .hint("give a page of the shared runs, or of the shared project"));
    }
    if new.is_embed {
        let view = EmbedView::of(&new.path).map_err(ApiError::invalid_value)?;
        return match has_runs(lab, &new.scope, view.runs()).await? {
            true => Ok(()),
            false => {
                Err(ApiError::invalid("value_invalid", "the embed shows runs that the link does not share")
                    .field("path"))
            }
        };
    }
    Ok(())
}

async fn has_runs(lab: &Lab, scope: &LinkScope, runs: &[RunId]) -> Result<bool, ApiError> {
    for run in runs {
        let is_shared = match scope {
            LinkScope::Runs(shared) => shared.contains(run),
            LinkScope::Project(shared) => {
                lab.store().project_of_run(run).await?.is_some_and(|project| project == *shared)
            }
        };
        if !is_shared {
            return Ok(false);
        }
    }
    Ok(true)
}
