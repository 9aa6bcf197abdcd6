//! The only module that contains SQL: SQLite in WAL mode, one writer, a few readers. Replacing SQLite would change only this module
//! and its children. The children contain queries only, no logic.

pub(crate) mod access;
pub(crate) mod agent_acts;
pub(crate) mod agents;
pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod checkpoints;
pub(crate) mod conditions;
pub(crate) mod conversations;
pub(crate) mod experiments;
pub(crate) mod findings;
pub(crate) mod invitations;
pub(crate) mod join_tokens;
pub(crate) mod journal;
mod json;
pub(crate) mod links;
pub(crate) mod oauth;
pub(crate) mod optuna;
pub(crate) mod people;
pub(crate) mod pools;
pub(crate) mod projects;
pub(crate) mod proposals;
pub(crate) mod protected_datasets;
pub(crate) mod queue;
mod records;
pub(crate) mod research_journal;
pub(crate) mod research_loops;
pub(crate) mod run_table;
pub(crate) mod runs;
pub(crate) mod snapshots;
pub(crate) mod sweeps;
pub(crate) mod tasks;
pub(crate) mod telemetry;
pub(crate) mod tokens;
pub(crate) mod trials;
pub(crate) mod unsynced;
pub(crate) mod updates;
pub(crate) mod workers;

use std::cmp::Ordering;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Sqlite, SqliteConnection, Transaction};

use crate::boxed::Boxed;
use crate::error::StoreError;

/// Changes of the schema, oldest first; the database's `user_version` counts those applied.
const MIGRATIONS: [&str; 24] = [
    include_str!("../migrations/1.sql"),
    include_str!("../migrations/pools.sql"),
    include_str!("../migrations/telemetry.sql"),
    include_str!("../migrations/tags.sql"),
    include_str!("../migrations/people.sql"),
    include_str!("../migrations/slots.sql"),
    include_str!("../migrations/shares.sql"),
    include_str!("../migrations/removed_accounts.sql"),
    include_str!("../migrations/diagnosis.sql"),
    include_str!("../migrations/alerts.sql"),
    include_str!("../migrations/revision.sql"),
    include_str!("../migrations/tasks.sql"),
    include_str!("../migrations/finding_labels.sql"),
    include_str!("../migrations/conditions.sql"),
    include_str!("../migrations/sweeps.sql"),
    include_str!("../migrations/experiments.sql"),
    include_str!("../migrations/research_journal.sql"),
    include_str!("../migrations/agent_acts.sql"),
    include_str!("../migrations/research_loops.sql"),
    include_str!("../migrations/agent_limits.sql"),
    include_str!("../migrations/proposals.sql"),
    include_str!("../migrations/conversations.sql"),
    include_str!("../migrations/oauth.sql"),
    include_str!("../migrations/conversation_facts.sql"),
];

/// The first [`FRESH_SCHEMA`] migrations as one script, for a new file. Each `ALTER TABLE` reads the whole schema again: with the
/// migrations one by one, a new lab takes more than twice as long (4.2 instead of 1.8 ms).
const FRESH: &str = include_str!("../migrations/fresh.sql");
const FRESH_SCHEMA: usize = 6;

/// One connection, inside a transaction or not.
pub(crate) type Connection = SqliteConnection;

/// A writing transaction; dropped without [`commit`], it changes nothing.
pub(crate) type Change = Transaction<'static, Sqlite>;

