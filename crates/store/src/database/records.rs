//! SQL that experiments and research loops have in common: both are records with a state and its reason, in a project, and have a journal of
//! lines. The queries name the tables; here they are bound and read.

use serde::Serialize;
use sqlx::SqliteConnection;
use wire::Author;

use super::json::{from_json, to_json, to_word};
use crate::error::StoreError;

/// A line of a journal: number, time (ms since 1970), author and text.
pub(crate) type Line = (u32, i64, Author, String);

/// Ids that a query returns.
pub(crate) async fn ids(connection: &mut SqliteConnection, sql: &'static str) -> Result<Vec<u64>, StoreError> {
    let ids: Vec<i64> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    Ok(ids.into_iter().map(|id| id as u64).collect())
}

/// Changes the state of a record from the first of `change` to the second. `sql` sets the parameters 1 state, 2 reason and 3 end of the record
/// with the id 4 and the state 5. Returns whether it had that state.
pub(crate) async fn set_state<S: Serialize>(
    connection: &mut SqliteConnection,
    sql: &'static str,
    id: u64,
    [from, to]: [S; 2],
    reason: Option<&str>,
    ended_ms: Option<i64>,
) -> Result<bool, StoreError> {
    let query = sqlx::query(sql).bind(to_word(&to)?).bind(reason).bind(ended_ms).bind(id as i64).bind(to_word(&from)?);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Adds a line to a journal. `sql` has the parameters 1 id of the record, 2 time, 3 author and 4 text.
pub(crate) async fn add_line(
    connection: &mut SqliteConnection,
    sql: &'static str,
    id: u64,
    at_ms: i64,
    author: &Author,
    text: &str,
) -> Result<(), StoreError> {
    sqlx::query(sql).bind(id as i64).bind(at_ms).bind(to_json(author)?).bind(text).execute(connection).await?;
    Ok(())
}

/// A line as it is stored.
pub(crate) fn line((number, at_ms, author, text): (u32, i64, String, String)) -> Result<Line, StoreError> {
    Ok((number, at_ms, from_json("the author of an event", &author)?, text))
}
