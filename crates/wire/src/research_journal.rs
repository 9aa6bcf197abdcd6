//! The research journal of a project: what was believed, predicted, changed, found and concluded, on one timeline. It is read from what runs,
//! rules, experiments and sweeps have recorded, and has the comparisons that people add to it. Whoever reads it also finds their own
//! conversations with the assistant in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::control::author::Author;
use crate::control::event::{Event, EventRecord};
use crate::id::RunId;

/// The kinds of entries, by which the journal is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An experiment was stated, with its prediction.
    Hypothesis,
    /// The decision rule of an experiment gave its verdict.
    Verdict,
    /// Pairs, pauses and failures of an experiment.
    Experiment,
    /// A comparison of runs that a person has added.
    Comparison,
    /// Start, end and decisions of a sweep.
    Sweep,
    /// A command to a run, of a person, a rule or an agent.
    Command,
    /// A rule saw something in a run.
    Finding,
    /// A note of a run.
    Note,
    /// A conversation of the reader with the assistant.
    Conversation,
    /// A run was created, started or ended, or an error stopped it.
    Run,
}

impl EntryKind {
    pub const ALL: [Self; 10] = [
        Self::Hypothesis,
        Self::Verdict,
        Self::Experiment,
        Self::Comparison,
        Self::Sweep,
        Self::Command,
        Self::Finding,
        Self::Note,
        Self::Conversation,
        Self::Run,
    ];

    /// The word in JSON, queries and texts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hypothesis => "hypothesis",
            Self::Verdict => "verdict",
            Self::Experiment => "experiment",
            Self::Comparison => "comparison",
            Self::Sweep => "sweep",
            Self::Command => "command",
            Self::Finding => "finding",
            Self::Note => "note",
            Self::Conversation => "conversation",
            Self::Run => "run",
        }
    }

    /// The label of its filter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hypothesis => "Hypotheses",
            Self::Verdict => "Verdicts",
            Self::Experiment => "Experiments",
            Self::Comparison => "Comparisons",
            Self::Sweep => "Sweeps",
            Self::Command => "Commands",
            Self::Finding => "Findings",
            Self::Note => "Notes",
            Self::Conversation => "Conversations",
            Self::Run => "Runs",
        }
    }

    /// The kind of an event of a run.
    pub fn of_event(record: &EventRecord) -> Self {
        match record.event {
            Event::Annotated { .. } => Self::Note,
            Event::Queued | Event::Imported { .. } | Event::Forked { .. } | Event::Started { .. } => Self::Run,
            _ if record.command_id.is_some() || record.author != Author::System => Self::Command,
            _ => Self::Run,
        }
    }
}

impl FromStr for EntryKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// A word that names no kind of entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = EntryKind::ALL.map(EntryKind::word).join(", ");
        write!(f, "{:?} is not a kind of entry: the kinds are {known}", self.0)
    }
}

impl std::error::Error for UnknownKind {}

/// A run, an experiment, a sweep, a comparison or a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum EntrySubject {
    Run {
        id: RunId,
        /// Name on the page.
        name: String,
    },
    Experiment {
        id: u64,
        /// Its title.
        name: String,
    },
    Sweep {
        id: i64,
        name: String,
    },
    Comparison {
        /// All its runs, those of the baseline first.
        runs: Vec<RunId>,
        /// Their names.
        name: String,
    },
    Conversation {
        id: i64,
        /// `Conversation 12`.
        name: String,
    },
}

impl EntrySubject {
    /// The name of the run, the experiment, the sweep or the conversation, or the names of the runs of a comparison.
    pub fn name(&self) -> &str {
        match self {
            Self::Run { name, .. }
            | Self::Experiment { name, .. }
            | Self::Sweep { name, .. }
            | Self::Comparison { name, .. }
            | Self::Conversation { name, .. } => name,
        }
    }
}

/// An entry of the research journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JournalEntry {
    /// Its place in the order of the journal, unique in the lab.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub place: Place,
    pub kind: EntryKind,
    pub author: Author,
    pub subject: EntrySubject,
    /// Step of the run; `None` for experiments, conversations, and sweeps as a whole.
    pub step: Option<u64>,
    pub text: String,
}

impl JournalEntry {
    /// Time, ms since 1970.
    pub fn at_ms(&self) -> i64 {
        self.place.at_ms
    }

