//! What the token of a request reaches. It is read from the database at each request, so that a changed role, a removed person and a
//! revoked link take effect at once.

use std::collections::BTreeMap;

use wire::access::link::LinkScope;
use wire::access::{Grants, Role, TokenKind};
use wire::{CorpusId, RunId};

use crate::clock::now_ms;
use crate::database::tokens::TokenRow;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What it reaches.
    pub grants: Grants,
    /// Time at which the grants become less, because the token or a link expires, ms since 1970.
    pub expires_ms: Option<i64>,
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
    /// [`StoreError::Database`] for a project that does not exist.
    pub async fn set_dataset_project(&self, corpus: &CorpusId, project: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
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

/// The sender that a token stands for; `None` where its person does not exist any more.
pub(crate) async fn identity_of(
    connection: &mut Connection,
    token: TokenRow,
    now_ms: i64,
) -> Result<Option<Identity>, StoreError> {
    let (mut name, mut grants) = (token.name, Grants::default());
    match (token.person, token.kind, token.role) {
        (Some(person), ..) => {
            let Some((person_name, role)) = database::access::person(connection, person).await? else {
                return Ok(None);
            };
            let projects = database::access::projects_of(connection, person).await?.into_iter().collect();
            (name, grants) = (person_name, Grants { lab: role, projects, ..Grants::default() });
        }
        (None, TokenKind::Guest, _) | (None, _, Role::Worker) => {}
        (None, _, role) => grants.lab = Some(role),
    }
    let mut grants = match token.role {
        Role::Worker => Grants::default(),
        most => grants.limited(most, token.projects.as_deref()),
    };
    let mut expires_ms = token.expires_ms;
    for link in database::access::links_of(connection, token.id, now_ms).await? {
        expires_ms = expires_ms.into_iter().chain(link.expires_ms).min();
        match link.scope {
            LinkScope::Runs(runs) => runs.into_iter().for_each(|run| grants.add_run(run, link.role)),
            LinkScope::Project(project) => grants.add_project(project, link.role),
        }
    }
    let TokenRow { id, role, kind, person, .. } = token;
    Ok(Some(Identity { token_id: id, name, role, kind, person, grants, expires_ms }))
}
