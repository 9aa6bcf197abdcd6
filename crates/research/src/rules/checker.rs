//! The state of all rules for one run: reads rows in order, returns findings, and returns to an earlier step when the run does.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use wire::diagnosis::{Active, Finding};

use super::facts::Facts;
use super::list::Detectors;
use super::sample::Newest;
use super::settings::Settings;
use super::watch::RuleSettings;

/// Version of the encoded state. It changes with each change of a rule's state or formula.
const VERSION: u32 = 3;
/// Steps between copies of the state, to which a rollback returns.
const MARK_STEPS: u64 = 256;
/// Statistics of parameters arrive from a GPU some steps late, so that many steps before a copy are read again.
const LATE_STEPS: u64 = 64;

/// The state of all rules for one run. Its size and the cost of a step do not depend on the number of steps.
///
/// The same rows in the same order give the same findings, also when the state was encoded, decoded or rewound between them.
#[derive(Debug, Clone)]
pub struct Checker {
    settings: Settings,
    /// The settings of each rule, computed from `settings`.
    resolved: Vec<RuleSettings>,
    memory: Memory,
    /// Copies of the memory, oldest first; they are less dense the older they are.
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// The newest step of all series.
    last_step: Option<u64>,
    newest: Newest,
    detectors: Detectors,
}

/// The memory before any value of `step`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mark {
    step: u64,
    memory: Memory,
}

/// A state that cannot be decoded. The caller makes a new [`Checker`] and feeds the stored series again.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another version of the program wrote it.
    #[error(
        "the stored state of the rules has version {found}, and this program reads version {VERSION}; run the rules on the stored series again"
    )]
    Version { found: u32 },
    /// The bytes are incomplete or changed.
    #[error("the stored state of the rules is damaged; run the rules on the stored series again")]
    Damaged(#[source] postcard::Error),
    /// A value could not be encoded.
    #[error("the state of the rules could not be encoded")]
    Encode(#[source] postcard::Error),
}

impl Default for Checker {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

/// Equal checkers give equal findings for equal rows. Copies for rollbacks do not count: they depend on earlier rollbacks.
impl PartialEq for Checker {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings && self.memory == other.memory
    }
}

impl Checker {
    /// A checker that has read nothing.
    pub fn new(settings: Settings) -> Self {
        Self { resolved: settings.resolved(), settings, memory: Memory::default(), marks: vec![] }
    }

    /// Reads values of a step, by the names of [`wire::series::name`], and returns what became true with them.
    ///
    /// A step may be reported in several calls. Series that no rule reads are ignored, and so is a value whose series already has one at
    /// this or a later step: repeated reports change nothing. Values may be NaN or infinite.
    pub fn feed(&mut self, facts: &Facts, step: u64, values: &[(String, f64)]) -> Vec<Finding> {
        self.mark(step);
        let sample = self.memory.newest.sample(step, values);
        let mut found = vec![];
        if !sample.is_empty() {
            self.memory.last_step = self.memory.last_step.max(Some(step));
            self.memory.detectors.feed(&sample, facts, &self.resolved, &mut found);
        }
        found
    }

    /// Forgets all values of `step` and later, for a rollback to a checkpoint after `step` steps. Returns the steps whose stored values
    /// must be fed again; the range is empty if there are none. Findings at `step` or later belong to the abandoned segment.
    ///
    /// The state returns to a copy. Copies are 256 steps apart and less dense the older they are, so the range is at most about as long as
    /// the abandoned part, or 320 steps.
    pub fn rewind(&mut self, step: u64) -> Range<u64> {
        if self.memory.last_step.is_none_or(|last| last < step) {
            return step..step;
        }
        self.marks.retain(|mark| mark.step <= step);
        let mark = self.marks.last();
        self.memory = mark.map(|mark| mark.memory.clone()).unwrap_or_default();
        mark.map_or(0, |mark| mark.step.saturating_sub(LATE_STEPS))..step
    }

    /// The findings that have not ended, in the order of the rules.
    pub fn active(&self) -> Vec<Active> {
        self.memory.detectors.active()
    }

    /// The newest step that was read.
    pub fn last_step(&self) -> Option<u64> {
        self.memory.last_step
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings from the next step on. Findings of a rule that was muted are reported if their condition is still true.
    pub fn set_settings(&mut self, settings: Settings) {
        self.resolved = settings.resolved();
        self.settings = settings;
    }

    /// The state as bytes: a version, then postcard, which keeps every bit of a number. JSON may change the last one.
    ///
    /// # Errors
    /// A value could not be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, StateError> {
        let state = (&self.settings, &self.memory, &self.marks);
        let state = wire::encode::to_bytes(&state).map_err(StateError::Encode)?;
        Ok([&VERSION.to_le_bytes()[..], &state].concat())
    }

    /// Decodes what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Another version, or bytes that are incomplete or changed.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let Some((version, state)) = bytes.split_first_chunk::<4>() else {
            return Err(StateError::Damaged(postcard::Error::DeserializeUnexpectedEnd));
        };
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(StateError::Version { found });
        }
        let (settings, memory, marks): (Settings, Memory, Vec<Mark>) =
            wire::encode::from_bytes(state).map_err(StateError::Damaged)?;
        Ok(Self { resolved: settings.resolved(), settings, memory, marks })
    }

    /// Copies the memory before the first value of a step, if the last copy is old enough.
    fn mark(&mut self, step: u64) {
        let is_new = self.memory.last_step.is_some_and(|last| last < step);
        let from = self.marks.last().map_or(0, |mark| mark.step) + MARK_STEPS;
        if is_new && step >= from {
            self.marks.push(Mark { step, memory: self.memory.clone() });
            self.thin(step);
        }
    }

    /// Removes copies whose neighbours are closer to each other than to the newest step: about two for each doubling of the age remain.
    fn thin(&mut self, newest: u64) {
        let mut at = 1;
        while at + 1 < self.marks.len() {
            let (before, after) = (self.marks[at - 1].step, self.marks[at + 1].step);
            if after - before <= newest - after {
                self.marks.remove(at);
            } else {
                at += 1;
            }
        }
    }
}
