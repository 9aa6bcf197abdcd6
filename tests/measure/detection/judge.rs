//! The rules over recorded runs, in the order in which the runs reported their values. Rules know the facts of a run and its series, and no
//! event of its journal.

use research::rules::{Checker, Finding, Level, Settings};

use crate::fault::{self, Fault};
use crate::record::{Description, Record};

/// A run with the findings of all rules.
#[derive(Debug, Clone)]
pub(crate) struct Judged<'a> {
    pub(crate) record: &'a Record,
    pub(crate) fault: Option<&'static Fault>,
    pub(crate) findings: Vec<Finding>,
}

/// Judges runs with these settings, on all cores.
pub(crate) fn judge<'a>(records: &'a [Record], settings: &Settings) -> Vec<Judged<'a>> {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let of_each = records.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = records
            .chunks(of_each)
            .map(|part| scope.spawn(|| part.iter().map(|record| Judged::new(record, settings)).collect::<Vec<_>>()))
            .collect();
        // A panic of a rule ends the measurement.
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

impl<'a> Judged<'a> {
    fn new(record: &'a Record, settings: &Settings) -> Self {
        let mut checker = Checker::new(settings.clone());
        let facts = &record.description.facts;
        let findings = record.rows.iter().flat_map(|(step, values)| checker.feed(facts, *step, values)).collect();
        Self { record, fault: record.description.fault.as_deref().and_then(fault::find), findings }
    }

    pub(crate) fn description(&self) -> &'a Description {
        &self.record.description
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.description().fault.is_none()
    }

    /// Whether it counts in the pooled recall.
    pub(crate) fn is_pooled(&self) -> bool {
        self.fault.is_some_and(|fault| !fault.is_note)
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.level == Level::Alert)
    }

    /// The first alert that names the fault, at its first step or later; for a fault with notes only, the first such note.
    pub(crate) fn detection(&self) -> Option<&Finding> {
        let fault = self.fault?;
        let is_of = |finding: &&Finding| {
            (fault.is_note || finding.level == Level::Alert)
                && fault.rules.contains(&finding.rule.as_str())
                && finding.step >= self.description().fault_step
        };
        self.findings.iter().find(is_of)
    }

    /// Steps from the fault to the alert that names it.
    pub(crate) fn delay(&self) -> Option<u64> {
        Some(self.detection()?.step - self.description().fault_step)
    }

    /// The first alert of any rule, at the first step of the fault or later.
    pub(crate) fn any_alert(&self) -> Option<&Finding> {
        self.alerts().find(|finding| finding.step >= self.description().fault_step)
    }

    /// Alerts that are false: all of a healthy run, and those before the fault.
    pub(crate) fn false_alarms(&self) -> impl Iterator<Item = &Finding> {
        let is_false = |finding: &&Finding| self.is_healthy() || finding.step < self.description().fault_step;
        self.alerts().filter(is_false)
    }

    /// Whether a rule found something of this level or a higher one.
    pub(crate) fn has(&self, rule: &str, level: Level) -> bool {
        self.findings.iter().any(|finding| finding.rule == rule && finding.level >= level)
    }

    /// [`Self::has`], at the first step of the fault or later.
    pub(crate) fn has_after_fault(&self, rule: &str, level: Level) -> bool {
        let is_after = |finding: &&Finding| finding.step >= self.description().fault_step;
        self.findings.iter().filter(is_after).any(|finding| finding.rule == rule && finding.level >= level)
    }
}
