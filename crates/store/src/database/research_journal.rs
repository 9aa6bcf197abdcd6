//! SQL of the research journal: the entries of one source before a place, newest first.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::assistant::TokenUsage;
use wire::diagnosis::{Judgement, Level};
use wire::experiment::ExperimentSpec;
use wire::experiment::record::Verdict;
use wire::research_journal::{EntryKind, EntrySubject, JournalEntry, Place, Source};
use wire::sweep::record::DecisionKind;
use wire::{Author, EventRecord, RunId};

use super::json::{from_json, from_word, to_json};
use crate::error::StoreError;
use crate::new_comparison::NewComparison;

/// A part of the journal: the newest entries of a project before a place, at most `limit` of each source.
pub(crate) struct JournalPart<'a> {
    pub(crate) project: &'a str,
    pub(crate) before: Option<&'a Place>,
    pub(crate) limit: u32,
    /// Whose conversations are among them; none by default.
    pub(crate) owner: Option<&'a str>,
}

/// An event of a run.
pub(crate) struct EventRow {
    pub(crate) run: RunId,
    pub(crate) name: String,
    pub(crate) record: EventRecord,
}

/// A finding in a run.
pub(crate) struct FindingRow {
    pub(crate) place: Place,
    pub(crate) subject: EntrySubject,
    pub(crate) step: u64,
    pub(crate) level: Level,
    pub(crate) label: String,
    pub(crate) sentence: String,
    pub(crate) is_abandoned: bool,
    pub(crate) is_dismissed: bool,
    pub(crate) judgement: Option<Judgement>,
}

/// A line of the journal of an experiment.
pub(crate) struct ExperimentRow {
    pub(crate) place: Place,
    pub(crate) experiment: u64,
    pub(crate) spec: ExperimentSpec,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) author: Author,
    pub(crate) text: String,
}

/// The start or the end of a sweep.
pub(crate) struct SweepRow {
    pub(crate) place: Place,
    pub(crate) sweep: i64,
}

/// A decision about a sweep.
pub(crate) struct DecisionRow {
    pub(crate) place: Place,
    pub(crate) subject: EntrySubject,
    pub(crate) kind: DecisionKind,
    pub(crate) by: String,
    pub(crate) trial: Option<i64>,
    pub(crate) step: Option<i64>,
    pub(crate) sentence: String,
}

/// A conversation with the assistant.
pub(crate) struct ConversationRow {
    pub(crate) place: Place,
    pub(crate) conversation: i64,
    /// The first message.
    pub(crate) question: String,
    pub(crate) model: Option<String>,
    pub(crate) tool_calls: u64,
    pub(crate) usage: TokenUsage,
}

/// The query of one source. `$source` is the number of its [`Source`]; the other arguments after `$from` are the SQL of the parts of a
/// [`Place`]. `$from` ends with a WHERE clause, to which conditions are added.
///
/// The parameters of each query: 1 project; 2 time, 3 source, 4 owner and 5 number of the place before which it reads; 6 limit; 7 owner of
/// the conversations. Times are compared once more by themselves, since the index is searched by them.
macro_rules! entries {
    ($columns:literal, $from:literal, $at_ms:literal, $source:literal, $owner:literal, $number:literal) => {
        concat!(
            "SELECT ",
            $at_ms,
            " AS at, ",
            $owner,
            " AS owner, ",
            $number,
            " AS entry, ",
            $columns,
            " FROM ",
            $from,
            " AND ",
            $at_ms,
            " <= ?2 AND (",
            $at_ms,
            ", ",
            $source,
            ", ",
            $owner,
            ", ",
            $number,
            ") < (?2, ?3, ?4, ?5) ORDER BY at DESC, owner DESC, entry DESC LIMIT ?6"
        )
    };
}

