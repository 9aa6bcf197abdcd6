//! SQL of projects and their members.

use sqlx::SqliteConnection;
use wire::access::{ProjectLimits, Role};

use super::json::{from_json, to_json, to_word};
use crate::error::StoreError;

/// A project and what its runs have used.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectRecord {
    pub name: String,
    /// Creation time, ms since 1970; 0 for `default`.
    pub created_ms: i64,
    pub limits: ProjectLimits,
    /// Runs that are not deleted.
    pub runs: u64,
    /// Of these, those that a worker has loaded.
    pub training: u32,
    /// Training time of all its runs, deleted ones included, seconds.
    pub elapsed_secs: f64,
}

/// Projects: `default` first, then by name; `only` selects one.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    only: Option<&str>,
) -> Result<Vec<ProjectRecord>, StoreError> {
    let sql = "SELECT name, projects.created_ms, limits, \
               (SELECT COUNT(*) FROM runs WHERE runs.project = projects.name AND deleted_ms IS NULL), \
               (SELECT COUNT(*) FROM runs WHERE runs.project = projects.name AND deleted_ms IS NULL \
                AND state IN ('starting', 'running', 'paused')), \
               (SELECT TOTAL(progress ->> '$.elapsed_secs') FROM runs WHERE runs.project = projects.name) \
               FROM projects WHERE ?1 IS NULL OR name = ?1 ORDER BY name <> 'default', name";
    let rows: Vec<(String, i64, String, i64, i64, f64)> = sqlx::query_as(sql).bind(only).fetch_all(connection).await?;
    let record = |(name, created_ms, limits, runs, training, elapsed_secs): (String, i64, String, i64, i64, f64)| {
        let limits = from_json("the limits of a project", &limits)?;
        Ok(ProjectRecord { name, created_ms, limits, runs: runs as u64, training: training as u32, elapsed_secs })
    };
    rows.into_iter().map(record).collect()
}

/// Creates a project. Returns whether its name was free.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    name: &str,
    limits: &ProjectLimits,
    created_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO projects (name, limits, created_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING";
    let done = sqlx::query(sql).bind(name).bind(to_json(limits)?).bind(created_ms).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the limits of a project. Returns whether it exists.
pub(crate) async fn set_limits(
    connection: &mut SqliteConnection,
    name: &str,
    limits: &ProjectLimits,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE projects SET limits = ? WHERE name = ?").bind(to_json(limits)?).bind(name);
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Numbers of the runs, deleted ones included, and of the datasets of a project.
pub(crate) async fn contents(connection: &mut SqliteConnection, name: &str) -> Result<(u32, u32), StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM runs WHERE project = ?1), (SELECT COUNT(*) FROM dataset_projects WHERE project = ?1)";
    let (runs, datasets): (i64, i64) = sqlx::query_as(sql).bind(name).fetch_one(connection).await?;
    Ok((runs as u32, datasets as u32))
}

/// Deletes a project with its memberships.
pub(crate) async fn remove(connection: &mut SqliteConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM projects WHERE name = ?").bind(name).execute(connection).await?;
    Ok(())
}

/// Sets the role of a person in a project. Returns whether both exist.
pub(crate) async fn set_member(
    connection: &mut SqliteConnection,
    project: &str,
    person: i64,
    role: Role,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO members (project, person, role) SELECT projects.name, people.id, ?3 FROM projects, people \
               WHERE projects.name = ?1 AND people.id = ?2 ON CONFLICT (project, person) DO UPDATE SET role = excluded.role";
    let done = sqlx::query(sql).bind(project).bind(person).bind(to_word(&role)?).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a person from a project. Returns whether they were in it.
pub(crate) async fn remove_member(
    connection: &mut SqliteConnection,
    project: &str,
    person: i64,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM members WHERE project = ? AND person = ?";
    Ok(sqlx::query(sql).bind(project).bind(person).execute(connection).await?.rows_affected() == 1)
}
