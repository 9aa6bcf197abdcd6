//! The research journal of a project: events of its runs, findings, experiments, sweeps, comparisons and the conversations of its reader as
//! one list, newest first. Each source is read from its own table. The search runs here, because texts of events are generated from their values.

use std::collections::BTreeSet;

use wire::control::event::EventRecord;
use wire::diagnosis::{FindingCounts, Level};
use wire::experiment::ExperimentSpec;
use wire::experiment::record::Verdict;
use wire::number::{counted, grouped, in_sentence};
use wire::research_journal::{EntryKind, EntrySubject, JournalEntry, JournalPage, Place, Source};
use wire::series::describe;
use wire::sweep::record::{DecisionKind, Sweep};
use wire::{Author, RunId};

use crate::access::check_project;
use crate::clock::now_ms;
use crate::database::research_journal::{
    self as rows, ConversationRow, DecisionRow, EventRow, ExperimentRow, FindingRow, JournalPart,
};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::new_comparison::NewComparison;
use crate::store::Store;
use crate::sweep_records::SERVER;

/// Maximum number of entries of a page.
const MAX_ENTRIES: usize = 500;
/// Entries that are read at a time where some of them are filtered out.
const BATCH: usize = 500;
/// Entries that one request reads for a search; the next page continues.
const MAX_READ: usize = 20_000;
/// Characters of the first message of a conversation.
const QUESTION_CHARS: usize = 500;

/// Whoever reads the journal and has conversations: only they find these in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationReader {
    /// As conversations are stored.
    pub owner: String,
    /// Name of the person or of the token.
    pub name: String,
}

/// Which entries of the journal are returned.
#[derive(Debug, Clone, Default)]
pub struct JournalQuery {
    pub project: String,
    /// Only older entries; all by default.
    pub before: Option<Place>,
    /// Maximum number of entries, 1 to 500.
    pub limit: usize,
    /// Words that an entry must all have; letter case is ignored.
    pub search: String,
    /// Kinds of entries; all if it is empty.
    pub kinds: Vec<EntryKind>,
    /// Name of a person, a rule or an agent; `system` for the lab itself.
    pub author: Option<String>,
    /// Whose conversations are among the entries; none by default.
    pub reader: Option<ConversationReader>,
}

impl JournalQuery {
    /// Entries that are read at a time. Without a filter they are the entries to return and one more, which shows whether there is a next page.
    fn batch(&self, limit: usize) -> usize {
        let is_filtered = !self.search.is_empty() || self.author.is_some() || !self.kinds.is_empty();
        if is_filtered { BATCH } else { limit + 1 }
    }

    fn takes(&self, entry: &JournalEntry, words: &[String]) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && self.author.as_deref().is_none_or(|author| entry.author.name() == author)
            && entry.has_words(words)
    }

    /// The sources that can have entries of the kinds.
    fn sources(&self) -> Vec<Source> {
        let is_wanted = |kind: &EntryKind| self.kinds.is_empty() || self.kinds.contains(kind);
        let kinds: Vec<EntryKind> = EntryKind::ALL.into_iter().filter(is_wanted).collect();
        Source::ALL.into_iter().filter(|source| kinds.iter().any(|kind| recorded_in(*kind, *source))).collect()
    }
}

/// Whether a source can have entries of a kind.
fn recorded_in(kind: EntryKind, source: Source) -> bool {
    match kind {
        EntryKind::Hypothesis | EntryKind::Verdict | EntryKind::Experiment => source == Source::Experiment,
        EntryKind::Sweep => matches!(source, Source::SweepStart | Source::SweepDecision | Source::SweepEnd),
        EntryKind::Comparison => source == Source::Comparison,
        EntryKind::Finding => source == Source::Finding,
        EntryKind::Conversation => source == Source::Conversation,
        EntryKind::Command | EntryKind::Note | EntryKind::Run => source == Source::Event,
    }
}

impl Store {
    /// Entries of the research journal of a project, newest first. Runs that are deleted have none.
    pub async fn research_journal(&self, query: &JournalQuery) -> Result<JournalPage, StoreError> {
        let limit = query.limit.clamp(1, MAX_ENTRIES);
        let (words, sources, size) = (words_of(&query.search), query.sources(), query.batch(limit));
        let mut connection = self.database().snapshot().await?;
        let (mut page, mut before, mut read) = (JournalPage::default(), query.before.clone(), 0);
        while read < MAX_READ {
            let owner = query.reader.as_ref().map(|reader| reader.owner.as_str());
            let part = JournalPart { project: &query.project, before: before.as_ref(), limit: size as u32, owner };
            let batch = entries(&mut connection, &part, &sources, query.reader.as_ref()).await?;
            let is_last = batch.len() < size;
            read += batch.len();
            for entry in batch {
                if page.entries.len() == limit {
                    page.next = before;
                    return Ok(page);
                }
                before = Some(entry.place.clone());
                if query.takes(&entry, &words) {
                    page.entries.push(entry);
                }
            }
            if is_last {
                return Ok(page);
            }
        }
        page.next = before;
        Ok(page)
    }

