//! The rules of one run: they read its values in order, and return to where a rollback left the path that they had read.

use std::ops::Range;

use research::rules::{Checker, Facts, RULES, Settings, is_read, label, sentence};
use store::{DiagnosisRecord, Moment, NewFinding, Recorded, RuleState, Store, StoreError};
use wire::RunId;
use wire::diagnosis::{Active, DiagnosisSettings, Finding, Level, TakenAction};
use wire::series::Row;

use super::facts::facts;
use super::non_finite;

/// Steps of stored values that are read at a time.
const AT_ONCE: u64 = 512;
/// Statistics of parameters arrive from a GPU some steps late: this many steps before the end are read again.
const LATE_STEPS: u64 = 64;
/// Steps between stored states. After the server was killed, the rules read as many again.
const SAVE_STEPS: u64 = 1_024;

/// The path of a run: (segment, first step, one past the last).
type Path = Vec<(u32, u64, Option<u64>)>;

/// The rules of a run, and what they have read.
pub(super) struct Watch {
    run: RunId,
    checker: Checker,
    settings: DiagnosisSettings,
    facts: Facts,
    path: Path,
    /// Values that were not finite, from the journal: their steps have no row.
    non_finite: Vec<Row>,
    /// Conditions that were true after the last values.
    active: Vec<Active>,
    saved_step: Option<u64>,
    /// Whether the numbers of the run's findings were stored.
    is_counted: bool,
    /// Whether a worker had loaded the run when its journal was last read.
    is_live: bool,
}

/// What of the stored values is still to be read.
pub(super) struct Rest {
    steps: Range<u64>,
    /// Earlier steps were decided before; they are read only to have the state of the rules there.
    decided: u64,
}

