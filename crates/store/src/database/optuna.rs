//! SQL of the files of Optuna 4 (schema version 12, `optuna/storages/_rdb/models.py`). A file is untrusted: it is opened read-only, its
//! tables have to be plain tables, and each query has a limit.

use std::path::Path;
use std::time::Instant;

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

/// The schema that is read.
const SCHEMA: i64 = 12;
/// Studies of a file that are listed.
const MAX_STUDIES: i64 = 1_000;
/// Values of a trial that are read, from the first to the last.
const POINTS: i64 = 100;
/// Texts of a file that are read at most, bytes: more than a file may have, so only a damaged one has more.
const TEXT_BYTES: i64 = 100_000_000;
/// Operations of SQLite between two looks at the clock.
const OPERATIONS: i32 = 10_000;

/// A study with the rows of its trials, as they stand in the tables.
#[derive(Debug, Default)]
pub(crate) struct StudyRows {
    pub(crate) name: String,
    /// `MINIMIZE` or `MAXIMIZE`, one for each objective.
    pub(crate) directions: Vec<String>,
    /// JSON list of the names of the objectives.
    pub(crate) metric_names: Option<String>,
    /// By number.
    pub(crate) trials: Vec<TrialRow>,
    pub(crate) parameters: Vec<ParameterRow>,
    pub(crate) points: Vec<PointRow>,
}

/// A row of the table `trials` with the value of its first objective.
#[derive(Debug)]
pub(crate) struct TrialRow {
    pub(crate) id: i64,
    pub(crate) number: i64,
    /// `COMPLETE`, `PRUNED`, `FAIL`, `RUNNING` or `WAITING`.
    pub(crate) state: String,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    /// The value of the first objective, if it is finite.
    pub(crate) value: Option<f64>,
}

/// The value of a parameter of a trial.
#[derive(Debug)]
pub(crate) struct ParameterRow {
    pub(crate) trial: i64,
    pub(crate) name: String,
    /// The number, or the index of a choice.
    pub(crate) value: f64,
    /// JSON of the range.
    pub(crate) distribution: String,
}

/// An intermediate value of a trial, with the smallest, the largest and the last step of all of them.
#[derive(Debug)]
pub(crate) struct PointRow {
    pub(crate) trial: i64,
    pub(crate) step: i64,
    pub(crate) value: f64,
    pub(crate) smallest: f64,
    pub(crate) largest: f64,
}

/// The reason for which a file is refused.
#[derive(Debug)]
pub(crate) enum StudyError {
    /// SQLite cannot read it.
    Sqlite(sqlx::Error),
    /// It lacks this table of Optuna, or it is not a plain table.
    Table(&'static str),
    /// Its texts are larger than a file may be.
    Texts,
    /// It has another version of the schema.
    Schema(Option<i64>),
    /// It has no study of this name, or it has several and none was named. Contains the names of its studies.
    Study(Vec<String>),
}

impl From<sqlx::Error> for StudyError {
    fn from(source: sqlx::Error) -> Self {
        Self::Sqlite(source)
    }
}

/// Reads the study of this name, or the only one. Of more than `most` trials it reads `most` + 1. A query is interrupted after `until`.
pub(crate) async fn read(
    file: &Path,
    wanted: Option<&str>,
    most: usize,
    until: Instant,
) -> Result<StudyRows, StudyError> {
    let mut connection = open(file, until).await?;
    let found = read_open(&mut connection, wanted, most as i64).await;
    // Nothing was written, so a failed close loses nothing.
    let _ = connection.close().await;
    found
}

async fn open(file: &Path, until: Instant) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let options = options.pragma("trusted_schema", "OFF").pragma("cell_size_check", "ON").disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    // Whoever waits no more does not end a query, and pages that refer to each other can make one endless.
    connection.lock_handle().await?.set_progress_handler(OPERATIONS, move || Instant::now() < until);
    Ok(connection)
}