/// Connections to one database file.
pub(crate) struct Database {
    /// One connection: writes wait for each other here instead of failing as busy.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Database {
    /// Opens or creates the file and applies the missing migrations, after a copy of the file. `server` is the process that uses the file:
    /// then it is not migrated.
    #[inline(never)]
    pub(crate) fn open(file: &Path, server: Option<u32>) -> Boxed<'_, Result<Self, StoreError>> {
        Box::pin(Self::open_file(file, server))
    }

    async fn open_file(file: &Path, server: Option<u32>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL, because a worker deletes the reports that are acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(60))
        };
        // SQLite rolls back by itself when the disk is full. The rollback of sqlx then fails, and sqlx considers the connection to be
        // in a transaction forever; such a connection is replaced.
        let writer = pool(1).before_acquire(|connection, _| {
            let is_usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_usable) })
        });
        let writer = writer.connect_with(options.clone()).await?;
        migrate(&writer, file, server).await?;
        let readers = pool(3).connect_with(options.synchronous(SqliteSynchronous::Normal)).await?;
        Ok(Self { writer, readers })
    }

    /// Begins a writing transaction. It counts in the revision of what is read in it and after it.
    #[inline(never)]
    pub(crate) fn write(&self) -> Boxed<'_, Result<Change, StoreError>> {
        Box::pin(async move {
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("UPDATE revision SET number = number + 1").execute(&mut *transaction).await?;
            Ok(transaction)
        })
    }

    /// A connection to read from.
    #[inline(never)]
    pub(crate) fn read(&self) -> Boxed<'_, Result<sqlx::pool::PoolConnection<Sqlite>, StoreError>> {
        Box::pin(async move { Ok(self.readers.acquire().await?) })
    }

    /// A read transaction: it sees one state of the database until it is dropped.
    #[inline(never)]
    pub(crate) fn snapshot(&self) -> Boxed<'_, Result<Change, StoreError>> {
        Box::pin(async move { Ok(self.readers.begin().await?) })
    }

    /// Writes a copy of the committed state to a new file.
    pub(crate) async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let copy = sqlx::query("VACUUM INTO ?").bind(file.to_string_lossy());
        copy.execute(&mut *self.readers.acquire().await?).await?;
        Ok(())
    }

    /// Waits for all connections to close, so that the file may be moved.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Commits a transaction.
#[inline(never)]
pub(crate) fn commit(transaction: Change) -> Boxed<'static, Result<(), StoreError>> {
    Box::pin(async move { Ok(transaction.commit().await?) })
}

async fn migrate(writer: &SqlitePool, file: &Path, server: Option<u32>) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(writer).await?;
    let known = MIGRATIONS.len() as i64;
    match (found.cmp(&known), server) {
        (Ordering::Greater, _) => return Err(StoreError::NewerSchema { found, known }),
        (Ordering::Equal, _) => return Ok(()),
        (Ordering::Less, Some(pid)) => return Err(StoreError::OlderServer { pid }),
        (Ordering::Less, None) if found > 0 => keep_copy(writer, file, found).await?,
        (Ordering::Less, None) => {}
    }
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let is_new = found <= 0;
    let applied = if is_new { FRESH_SCHEMA } else { found as usize };
    let fresh = is_new.then_some(FRESH);
    for script in fresh.into_iter().chain(MIGRATIONS.into_iter().skip(applied)) {
        sqlx::raw_sql(script).execute(&mut *transaction).await?;
    }
    set_schema(&mut transaction, known).await?;
    commit(transaction).await
}

/// Keeps the database as it was before a migration, as `lab.db.schema-1`. With it, the version of Kindling that wrote it can be used again.
async fn keep_copy(writer: &SqlitePool, file: &Path, found: i64) -> Result<(), StoreError> {
    let copy = file.with_added_extension(format!("schema-{found}"));
    let fresh = copy.with_added_extension("new");
    let failed = |source| StoreError::file(&copy, source);
    for left in [&fresh, &copy] {
        match std::fs::remove_file(left) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(failed(source)),
            _ => {}
        }
    }
    sqlx::query("VACUUM INTO ?").bind(fresh.to_string_lossy()).execute(writer).await?;
    std::fs::rename(&fresh, &copy).map_err(failed)
}

async fn set_schema(connection: &mut SqliteConnection, schema: i64) -> Result<(), StoreError> {
    // A pragma takes no bound values; the number is a constant of this module.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {schema}"))).execute(connection).await?;
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