impl Rest {
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Watch {
    /// The stored state of a run's rules, or a new one.
    pub(super) async fn open(store: &Store, run: &RunId) -> Result<Self, StoreError> {
        let DiagnosisRecord { settings, state } = store.diagnosis(run).await?;
        let (path, bytes) = state.map(|RuleState { path, bytes, .. }| (path, bytes)).unwrap_or_default();
        // A state of another version, or a damaged one, is computed again from the stored values.
        let (mut checker, path) = match Checker::decode(&bytes) {
            Ok(checker) => (checker, path),
            Err(_) => (Checker::default(), Path::new()),
        };
        let of_rules = rules(&settings);
        if *checker.settings() != of_rules {
            checker.set_settings(of_rules);
        }
        Ok(Self {
            run: run.clone(),
            active: checker.active(),
            saved_step: checker.last_step(),
            checker,
            settings,
            facts: Facts::default(),
            path,
            non_finite: vec![],
            is_counted: false,
            is_live: false,
        })
    }

    /// Whether a worker had loaded the run when its journal was last read.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// The last step that the rules have read.
    pub(super) fn checked_step(&self) -> Option<u64> {
        self.checker.last_step()
    }

    /// Whether steps are missing between what the rules have read and new values. Values that reach the files and not the database, because the
    /// disk was full, count as repeated when they come again and are not passed on.
    pub(super) fn misses_steps_before(&self, rows: &[Row]) -> bool {
        let Some(last) = self.checker.last_step() else { return false };
        let mut next = last + 1;
        rows.iter().any(|row| {
            let is_missing = row.step > next;
            next = next.max(row.step + 1);
            is_missing
        })
    }

    /// Reads the journal, and returns to the step from which on its path is another one than the rules have read.
    pub(super) async fn follow(&mut self, store: &Store) -> Result<Rest, StoreError> {
        let view = store.run(&self.run).await?.ok_or_else(|| StoreError::UnknownRun { run: self.run.clone() })?;
        let path = store.history(&self.run).await?.spans();
        let events = store.events_for_rules(&self.run).await?;
        self.facts = facts(&view, &events);
        self.is_live = view.summary.state.is_live();
        self.non_finite = events.iter().filter_map(non_finite::row).collect();
        let read = self.checker.last_step().map_or(0, |last| last + 1);
        let mut rest = Rest { steps: read.saturating_sub(LATE_STEPS)..view.summary.step + LATE_STEPS, decided: 0 };
        if let Some(step) = first_difference(&self.path, &path)
            && step < read
        {
            let again = self.checker.rewind(step);
            rest = Rest { steps: again.start.min(rest.steps.start)..rest.steps.end, decided: step };
            self.active = self.checker.active();
            self.saved_step = self.saved_step.min(self.checker.last_step());
            self.is_counted = false;
        }
        self.path = path;
        Ok(rest)
    }

    /// Reads the next of the stored values.
    pub(super) async fn catch_up(&mut self, store: &Store, rest: &mut Rest) -> Result<Vec<Recorded>, StoreError> {
        let end = rest.steps.end.min(rest.steps.start + AT_ONCE);
        let rows = store.path_rows(&self.run, &self.path, rest.steps.start..end, is_read).await?;
        let rows = non_finite::inserted(rows, &self.non_finite, &self.path, rest.steps.start..end);
        let mut moments = vec![];
        for row in &rows {
            if row.step < rest.decided {
                self.checker.feed(&self.facts, row.step, &row.values);
                continue;
            }
            moments.extend(self.returned(rest));
            moments.extend(self.read_row(row));
        }
        if end >= rest.decided {
            moments.extend(self.returned(rest));
        }
        rest.steps.start = end;
        self.record(store, moments).await
    }

    /// After a rollback: the conditions that are true at the step to which the run has returned.
    fn returned(&mut self, rest: &mut Rest) -> Option<Moment> {
        let before = std::mem::take(&mut rest.decided).checked_sub(1)?;
        self.active = self.checker.active();
        Some(Moment { step: before, found: vec![], active: self.active.clone() })
    }

    /// Reads new values as they are stored. Those of an abandoned segment, which were on their way, are left out.
    pub(super) async fn read(&mut self, store: &Store, rows: &[Row]) -> Result<Vec<Recorded>, StoreError> {
        let segment = self.path.last().map_or(0, |(segment, ..)| *segment);
        let rows = rows.iter().filter(|row| row.segment == segment);
        let moments = rows.filter_map(|row| self.read_row(row)).collect();
        self.record(store, moments).await
    }

    fn read_row(&mut self, row: &Row) -> Option<Moment> {
        let found = self.checker.feed(&self.facts, row.step, &row.values);
        let active = self.checker.active();
        if found.is_empty() && active == self.active {
            return None;
        }
        self.active = active;
        let found = found.into_iter().map(|finding| self.new_finding(row.segment, finding)).collect();
        Some(Moment { step: row.step, found, active: self.active.clone() })
    }

    fn new_finding(&self, segment: u32, finding: Finding) -> NewFinding {
        let action = decision(&self.settings, &finding);
        NewFinding { segment, label: label(&finding), text: sentence(&finding), action, finding }
    }

    async fn record(&mut self, store: &Store, moments: Vec<Moment>) -> Result<Vec<Recorded>, StoreError> {
        if moments.is_empty() && (self.is_counted || self.checker.last_step().is_none()) {
            return Ok(vec![]);
        }
        let recorded = store.record_findings(&self.run, &self.path, &moments, checks(&self.settings)).await?;
        self.is_counted = true;
        Ok(vec![recorded])
    }

    /// Changes the settings from the next values on.
    pub(super) async fn set_settings(
        &mut self,
        store: &Store,
        settings: DiagnosisSettings,
    ) -> Result<Recorded, StoreError> {
        self.checker.set_settings(rules(&settings));
        self.settings = settings;
        let checks = self.checker.last_step().map_or(0, |_| checks(&self.settings));
        store.record_findings(&self.run, &self.path, &[], checks).await
    }

    /// Stores the state, if it is old enough or `is_last`.
    pub(super) async fn save(&mut self, store: &Store, is_last: bool) -> Result<(), StoreError> {
        let steps = |step: Option<u64>| step.map_or(0, |step| step + 1);
        let (last, saved) = (self.checker.last_step(), self.saved_step);
        if !is_last && steps(last) < steps(saved) + SAVE_STEPS {
            return Ok(());
        }
        match self.checker.encode() {
            Ok(bytes) => {
                let state = RuleState { path: self.path.clone(), bytes, checked_step: last };
                store.save_rule_state(&self.run, &state).await?;
                self.saved_step = last;
            }
            // The next server reads the stored values again.
            Err(error) => tracing::warn!("the state of the rules of {} was not stored: {error}", self.run),
        }
        Ok(())
    }
}

/// The part of the settings that concerns what is found. Stored settings were checked; those of another version may name rules that no longer
/// exist, and count as the default.
fn rules(settings: &DiagnosisSettings) -> Settings {
    Settings::try_from(settings).unwrap_or_default()
}

/// The number of rules that are not muted.
fn checks(settings: &DiagnosisSettings) -> u32 {
    RULES.iter().filter(|rule| !settings.muted.contains(rule.id)).count() as u32
}

/// What the rule of a finding does about it by these settings.
fn decision(settings: &DiagnosisSettings, finding: &Finding) -> Option<TakenAction> {
    let rule = research::rules::rule(&finding.rule)?;
    let act = settings.acts.get(rule.id).copied().or_else(|| rule.info().always)?;
    let is_urgent = finding.level == Level::Alert || rule.level == Level::Note;
    is_urgent.then_some(TakenAction { act, event: None, failure: None, was_done_before: false })
}

/// The first step that one path takes from another segment than the other; `None` if they are the same.
fn first_difference(before: &Path, after: &Path) -> Option<u64> {
    let at = |path: &Path, step: u64| {
        let span = path.iter().find(|(_, from, to)| step >= *from && to.is_none_or(|to| step < to));
        span.map(|(segment, ..)| *segment)
    };
    let mut steps: Vec<u64> =
        before.iter().chain(after).flat_map(|(_, from, to)| [Some(*from), *to]).flatten().collect();
    steps.sort_unstable();
    steps.into_iter().find(|step| at(before, *step) != at(after, *step))
}