const EVENTS: &str = entries!(
    "runs.name, record",
    // The condition is that of the index, and a cross join reads the events first: by time, and not all events of each run.
    "events CROSS JOIN runs ON runs.id = events.run \
     WHERE (json_extract(record, '$.event.kind') NOT IN ('starting', 'evaluated', 'sampled', 'checkpointed', 'scored') \
     OR json_extract(record, '$.command_id') IS NOT NULL) AND runs.project = ?1 AND runs.deleted_ms IS NULL",
    "json_extract(record, '$.at_ms')",
    "0",
    "events.run",
    "events.number"
);
const FINDINGS: &str = entries!(
    "runs.name, step, level, label, sentence, is_abandoned, is_dismissed, judgement",
    "findings CROSS JOIN runs ON runs.id = findings.run \
     WHERE runs.project = ?1 AND runs.deleted_ms IS NULL AND findings.became IS NULL",
    "findings.at_ms",
    "1",
    "findings.run",
    "findings.number"
);
const EXPERIMENTS: &str = entries!(
    "experiments.id, spec, verdict, experiment_events.author, text",
    "experiment_events JOIN experiments ON experiments.id = experiment_events.experiment WHERE experiments.project = ?1",
    "experiment_events.at_ms",
    "2",
    "CAST(experiments.id AS TEXT)",
    "experiment_events.number"
);
const SWEEP_STARTS: &str =
    entries!("id", "sweeps WHERE project = ?1", "sweeps.created_ms", "3", "CAST(sweeps.id AS TEXT)", "0");
const DECISIONS: &str = entries!(
    "sweeps.id, spec ->> '$.name' AS name, kind, decided_by, trial, step, sentence",
    "sweep_decisions JOIN sweeps ON sweeps.id = sweep_decisions.sweep WHERE sweeps.project = ?1 AND kind <> 'continued'",
    "sweep_decisions.at_ms",
    "4",
    "CAST(sweeps.id AS TEXT)",
    "sweep_decisions.number"
);
const SWEEP_ENDS: &str = entries!(
    "id",
    "sweeps WHERE project = ?1 AND ended_ms IS NOT NULL",
    "sweeps.ended_ms",
    "5",
    "CAST(sweeps.id AS TEXT)",
    "0"
);
const COMPARISONS: &str = entries!(
    "author, runs, names, text",
    "comparisons WHERE project = ?1",
    "comparisons.at_ms",
    "6",
    "CAST(comparisons.id AS TEXT)",
    "0"
);

/// A conversation without a message has no entry.
const CONVERSATIONS: &str = entries!(
    "conversations.id, model, tool_calls, usage, COALESCE((SELECT conversation_entries.entry ->> '$.text' FROM conversation_entries \
     WHERE conversation_entries.conversation = conversations.id AND conversation_entries.number = 0), title) AS question",
    "conversations WHERE conversations.project = ?1 AND conversations.owner = ?7 AND title <> ''",
    "conversations.created_ms",
    "7",
    "CAST(conversations.id AS TEXT)",
    "0"
);

/// Adds a comparison, and returns its id.
pub(crate) async fn insert_comparison(
    connection: &mut SqliteConnection,
    new: &NewComparison,
    at_ms: i64,
) -> Result<i64, StoreError> {
    let sql =
        "INSERT INTO comparisons (project, at_ms, author, runs, names, text) VALUES (?, ?, ?, ?, ?, ?) RETURNING id";
    let id = sqlx::query_scalar(sql)
        .bind(&new.project)
        .bind(at_ms)
        .bind(to_json(&new.author)?)
        .bind(to_json(&new.runs)?)
        .bind(&new.names)
        .bind(&new.text);
    Ok(id.fetch_one(connection).await?)
}

async fn rows(
    connection: &mut SqliteConnection,
    sql: &'static str,
    part: &JournalPart<'_>,
) -> Result<Vec<SqliteRow>, StoreError> {
    // Without a place, all entries are before the largest one.
    let (at_ms, source, owner, number) = match part.before {
        Some(place) => (place.at_ms, i64::from(place.source as u8), place.owner.as_str(), place.number),
        None => (i64::MAX, i64::MAX, "", 0),
    };
    let query = sqlx::query(sql).bind(part.project).bind(at_ms).bind(source).bind(owner).bind(number).bind(part.limit);
    Ok(query.bind(part.owner).fetch_all(connection).await?)
}

fn place(row: &SqliteRow, source: Source) -> Result<Place, StoreError> {
    Ok(Place { at_ms: row.try_get("at")?, source, owner: row.try_get("owner")?, number: row.try_get("entry")? })
}

fn run_of(row: &SqliteRow) -> Result<RunId, StoreError> {
    let id: String = row.try_get("owner")?;
    id.parse().map_err(|source| StoreError::unreadable("a run's id", source))
}