    /// Whether its text, its author or the name of its subject have all words, which are in lower case.
    pub fn has_words(&self, words: &[String]) -> bool {
        let whole = format!("{} {} {}", self.text, self.subject.name(), self.author.name()).to_lowercase();
        words.iter().all(|word| whole.contains(word.as_str()))
    }
}

/// Some entries of the research journal, newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JournalPage {
    pub entries: Vec<JournalEntry>,
    /// `before` of the next page; `None` if there are no older entries. A page of a search may have fewer entries than the limit and yet be
    /// followed by others, because a request reads a bounded number of entries.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub next: Option<Place>,
}

/// Where an entry was recorded. Entries of the same time are in this order. The number of a source is part of a [`Place`] as text, and of the
/// queries in `crates/store/src/database/research_journal.rs`: add new sources at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Event,
    Finding,
    Experiment,
    SweepStart,
    SweepDecision,
    SweepEnd,
    Comparison,
    Conversation,
}

impl Source {
    pub const ALL: [Self; 8] = [
        Self::Event,
        Self::Finding,
        Self::Experiment,
        Self::SweepStart,
        Self::SweepDecision,
        Self::SweepEnd,
        Self::Comparison,
        Self::Conversation,
    ];
}

/// The place of an entry: time, source, id of its run, experiment or sweep, and number there. As text `1764500000000.0.17.amber-fox`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// ms since 1970.
    pub at_ms: i64,
    pub source: Source,
    pub owner: String,
    pub number: i64,
}

/// A text that is no place in a research journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceError;

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a place in a research journal: give the `next` of the page before")
    }
}

impl std::error::Error for PlaceError {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.at_ms, self.source as u8, self.number, self.owner)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [at_ms, source, number, owner] = parts[..] else { return Err(PlaceError) };
        let source = source.parse().ok().and_then(|at: usize| Source::ALL.get(at).copied()).ok_or(PlaceError)?;
        let at_ms = at_ms.parse().map_err(|_| PlaceError)?;
        Ok(Self { at_ms, source, owner: owner.to_owned(), number: number.parse().map_err(|_| PlaceError)? })
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_as_text_and_other_texts_are_refused() {
        let place = Place { at_ms: 1234, source: Source::SweepDecision, owner: "amber-fox".into(), number: 17 };
        assert_eq!(place.to_string(), "1234.4.17.amber-fox");
        assert_eq!(place.to_string().parse(), Ok(place.clone()));
        let json = serde_json::to_string(&place).unwrap();
        assert_eq!(serde_json::from_str::<Place>(&json).unwrap(), place);
        for text in ["", "1234", "1234.9.17.a", "x.0.17.a", "1234.0.x.a", "1234.0.17"] {
            assert_eq!(text.parse::<Place>(), Err(PlaceError), "{text}");
        }
    }

    #[test]
    fn kinds_are_words_and_events_of_people_are_commands() {
        for kind in EntryKind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.word()));
        }
        assert!("look".parse::<EntryKind>().unwrap_err().to_string().contains("hypothesis, verdict"));
        let check = |author: Author, command_id, event, expected| {
            let (number, segment, step, at_ms, reason) = (1, 0, 5, 9, None);
            let record = EventRecord { number, segment, step, at_ms, author, command_id, reason, event };
            assert_eq!(EntryKind::of_event(&record), expected, "{record:?}");
        };
        let ada = || Author::Person("ada".into());
        check(ada(), Some(1), Event::Paused, EntryKind::Command);
        check(Author::Rule("Divergence".into()), None, Event::Stopped, EntryKind::Command);
        check(Author::System, None, Event::Finished, EntryKind::Run);
        check(ada(), None, Event::Queued, EntryKind::Run);
        check(ada(), None, Event::Annotated { text: "x".into() }, EntryKind::Note);
    }

    #[test]
    fn words_are_found_in_text_author_and_name() {
        let entry = JournalEntry {
            place: "9.0.1.amber-fox".parse().unwrap(),
            kind: EntryKind::Note,
            author: Author::Person("Ada".into()),
            subject: EntrySubject::Run { id: "amber-fox".parse().unwrap(), name: "Wide".into() },
            step: Some(4),
            text: "The loss fell".into(),
        };
        let has = |search: &str| entry.has_words(&search.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert!(has("") && has("loss ada wide") && !has("loss bo"));
    }
}
