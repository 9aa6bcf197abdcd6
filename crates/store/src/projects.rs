//! Projects: groups of runs, datasets and people, with limits.

use wire::access::project::DEFAULT_PROJECT;
use wire::access::{ProjectLimits, Role};

use crate::access::{check_admin, check_project};
use crate::clock::now_ms;
use crate::database::projects::ProjectRecord;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::shares::end_shares;
use crate::store::Store;

impl Store {
    /// All projects: `default` first, then by name.
    pub async fn projects(&self) -> Result<Vec<ProjectRecord>, StoreError> {
        database::projects::list(&mut *self.database().read().await?, None).await
    }

    /// A project.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`].
    pub async fn project(&self, name: &str) -> Result<ProjectRecord, StoreError> {
        let found = database::projects::list(&mut *self.database().read().await?, Some(name)).await?;
        found.into_iter().next().ok_or_else(|| unknown(name))
    }

    /// Creates a project.
    ///
    /// # Errors
    /// [`StoreError::ProjectExists`].
    pub async fn add_project(&self, name: &str, limits: &ProjectLimits) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::projects::insert(&mut transaction, name, limits, now_ms()).await? {
            return Err(StoreError::ProjectExists { project: name.to_owned() });
        }
        commit(transaction).await
    }

    /// Sets the limits of a project.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`].
    pub async fn set_project_limits(&self, name: &str, limits: &ProjectLimits) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::projects::set_limits(&mut transaction, name, limits).await? {
            return Err(unknown(name));
        }
        commit(transaction).await
    }

    /// Deletes a project and what gives access to it: a later project of the same name is another one. Its links end; invitations and
    /// tokens lose it, and an invitation that gives nothing else ends.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`]; [`StoreError::ProjectInUse`] while runs or datasets belong to it, and for `default`.
    pub async fn remove_project(&self, name: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        check_project(&mut transaction, name).await?;
        let (runs, datasets) = database::projects::contents(&mut transaction, name).await?;
        if name == DEFAULT_PROJECT || runs > 0 || datasets > 0 {
            return Err(StoreError::ProjectInUse { project: name.to_owned(), runs, datasets });
        }
        database::projects::remove(&mut transaction, name).await?;
        database::sweeps::remove_of_project(&mut transaction, name).await?;
        database::links::remove_of_project(&mut transaction, name).await?;
        database::invitations::remove_project(&mut transaction, name).await?;
        database::tokens::remove_project(&mut transaction, name).await?;
        database::conversations::remove_project(&mut transaction, name).await?;
        commit(transaction).await
    }

    /// Sets the role of a person in a project. What they have shared and may not share any more ends. `by` is the token of the sender,
    /// `None` for the server itself.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`], [`StoreError::UnknownPerson`], [`StoreError::RoleLost`].
    pub async fn set_member(&self, project: &str, person: i64, role: Role, by: Option<i64>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        check_admin(&mut transaction, by, Some(project)).await?;
        check_project(&mut transaction, project).await?;
        if !database::projects::set_member(&mut transaction, project, person, role).await? {
            return Err(StoreError::UnknownPerson { id: person });
        }
        end_shares(&mut transaction, person).await?;
        commit(transaction).await
    }

    /// Removes a person from a project. The links and invitations end that gave access to it by their role. `by` is the token of the
    /// sender, `None` for the server itself.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`]; [`StoreError::UnknownPerson`] for someone who is not in it; [`StoreError::RoleLost`].
    pub async fn remove_member(&self, project: &str, person: i64, by: Option<i64>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        check_admin(&mut transaction, by, Some(project)).await?;
        check_project(&mut transaction, project).await?;
        if !database::projects::remove_member(&mut transaction, project, person).await? {
            return Err(StoreError::UnknownPerson { id: person });
        }
        end_shares(&mut transaction, person).await?;
        commit(transaction).await
    }
}

fn unknown(name: &str) -> StoreError {
    StoreError::UnknownProject { project: name.to_owned() }
}
