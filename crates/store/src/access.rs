//! What the token of a request reaches. It is read from the database at each request, so that a changed role, a removed person and a
//! revoked link take effect at once.

use std::collections::BTreeMap;

use wire::access::link::{LinkScope, MAX_LINK_RUNS};
use wire::access::{AgentLimits, Grants, Role, TokenKind};
use wire::{CorpusId, RunId};

use crate::clock::now_ms;
use crate::database::links::LinkRecord;
use crate::database::tokens::TokenRow;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;

/// The sender of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Id of the token, to revoke it.
    pub token_id: i64,
    /// Name of the person, else of the token; the author of their commands.
    pub name: String,
    /// Role of the token: the most that may be done with it.
    pub role: Role,
    /// Purpose of the token.
    pub kind: TokenKind,
    /// The person to whom the token belongs.
    pub person: Option<i64>,
    pub grants: Grants,
    /// Time at which the grants become less, because the token or a link expires, ms since 1970.
    pub expires_ms: Option<i64>,
    /// Whether an agent sends the request: with a token that has limits, or over MCP. The store sets it for the former.
    pub is_agent: bool,
    /// Those of an agent's token.
    pub limits: Option<Box<AgentLimits>>,
    /// The agent as the author of events, with program, model and conversation. The store does not set it.
    pub author_name: Option<String>,
}

impl Identity {
    /// The sender as the creator of a link or an invitation.
    pub fn creator(&self) -> Creator<'_> {
        let token = (self.kind == TokenKind::Api).then_some(self.token_id);
        Creator { name: &self.name, person: self.person, token }
    }
}

/// Who creates a link or an invitation. It ends with its creator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creator<'a> {
    pub name: &'a str,
    /// `None` for a token of the lab.
    pub person: Option<i64>,
    /// The token of a program; `None` for a browser.
    pub token: Option<i64>,
}

impl Store {
    /// What a token of this id reaches now; `None` if it was revoked or has expired, and for sign-in tokens.
    pub async fn identity(&self, token_id: i64) -> Result<Option<Identity>, StoreError> {
        let mut connection = self.database().read().await?;
        let now_ms = now_ms();
        match database::tokens::get(&mut connection, token_id, now_ms).await? {
            Some(token) if token.kind != TokenKind::SignIn => identity_of(&mut connection, token, now_ms).await,
            _ => Ok(None),
        }
    }

    /// What a token itself reaches, without the share links that its browser has opened: only that may be shared further.
    pub async fn own_grants(&self, token_id: i64) -> Result<Grants, StoreError> {
        token_grants(&mut *self.database().read().await?, token_id).await
    }

    /// The project of a run, deleted or not; `None` for an unknown run.
    pub async fn project_of_run(&self, run: &RunId) -> Result<Option<String>, StoreError> {
        database::access::project_of_run(&mut *self.database().read().await?, run.as_str()).await
    }

    /// The datasets that only one project may use, with that project.
    pub async fn dataset_projects(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = database::access::dataset_projects(&mut *self.database().read().await?).await?;
        Ok(rows.into_iter().collect())
    }

    /// Limits a dataset to a project; `None` for all.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`].
    pub async fn set_dataset_project(&self, corpus: &CorpusId, project: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if let Some(project) = project {
            check_project(&mut transaction, project).await?;
        }
        database::access::set_dataset_project(&mut transaction, corpus.as_str(), project).await?;
        commit(transaction).await
    }

    /// Whether a project exists.
    pub async fn has_project(&self, project: &str) -> Result<bool, StoreError> {
        database::access::has_project(&mut *self.database().read().await?, project).await
    }

    /// Whether the lab has people with accounts, or more than one project.
    pub async fn is_shared(&self) -> Result<bool, StoreError> {
        database::access::is_shared(&mut *self.database().read().await?).await
    }
}

/// Checks in the transaction that adds something to a project that it exists, so that nothing is left in one that is deleted meanwhile.
///
/// # Errors
/// [`StoreError::UnknownProject`].
pub(crate) async fn check_project(connection: &mut Connection, project: &str) -> Result<(), StoreError> {
    match database::access::has_project(connection, project).await? {
        true => Ok(()),
        false => Err(StoreError::UnknownProject { project: project.to_owned() }),
    }
}

/// Checks in the transaction that changes rights that its sender still administers the lab, or a project: of two admins who take each
/// other's role at the same time, the first one keeps it. `by` is the token of the sender, `None` for the server itself.
///
/// # Errors
/// [`StoreError::RoleLost`].
pub(crate) async fn check_admin(
    connection: &mut Connection,
    by: Option<i64>,
    project: Option<&str>,
) -> Result<(), StoreError> {
    let Some(by) = by else { return Ok(()) };
    let grants = token_grants(connection, by).await?;
    let role = project.map_or(grants.lab, |project| grants.in_project(project));
    if role.is_some_and(|role| role.includes(Role::Admin)) { Ok(()) } else { Err(StoreError::RoleLost) }
}

