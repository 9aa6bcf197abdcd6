//! What the Run page shares with its part for findings ([`super::findings`]): the markers on the charts, the open card, and the health line.

use figure::number;
use figure::spec::Marker;
use leptos::prelude::*;
use wire::EventRecord;
use wire::control::author::Author;

use super::open_run::OpenRun;
use crate::components::chart::MarkerText;

/// Set in the number of a marker that stands for a finding and not for an event of the journal.
const FINDING: u64 = 1 << 63;

/// A finding on the charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FindingMark {
    /// Number of the finding in the run.
    pub(super) id: u64,
    pub(super) segment: u32,
    pub(super) step: u64,
    pub(super) is_alert: bool,
    /// What was found: `loss spike`.
    pub(super) phrase: String,
    /// What was seen, as a sentence.
    pub(super) text: String,
}

/// The state that the page and the part share.
#[derive(Debug, Clone, Copy)]
pub(super) struct FindingMarks {
    /// Whether the findings are listed below the health line.
    pub(super) is_open: RwSignal<bool>,
    /// The finding whose card is open.
    pub(super) card: RwSignal<Option<u64>>,
    pub(super) marks: RwSignal<Vec<FindingMark>>,
    /// The newest findings in words; `None` as long as the part is not loaded, and without findings.
    pub(super) line: RwSignal<Option<String>>,
    /// Changes when findings are new or have changed.
    pub(super) news: RwSignal<u32>,
    /// Reason, and batches to skip, with which the form of a remedy opens.
    pub(super) entered: StoredValue<Option<(String, u64)>>,
    /// What rules have just done, until the part has said it.
    pub(super) acts: RwSignal<Vec<EventRecord>>,
}

impl FindingMarks {
    pub(super) fn new() -> Self {
        Self {
            is_open: RwSignal::new(false),
            card: RwSignal::new(None),
            marks: RwSignal::new(vec![]),
            line: RwSignal::new(None),
            news: RwSignal::new(0),
            entered: StoredValue::new(None),
            acts: RwSignal::new(vec![]),
        }
    }

    /// Opens the card of a finding.
    pub(super) fn show(self, id: u64) {
        self.is_open.set(true);
        self.card.set(Some(id));
    }

    /// The finding of a marker; `None` for an event of the journal.
    pub(super) fn finding_of(number: u64) -> Option<u64> {
        (number & FINDING != 0).then_some(number & !FINDING)
    }

    /// The markers with their numbers, which are greater than those of events.
    pub(super) fn markers(self, run: &OpenRun) -> impl Iterator<Item = (Marker, u64)> {
        let place = |mark: FindingMark| {
            let marker = Marker {
                x: run.curves.place_event(mark.segment, mark.step),
                phrase: mark.phrase,
                author: Author::Rule(String::new()),
                is_alarm: mark.is_alert,
                is_change: false,
            };
            (marker, FINDING | mark.id)
        };
        self.marks.get_untracked().into_iter().map(place)
    }

    /// The text of the marker of a finding.
    pub(super) fn describe(self, id: u64) -> Option<MarkerText> {
        let marks = self.marks.read_untracked();
        let mark = marks.iter().find(|mark| mark.id == id)?;
        let level = if mark.is_alert { "alert" } else { "note" };
        Some(MarkerText {
            phrase: mark.phrase.clone(),
            origin: format!("step {} · {level}", number::whole(mark.step)),
            reason: Some(mark.text.clone()),
        })
    }
}
