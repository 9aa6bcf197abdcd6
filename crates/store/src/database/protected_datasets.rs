//! SQL of the datasets whose text no provider of a model gets.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use crate::error::StoreError;

pub(crate) async fn list(connection: &mut SqliteConnection) -> Result<BTreeSet<String>, StoreError> {
    let rows: Vec<String> = sqlx::query_scalar("SELECT dataset FROM protected_datasets").fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

pub(crate) async fn insert(connection: &mut SqliteConnection, dataset: &str) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO protected_datasets (dataset) VALUES (?)";
    sqlx::query(sql).bind(dataset).execute(connection).await?;
    Ok(())
}

pub(crate) async fn remove(connection: &mut SqliteConnection, dataset: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM protected_datasets WHERE dataset = ?").bind(dataset).execute(connection).await?;
    Ok(())
}
