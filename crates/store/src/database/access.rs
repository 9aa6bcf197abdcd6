//! SQL of what a token reaches: the person to whom it belongs, and their projects. The links of its browser are in [`super::links`].

use sqlx::SqliteConnection;
use wire::access::Role;

use super::json::from_word;
use crate::error::StoreError;

/// Name and role in the whole lab of a person.
pub(crate) async fn person(
    connection: &mut SqliteConnection,
    person: i64,
) -> Result<Option<(String, Option<Role>)>, StoreError> {
    let found: Option<(String, Option<String>)> =
        sqlx::query_as("SELECT name, role FROM people WHERE id = ?").bind(person).fetch_optional(connection).await?;
    let Some((name, role)) = found else { return Ok(None) };
    Ok(Some((name, role.map(|role| from_word("a person's role", &role)).transpose()?)))
}

/// The projects of a person, with their role in each, by name.
pub(crate) async fn projects_of(
    connection: &mut SqliteConnection,
    person: i64,
) -> Result<Vec<(String, Role)>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT project, role FROM members WHERE person = ? ORDER BY project")
            .bind(person)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(project, role)| Ok((project, from_word("a member's role", &role)?))).collect()
}

/// The project of a run, deleted or not.
pub(crate) async fn project_of_run(connection: &mut SqliteConnection, run: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT project FROM runs WHERE id = ?").bind(run).fetch_optional(connection).await?)
}

/// The datasets that only one project may use, with that project.
pub(crate) async fn dataset_projects(connection: &mut SqliteConnection) -> Result<Vec<(String, String)>, StoreError> {
    Ok(sqlx::query_as("SELECT corpus, project FROM dataset_projects").fetch_all(connection).await?)
}

/// Limits a dataset to a project; `None` for all.
pub(crate) async fn set_dataset_project(
    connection: &mut SqliteConnection,
    corpus: &str,
    project: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM dataset_projects WHERE corpus = ?").bind(corpus).execute(&mut *connection).await?;
    if let Some(project) = project {
        sqlx::query("INSERT INTO dataset_projects (corpus, project) VALUES (?, ?)")
            .bind(corpus)
            .bind(project)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Whether a project exists.
pub(crate) async fn has_project(connection: &mut SqliteConnection, project: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM projects WHERE name = ?)";
    Ok(sqlx::query_scalar(sql).bind(project).fetch_one(connection).await?)
}

/// Whether the lab has a person, or a project besides `default`.
pub(crate) async fn is_shared(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM people) OR (SELECT COUNT(*) FROM projects) > 1";
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}