/// Events of runs.
pub(crate) async fn events(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<EventRow>, StoreError> {
    let read = |row: &SqliteRow| {
        let record = from_json("an event of the journal", row.try_get("record")?)?;
        Ok(EventRow { run: run_of(row)?, name: row.try_get("name")?, record })
    };
    rows(connection, EVENTS, part).await?.iter().map(read).collect()
}

/// Findings; a note that became an alert is that alert.
pub(crate) async fn findings(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<FindingRow>, StoreError> {
    let read = |row: &SqliteRow| {
        let judgement: Option<&str> = row.try_get("judgement")?;
        Ok(FindingRow {
            place: place(row, Source::Finding)?,
            subject: EntrySubject::Run { id: run_of(row)?, name: row.try_get("name")? },
            step: row.try_get::<i64, _>("step")? as u64,
            level: from_word("the level of a finding", row.try_get("level")?)?,
            label: row.try_get("label")?,
            sentence: row.try_get("sentence")?,
            is_abandoned: row.try_get("is_abandoned")?,
            is_dismissed: row.try_get("is_dismissed")?,
            judgement: judgement.map(|word| from_word("the judgement of a finding", word)).transpose()?,
        })
    };
    rows(connection, FINDINGS, part).await?.iter().map(read).collect()
}

/// Lines of the journals of experiments.
pub(crate) async fn experiments(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<ExperimentRow>, StoreError> {
    let read = |row: &SqliteRow| {
        let verdict: Option<&str> = row.try_get("verdict")?;
        Ok(ExperimentRow {
            place: place(row, Source::Experiment)?,
            experiment: row.try_get::<i64, _>("id")? as u64,
            spec: from_json("an experiment", row.try_get("spec")?)?,
            verdict: verdict.map(|verdict| from_json("a verdict", verdict)).transpose()?,
            author: from_json("the author of an event", row.try_get("author")?)?,
            text: row.try_get("text")?,
        })
    };
    rows(connection, EXPERIMENTS, part).await?.iter().map(read).collect()
}

/// When sweeps were started.
pub(crate) async fn sweep_starts(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<SweepRow>, StoreError> {
    sweeps(connection, SWEEP_STARTS, Source::SweepStart, part).await
}

/// When sweeps have ended.
pub(crate) async fn sweep_ends(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<SweepRow>, StoreError> {
    sweeps(connection, SWEEP_ENDS, Source::SweepEnd, part).await
}

async fn sweeps(
    connection: &mut SqliteConnection,
    sql: &'static str,
    source: Source,
    part: &JournalPart<'_>,
) -> Result<Vec<SweepRow>, StoreError> {
    let read = |row: &SqliteRow| Ok(SweepRow { place: place(row, source)?, sweep: row.try_get("id")? });
    rows(connection, sql, part).await?.iter().map(read).collect()
}

/// Comparisons that people have added.
pub(crate) async fn comparisons(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<JournalEntry>, StoreError> {
    let read = |row: &SqliteRow| {
        let runs = from_json("the runs of a comparison", row.try_get("runs")?)?;
        Ok(JournalEntry {
            place: place(row, Source::Comparison)?,
            kind: EntryKind::Comparison,
            author: from_json("the author of a comparison", row.try_get("author")?)?,
            subject: EntrySubject::Comparison { runs, name: row.try_get("names")? },
            step: None,
            text: row.try_get("text")?,
        })
    };
    rows(connection, COMPARISONS, part).await?.iter().map(read).collect()
}

/// Decisions about sweeps and trials, except the decisions to continue a trial.
pub(crate) async fn decisions(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<DecisionRow>, StoreError> {
    let read = |row: &SqliteRow| {
        Ok(DecisionRow {
            place: place(row, Source::SweepDecision)?,
            subject: EntrySubject::Sweep { id: row.try_get("id")?, name: row.try_get("name")? },
            kind: from_word("the kind of a decision", row.try_get("kind")?)?,
            by: row.try_get("decided_by")?,
            trial: row.try_get("trial")?,
            step: row.try_get("step")?,
            sentence: row.try_get("sentence")?,
        })
    };
    rows(connection, DECISIONS, part).await?.iter().map(read).collect()
}

/// The conversations of the owner; none without one.
pub(crate) async fn conversations(
    connection: &mut SqliteConnection,
    part: &JournalPart<'_>,
) -> Result<Vec<ConversationRow>, StoreError> {
    let read = |row: &SqliteRow| {
        Ok(ConversationRow {
            place: place(row, Source::Conversation)?,
            conversation: row.try_get("id")?,
            question: row.try_get("question")?,
            model: row.try_get("model")?,
            tool_calls: row.try_get::<i64, _>("tool_calls")?.max(0) as u64,
            usage: from_json("the usage of a conversation", row.try_get("usage")?)?,
        })
    };
    rows(connection, CONVERSATIONS, part).await?.iter().map(read).collect()
}