    /// Adds a comparison to the journal of its project, and returns its entry.
    ///
    /// # Errors
    /// [`StoreError::UnknownProject`].
    pub async fn add_comparison(&self, new: NewComparison) -> Result<JournalEntry, StoreError> {
        let (mut transaction, at_ms) = (self.database().write().await?, now_ms());
        check_project(&mut transaction, &new.project).await?;
        let id = rows::insert_comparison(&mut transaction, &new, at_ms).await?;
        commit(transaction).await?;
        let NewComparison { author, runs, names, text, .. } = new;
        Ok(JournalEntry {
            place: Place { at_ms, source: Source::Comparison, owner: id.to_string(), number: 0 },
            kind: EntryKind::Comparison,
            author,
            subject: EntrySubject::Comparison { runs, name: names },
            step: None,
            text,
        })
    }

    /// How many findings of each rule the runs of a project have, and how people judged them. A note that became an alert is that alert.
    pub async fn finding_counts(&self, project: &str) -> Result<Vec<FindingCounts>, StoreError> {
        database::findings::counts(&mut *self.database().read().await?, project).await
    }
}

/// The words of a search, each once.
fn words_of(search: &str) -> Vec<String> {
    let search = search.to_lowercase();
    let words: BTreeSet<&str> = search.split_whitespace().collect();
    words.into_iter().map(str::to_owned).collect()
}

/// The newest entries of some sources before a place, at most as many as the limit of the part.
async fn entries(
    connection: &mut Connection,
    part: &JournalPart<'_>,
    sources: &[Source],
    reader: Option<&ConversationReader>,
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut found = vec![];
    for source in sources {
        found.append(&mut of_source(connection, part, *source, reader).await?);
    }
    found.sort_by(|one, other| other.place.cmp(&one.place));
    found.truncate(part.limit as usize);
    Ok(found)
}

async fn of_source(
    connection: &mut Connection,
    part: &JournalPart<'_>,
    source: Source,
    reader: Option<&ConversationReader>,
) -> Result<Vec<JournalEntry>, StoreError> {
    Ok(match source {
        Source::Conversation => {
            let Some(reader) = reader else { return Ok(vec![]) };
            let of = |row| of_conversation(row, &reader.name);
            rows::conversations(connection, part).await?.into_iter().map(of).collect()
        }
        Source::Event => rows::events(connection, part).await?.into_iter().map(of_event).collect(),
        Source::Finding => rows::findings(connection, part).await?.into_iter().map(of_finding).collect(),
        Source::Experiment => rows::experiments(connection, part).await?.into_iter().map(of_experiment).collect(),
        Source::Comparison => rows::comparisons(connection, part).await?,
        Source::SweepDecision => rows::decisions(connection, part).await?.into_iter().map(of_decision).collect(),
        Source::SweepStart => {
            let starts = rows::sweep_starts(connection, part).await?;
            of_sweeps(connection, starts, |sweep| (Author::Person(sweep.creator.clone()), started(sweep))).await?
        }
        Source::SweepEnd => {
            let ends = rows::sweep_ends(connection, part).await?;
            of_sweeps(connection, ends, |sweep| (Author::System, ended(sweep))).await?
        }
    })
}

fn of_event(EventRow { run, name, record }: EventRow) -> JournalEntry {
    let kind = EntryKind::of_event(&record);
    let place = Place {
        at_ms: record.at_ms,
        source: Source::Event,
        owner: run.as_str().to_owned(),
        number: record.number as i64,
    };
    let EventRecord { step, author, reason, event, .. } = record;
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let text = format!("{}{reason}", event.phrase());
    JournalEntry { place, kind, author, subject: run_subject(run, name), step: Some(step), text }
}

fn run_subject(id: RunId, name: String) -> EntrySubject {
    EntrySubject::Run { id, name }
}