async fn read_open(file: &mut SqliteConnection, wanted: Option<&str>, most: i64) -> Result<StudyRows, StudyError> {
    check_tables(file).await?;
    check_texts(file, TEXT_BYTES).await?;
    let version: Option<i64> = sqlx::query_scalar("SELECT CAST(max(schema_version) AS INTEGER) FROM version_info")
        .fetch_one(&mut *file)
        .await?;
    if version != Some(SCHEMA) {
        return Err(StudyError::Schema(version));
    }
    let (id, name) = study(file, wanted).await?;
    let directions =
        "SELECT CAST(direction AS TEXT) FROM study_directions WHERE study_id = ? ORDER BY objective LIMIT 9";
    let metric = "SELECT CAST(value_json AS TEXT) FROM study_system_attributes WHERE study_id = ? \
                  AND key = 'study:metric_names' AND length(value_json) < 10000";
    Ok(StudyRows {
        name,
        directions: sqlx::query_scalar(directions).bind(id).fetch_all(&mut *file).await?,
        metric_names: sqlx::query_scalar(metric).bind(id).fetch_optional(&mut *file).await?,
        trials: trials(file, id, most + 1).await?,
        parameters: parameters(file, id, most).await?,
        points: points(file, id, most).await?,
    })
}

/// The tables that are read. Each has to be a plain table: computed columns, views and virtual tables run code of the file.
async fn check_tables(file: &mut SqliteConnection) -> Result<(), StudyError> {
    const TABLES: [&str; 8] = [
        "version_info",
        "studies",
        "study_directions",
        "study_system_attributes",
        "trials",
        "trial_params",
        "trial_values",
        "trial_intermediate_values",
    ];
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ? AND type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' \
               AND sql NOT LIKE '%GENERATED%' AND sql NOT LIKE '% AS %(%' AND sql NOT LIKE '%)AS(%'";
    for table in TABLES {
        let found: i64 = sqlx::query_scalar(sql).bind(table).fetch_one(&mut *file).await?;
        if found != 1 {
            return Err(StudyError::Table(table));
        }
    }
    Ok(())
}

/// Rows of a damaged file can share pages: then its texts are larger than the file, and do not fit into memory.
async fn check_texts(file: &mut SqliteConnection, most: i64) -> Result<(), StudyError> {
    // Lengths are read without the texts.
    let sql = "SELECT CAST((SELECT total(octet_length(study_name)) FROM studies) \
               + (SELECT total(octet_length(direction)) FROM study_directions) \
               + (SELECT total(octet_length(state)) FROM trials) \
               + (SELECT total(octet_length(param_name)) + total(octet_length(distribution_json)) FROM trial_params) \
               AS INTEGER)";
    let bytes: i64 = sqlx::query_scalar(sql).fetch_one(file).await?;
    if bytes <= most { Ok(()) } else { Err(StudyError::Texts) }
}

async fn study(file: &mut SqliteConnection, wanted: Option<&str>) -> Result<(i64, String), StudyError> {
    let sql = "SELECT study_id, CAST(study_name AS TEXT) FROM studies ORDER BY study_id LIMIT ?";
    let found: Vec<(i64, String)> = sqlx::query_as(sql).bind(MAX_STUDIES).fetch_all(file).await?;
    let names = found.iter().map(|(_, name)| name.clone()).collect();
    let mut fitting = found.into_iter().filter(|(_, name)| wanted.is_none_or(|wanted| wanted == name));
    match (fitting.next(), fitting.next()) {
        (Some(study), None) => Ok(study),
        _ => Err(StudyError::Study(names)),
    }
}

async fn trials(file: &mut SqliteConnection, study: i64, limit: i64) -> Result<Vec<TrialRow>, StudyError> {
    // Optuna stores local times without their zone; they are read as UTC.
    let sql = "SELECT trial_id, number, CAST(state AS TEXT) AS state, \
               CAST(round((julianday(datetime_start) - 2440587.5) * 86400000) AS INTEGER) AS started_ms, \
               CAST(round((julianday(datetime_complete) - 2440587.5) * 86400000) AS INTEGER) AS ended_ms, \
               (SELECT CAST(value AS REAL) FROM trial_values AS found WHERE found.trial_id = trials.trial_id \
               AND objective = 0 AND value_type = 'FINITE' LIMIT 1) AS value \
               FROM trials WHERE study_id = ? ORDER BY number, trial_id LIMIT ?";
    let read = |row: &SqliteRow| -> Result<TrialRow, sqlx::Error> {
        Ok(TrialRow {
            id: row.try_get("trial_id")?,
            number: row.try_get("number")?,
            state: row.try_get("state")?,
            started_ms: row.try_get("started_ms")?,
            ended_ms: row.try_get("ended_ms")?,
            value: row.try_get("value")?,
        })
    };
    let rows = sqlx::query(sql).bind(study).bind(limit).fetch_all(file).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

async fn parameters(file: &mut SqliteConnection, study: i64, most: i64) -> Result<Vec<ParameterRow>, StudyError> {
    let sql = "SELECT trial_params.trial_id AS trial, CAST(param_name AS TEXT) AS name, CAST(param_value AS REAL) AS value, \
               CAST(distribution_json AS TEXT) AS distribution FROM trial_params JOIN trials USING (trial_id) \
               WHERE study_id = ? AND number < ? LIMIT ?";
    let read = |row: &SqliteRow| -> Result<ParameterRow, sqlx::Error> {
        Ok(ParameterRow {
            trial: row.try_get("trial")?,
            name: row.try_get("name")?,
            value: row.try_get("value")?,
            distribution: row.try_get("distribution")?,
        })
    };
    let limit = most * (wire::sweep::space::MAX_PARAMETERS as i64 + 1);
    let rows = sqlx::query(sql).bind(study).bind(most).bind(limit).fetch_all(file).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

async fn points(file: &mut SqliteConnection, study: i64, most: i64) -> Result<Vec<PointRow>, StudyError> {
    let sql = "SELECT trial, step, value, smallest, largest FROM (SELECT trial_id AS trial, CAST(step AS INTEGER) AS step, \
               CAST(intermediate_value AS REAL) AS value, row_number() OVER (PARTITION BY trial_id ORDER BY step) AS place, \
               count(*) OVER (PARTITION BY trial_id) AS total, \
               min(CAST(intermediate_value AS REAL)) OVER (PARTITION BY trial_id) AS smallest, \
               max(CAST(intermediate_value AS REAL)) OVER (PARTITION BY trial_id) AS largest \
               FROM trial_intermediate_values JOIN trials USING (trial_id) \
               WHERE study_id = ?1 AND number < ?2 AND intermediate_value_type = 'FINITE' AND intermediate_value IS NOT NULL \
               AND step >= 0) WHERE place = total OR (place - 1) % ((total - 1) / ?3 + 1) = 0 ORDER BY trial, step LIMIT ?4";
    let read = |row: &SqliteRow| -> Result<PointRow, sqlx::Error> {
        Ok(PointRow {
            trial: row.try_get("trial")?,
            step: row.try_get("step")?,
            value: row.try_get("value")?,
            smallest: row.try_get("smallest")?,
            largest: row.try_get("largest")?,
        })
    };
    let rows = sqlx::query(sql).bind(study).bind(most).bind(POINTS).bind(most * (POINTS + 1)).fetch_all(file).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn opened(within: Duration) -> SqliteConnection {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/optuna-4.5.db");
        open(&file, Instant::now() + within).await.unwrap()
    }

    #[tokio::test]
    async fn an_endless_query_is_interrupted() {
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n";
        let mut file = opened(Duration::ZERO).await;
        let counted: Result<i64, sqlx::Error> = sqlx::query_scalar(endless).fetch_one(&mut file).await;
        assert!(counted.unwrap_err().to_string().contains("interrupted"));
    }

    #[tokio::test]
    async fn texts_that_do_not_fit_are_not_read() {
        let mut file = opened(Duration::from_secs(600)).await;
        assert!(check_texts(&mut file, TEXT_BYTES).await.is_ok());
        assert!(matches!(check_texts(&mut file, 10).await, Err(StudyError::Texts)));
    }
}