/// The sender that a token stands for; `None` where its person does not exist any more, and for a guest whose links have all ended.
pub(crate) async fn identity_of(
    connection: &mut Connection,
    token: TokenRow,
    now_ms: i64,
) -> Result<Option<Identity>, StoreError> {
    let Some(mut identity) = own_identity(connection, token).await? else { return Ok(None) };
    let links = database::links::of_session(connection, identity.token_id, now_ms).await?;
    if links.is_empty() && identity.kind == TokenKind::Guest {
        return Ok(None);
    }
    for link in links {
        identity.expires_ms = identity.expires_ms.into_iter().chain(link.expires_ms).min();
        let Grants { projects, runs, .. } = grants_of(connection, &link).await?;
        projects.into_iter().for_each(|(project, role)| identity.grants.add_project(project, role));
        runs.into_iter().for_each(|(run, role)| identity.grants.add_run(run, role));
    }
    Ok(Some(identity))
}

/// The sender that a token stands for, without what the links add that its browser has opened.
async fn own_identity(connection: &mut Connection, token: TokenRow) -> Result<Option<Identity>, StoreError> {
    let TokenRow { id, mut name, role, kind, expires_ms, person, projects, limits } = token;
    let mut grants = Grants::default();
    match (person, kind, role) {
        (Some(person), ..) => {
            let Some(found) = person_grants(connection, person).await? else { return Ok(None) };
            grants = found.1;
            // An agent acts in its own name.
            name = if limits.is_some() { name } else { found.0 };
        }
        (None, TokenKind::Guest, _) | (None, _, Role::Worker) => {}
        (None, _, role) => grants.lab = Some(role),
    }
    let most = match &limits {
        Some(limits) if role.includes(limits.mode.highest_role()) => limits.mode.highest_role(),
        _ => role,
    };
    let grants = match role {
        Role::Worker => Grants::default(),
        _ => grants.limited(most, projects.as_deref()),
    };
    let (is_agent, limits) = (limits.is_some(), limits.map(Box::new));
    let (token_id, author_name) = (id, None);
    Ok(Some(Identity { token_id, name, role: most, kind, person, grants, expires_ms, is_agent, limits, author_name }))
}

/// What a link gives access to: its role, at most that of its creator; nothing in a project that does not exist.
pub(crate) async fn grants_of(connection: &mut Connection, link: &LinkRecord) -> Result<Grants, StoreError> {
    let creator = creator_grants(connection, link.person, link.token, link.role).await?;
    let at_most = |role: Role| if role.includes(link.role) { link.role } else { role };
    let mut grants = Grants::default();
    match &link.scope {
        LinkScope::Project(project) => {
            if let Some(role) = creator.in_project(project)
                && database::access::has_project(connection, project).await?
            {
                grants.add_project(project.clone(), at_most(role));
            }
        }
        LinkScope::Runs(runs) => {
            for run in runs.iter().take(MAX_LINK_RUNS) {
                if let Some(role) = role_on_run(connection, &creator, run).await? {
                    grants.add_run(run.clone(), at_most(role));
                }
            }
        }
    }
    Ok(grants)
}

/// What the creator of a link or an invitation reaches now: the token of the program with which they created it, or else the person. What a
/// browser without a person has created is the lab's own, and has the role `of_lab`.
pub(crate) async fn creator_grants(
    connection: &mut Connection,
    person: Option<i64>,
    token: Option<i64>,
    of_lab: Role,
) -> Result<Grants, StoreError> {
    match (token, person) {
        (Some(token), _) => token_grants(connection, token).await,
        (None, Some(person)) => {
            Ok(person_grants(connection, person).await?.map(|(_, found)| found).unwrap_or_default())
        }
        (None, None) => Ok(Grants::of_lab(of_lab)),
    }
}

/// What a token reaches by itself; nothing if it has ended.
async fn token_grants(connection: &mut Connection, token: i64) -> Result<Grants, StoreError> {
    let identity = match database::tokens::get(connection, token, now_ms()).await? {
        Some(token) => own_identity(connection, token).await?,
        None => None,
    };
    Ok(identity.map(|identity| identity.grants).unwrap_or_default())
}

/// The name of a person, and what they reach; `None` for one who does not exist.
pub(crate) async fn person_grants(
    connection: &mut Connection,
    person: i64,
) -> Result<Option<(String, Grants)>, StoreError> {
    let Some((name, lab)) = database::access::person(connection, person).await? else { return Ok(None) };
    let projects = database::access::projects_of(connection, person).await?.into_iter().collect();
    Ok(Some((name, Grants { lab, projects, ..Grants::default() })))
}

async fn role_on_run(connection: &mut Connection, grants: &Grants, run: &RunId) -> Result<Option<Role>, StoreError> {
    if grants.lab.is_some() && grants.projects.is_empty() {
        return Ok(grants.lab);
    }
    let project = database::access::project_of_run(connection, run.as_str()).await?;
    Ok(project.and_then(|project| grants.on_run(run, &project)))
}