fn of_finding(row: FindingRow) -> JournalEntry {
    let marks = [
        row.judgement.map(|judgement| format!("marked as {}", judgement.word())),
        row.is_dismissed.then(|| "dismissed".to_owned()),
        row.is_abandoned.then(|| "abandoned branch".to_owned()),
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    let mark = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    let level = match row.level {
        Level::Alert => "Alert: ",
        Level::Note => "",
    };
    JournalEntry {
        place: row.place,
        kind: EntryKind::Finding,
        author: Author::Rule(row.label),
        subject: row.subject,
        step: Some(row.step),
        text: format!("{level}{}{mark}", row.sentence),
    }
}

fn of_experiment(row: ExperimentRow) -> JournalEntry {
    let ExperimentRow { place, experiment, spec, verdict, author, text } = row;
    let is_verdict = |verdict: &&Verdict| author == Author::System && verdict.sentence == text;
    let (kind, text) = match (place.number, verdict.as_ref().filter(is_verdict)) {
        (1, _) => (EntryKind::Hypothesis, stated(&spec)),
        (_, Some(verdict)) => (EntryKind::Verdict, concluded(&spec, verdict)),
        (_, None) => (EntryKind::Experiment, text),
    };
    let subject = EntrySubject::Experiment { id: experiment, name: spec.title };
    JournalEntry { place, kind, author, subject, step: None, text }
}

/// `More layers help. Change: model.layers = 3. Prediction: validation loss −0.1 bits/byte, confirmed with a probability of 0.6.`
fn stated(spec: &ExperimentSpec) -> String {
    let hypothesis = spec.hypothesis.trim();
    let ending = if hypothesis.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{hypothesis}{ending} Change: {}. Prediction: {}.", spec.change.phrase(), spec.prediction_phrase())
}

/// The verdict beside the prediction.
fn concluded(spec: &ExperimentSpec, verdict: &Verdict) -> String {
    format!("{} Prediction: {}.", verdict.sentence, spec.prediction_phrase())
}

fn of_decision(row: DecisionRow) -> JournalEntry {
    let author = match row.kind {
        DecisionKind::Command => Author::Person(row.by),
        _ if row.by == SERVER => Author::System,
        _ => Author::Rule(row.by),
    };
    let trial = row.trial.map(|trial| format!("Trial {trial}: ")).unwrap_or_default();
    JournalEntry {
        place: row.place,
        kind: EntryKind::Sweep,
        author,
        subject: row.subject,
        step: row.step.map(|step| step as u64),
        text: format!("{trial}{}", row.sentence),
    }
}

fn of_conversation(row: ConversationRow, name: &str) -> JournalEntry {
    let text = asked(&row);
    let ConversationRow { place, conversation: id, .. } = row;
    let subject = EntrySubject::Conversation { id, name: format!("Conversation {id}") };
    let author = Author::Person(name.to_owned());
    JournalEntry { place, kind: EntryKind::Conversation, author, subject, step: None, text }
}

/// `Why is my run slow? (model opus, 3 tool calls, 12 400 input and 800 output tokens, $0.0210)`
fn asked(row: &ConversationRow) -> String {
    let mut letters = row.question.chars();
    let mut question: String = letters.by_ref().take(QUESTION_CHARS).collect();
    if letters.next().is_some() {
        question.push('…');
    }
    let Some(model) = &row.model else { return format!("{question} (answered without a model)") };
    let (calls, usage) = (counted(row.tool_calls, "tool call"), &row.usage);
    let [input, output] = [usage.input_tokens, usage.output_tokens].map(grouped);
    let cost = usage.dollars.map(|dollars| format!(", ${dollars:.4}")).unwrap_or_default();
    format!("{question} (model {model}, {calls}, {input} input and {output} output tokens{cost})")
}

async fn of_sweeps(
    connection: &mut Connection,
    found: Vec<rows::SweepRow>,
    words: impl Fn(&Sweep) -> (Author, String),
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries = vec![];
    for row in found {
        let Some(sweep) = database::sweeps::get(connection, row.sweep).await? else { continue };
        let (author, text) = words(&sweep);
        let subject = EntrySubject::Sweep { id: sweep.id, name: sweep.spec.name };
        entries.push(JournalEntry { place: row.place, kind: EntryKind::Sweep, author, subject, step: None, text });
    }
    Ok(entries)
}

fn started(sweep: &Sweep) -> String {
    let parameters: Vec<&str> = sweep.spec.space.parameters.keys().map(String::as_str).collect();
    format!(
        "started: {} over {}, sampler {}",
        counted(sweep.trials, "trial"),
        parameters.join(", "),
        sweep.spec.sampler.label()
    )
}

fn ended(sweep: &Sweep) -> String {
    let metric = describe(&sweep.spec.metric.name).label;
    let best = sweep.best.map_or_else(
        || "no trial has a value".to_owned(),
        |best| format!("the best is trial {} with {metric} {}", best.trial, in_sentence(best.value)),
    );
    format!("{}: {best}", sweep.state.label())
}
