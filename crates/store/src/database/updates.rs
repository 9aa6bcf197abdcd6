//! SQL of the newest updates of inspections and statistics.

use sqlx::SqliteConnection;
use wire::RunId;
use wire::inspect::update::InspectionUpdate;

use crate::error::StoreError;

/// Stores an update in place of the previous one of its kind.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    run: &RunId,
    update: &InspectionUpdate,
) -> Result<(), StoreError> {
    let bytes = wire::encode::to_bytes(update).map_err(|source| StoreError::unreadable("an update", source))?;
    let sql = "INSERT INTO updates (run, kind, content) VALUES (?, ?, ?) \
               ON CONFLICT (run, kind) DO UPDATE SET content = excluded.content";
    sqlx::query(sql).bind(run.as_str()).bind(update.key()).bind(bytes).execute(connection).await?;
    Ok(())
}

/// The newest updates of a run: of one kind, or one of each.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    run: &RunId,
    kind: Option<&str>,
) -> Result<Vec<InspectionUpdate>, StoreError> {
    let sql = "SELECT content FROM updates WHERE run = ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY kind";
    let blobs: Vec<Vec<u8>> = sqlx::query_scalar(sql).bind(run.as_str()).bind(kind).fetch_all(connection).await?;
    blobs
        .iter()
        .map(|bytes| wire::encode::from_bytes(bytes).map_err(|source| StoreError::unreadable("an update", source)))
        .collect()
}
