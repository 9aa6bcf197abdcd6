//! The only module that speaks SQL: SQLite in WAL mode, one writer, a few readers. Another database would change this module
//! and its children only. What is asked is in [`runs`], [`queue`], [`journal`], [`kept`], [`checkpoints`], [`unsynced`] and [`tokens`]; nothing
//! here decides anything.

pub(crate) mod checkpoints;
pub(crate) mod journal;
pub(crate) mod kept;
pub(crate) mod queue;
pub(crate) mod runs;
pub(crate) mod tokens;
pub(crate) mod unsynced;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Sqlite, SqliteConnection, Transaction};

use crate::error::StoreError;

/// Formats of the folder, oldest first; the database's `user_version` counts those applied.
const MIGRATIONS: [&str; 3] =
    [include_str!("../migrations/1.sql"), include_str!("../migrations/2.sql"), include_str!("../migrations/3.sql")];

/// One connection, inside a transaction or not.
pub(crate) type Connection = SqliteConnection;

/// A writing transaction; dropped without [`commit`], it leaves no trace.
pub(crate) type Change = Transaction<'static, Sqlite>;

/// Connections to one database file.
pub(crate) struct Database {
    /// One connection: writes queue up here instead of failing as busy.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Database {
    /// Opens or creates the file and brings it to the newest format.
    pub(crate) async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL, because a worker deletes what we acknowledge.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(60))
        };
        // SQLite rolls back by itself when the disk is full; sqlx's own rollback then fails, and for it the connection stays in
        // a transaction for good. Such a one is replaced.
        let writer = pool(1).before_acquire(|connection, _| {
            let is_fit = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_fit) })
        });
        let writer = writer.connect_with(options.clone()).await?;
        migrate(&writer).await?;
        let readers = pool(3).connect_with(options.synchronous(SqliteSynchronous::Normal)).await?;
        Ok(Self { writer, readers })
    }

    /// Begins a writing transaction.
    pub(crate) async fn write(&self) -> Result<Change, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A connection to read from.
    pub(crate) async fn read(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// A view of the database that stays as it is while it is read; it goes when it is dropped.
    pub(crate) async fn snapshot(&self) -> Result<Change, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// Waits for all connections to close, so that the file may be moved.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes what was written in the transaction lasting.
pub(crate) async fn commit(transaction: Change) -> Result<(), StoreError> {
    Ok(transaction.commit().await?)
}

async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::NewerFormat { found, known });
    }
    for migration in MIGRATIONS.iter().skip(found.max(0) as usize) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    set_format(&mut transaction, known).await?;
    commit(transaction).await
}

async fn set_format(connection: &mut SqliteConnection, format: i64) -> Result<(), StoreError> {
    // A pragma takes no bound values; the number is ours.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {format}"))).execute(connection).await?;
    Ok(())
}

/// SQLite's code for a full disk.
const SQLITE_FULL: &str = "13";

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        let is_full = source.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == SQLITE_FULL);
        if is_full { Self::DiskFull { path: "lab.db".into() } } else { Self::Database { source: Box::new(source) } }
    }
}

/// JSON for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::unreadable("a value", source))
}

/// A column's JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::unreadable(what, source))
}

/// The bare word that an enum of words has in JSON: `queued`, `sign_in`.
pub(crate) fn to_word<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(to_json(value)?.trim_matches('"').to_owned())
}

/// The enum of such a word.
pub(crate) fn from_word<T: serde::de::DeserializeOwned>(what: &str, word: &str) -> Result<T, StoreError> {
    from_json(what, &format!("\"{word}\""))
}
