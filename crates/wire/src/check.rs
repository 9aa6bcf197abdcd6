//! The report of a device check, as `kindling check --full` writes it and the Settings page shows it: sections in order of importance,
//! each with checks (passed, failed, or not run with the reason) and figures. The engine measures the sections.

use serde::{Deserialize, Serialize};

use crate::device::DeviceInfo;

/// Version of the report's format.
pub const VERSION: u32 = 1;

/// How a check, a section or a whole report ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not begun.
    #[default]
    Waiting,
    /// In progress; an interrupted report keeps this value.
    Running,
    /// The check passed.
    Passed,
    /// The check failed.
    Failed,
    /// Skipped, with a reason.
    NotRun,
}

impl Outcome {
    /// As reports write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "interrupted",
            Self::Passed => "pass",
            Self::Failed => "FAIL",
            Self::NotRun => "not run",
        }
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// Name of the check.
    pub name: String,
    /// Outcome of the check.
    pub outcome: Outcome,
    /// What was found, or why it was not run.
    pub found: String,
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Figure {
    /// Name of the figure.
    pub name: String,
    /// Value; always finite.
    pub value: f64,
    /// Unit; empty for a plain ratio.
    pub unit: String,
    /// Method of the measurement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A result that a section reports as soon as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A check ended.
    Check(Check),
    /// A number was measured.
    Figure(Figure),
}

/// A part of the report with its own time limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Section {
    /// Name, as `--only` takes it.
    pub name: String,
    /// The question that the section answers.
    pub question: String,
    /// Time that it may take, seconds.
    pub limit_secs: f64,
    /// Time that it took, seconds.
    pub secs: f64,
    /// Outcome of the section.
    pub outcome: Outcome,
    /// Reason of a failure, or of not running it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Checks, in order.
    pub checks: Vec<Check>,
    /// Figures, in order.
    pub figures: Vec<Figure>,
}

impl Section {
    /// Adds a check or a figure. A figure that is not finite becomes a failed check.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Check(check) => self.checks.push(check),
            Line::Figure(figure) if figure.value.is_finite() => self.figures.push(figure),
            Line::Figure(figure) => self.checks.push(Check {
                found: format!("measured {}", figure.value),
                name: figure.name,
                outcome: Outcome::Failed,
            }),
        }
    }

    /// Sets the outcome of the section: failed if a check failed or nothing was reported, not run if its only results
    /// are checks that were not run, else passed.
    pub fn end(&mut self) {
        let first = |outcome| self.checks.iter().find(|check| check.outcome == outcome);
        let words = |check: &Check| format!("{}: {}", check.name, check.found);
        let has_passed = self.checks.iter().any(|check| check.outcome == Outcome::Passed);
        (self.outcome, self.reason) = match (first(Outcome::Failed), first(Outcome::NotRun)) {
            (Some(failed), _) => (Outcome::Failed, words(failed)),
            (None, Some(not_run)) if !has_passed && self.figures.is_empty() => (Outcome::NotRun, not_run.found.clone()),
            (None, None) if !has_passed && self.figures.is_empty() => {
                (Outcome::Failed, "the section reported no result".to_owned())
            }
            _ => (Outcome::Passed, String::new()),
        };
    }
}

/// The report of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckReport {
    pub version: u32,
    /// The program that checked, with its version.
    pub program: String,
    /// Device that was checked.
    pub device: DeviceInfo,
    /// Start, milliseconds since 1970.
    pub started_ms: i64,
    /// Time so far, seconds.
    pub secs: f64,
    /// Time limit of the whole check, seconds.
    pub limit_secs: f64,
    /// Sections, the most important first.
    pub sections: Vec<Section>,
}

impl CheckReport {
    /// The outcome of the whole report and a sentence that explains it.
    pub fn verdict(&self) -> (Outcome, String) {
        let names = |outcome| {
            let of = self.sections.iter().filter(|section| section.outcome == outcome);
            of.map(|section| section.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (failed, interrupted, waiting) = (names(Outcome::Failed), names(Outcome::Running), names(Outcome::Waiting));
        let (passed, not_run) = (names(Outcome::Passed), names(Outcome::NotRun));
        let rest = if not_run.is_empty() { String::new() } else { format!("; not run: {not_run}") };
        if !failed.is_empty() {
            return (Outcome::Failed, format!("do not train on this device; failed: {failed}{rest}"));
        }
        if !interrupted.is_empty() || !waiting.is_empty() {
            let left =
                [interrupted, waiting].into_iter().filter(|names| !names.is_empty()).collect::<Vec<_>>().join(", ");
            return (Outcome::Running, format!("the check did not finish; no result for: {left}{rest}"));
        }
        if passed.is_empty() {
            return (Outcome::NotRun, format!("nothing was checked{rest}"));
        }
        (Outcome::Passed, format!("all checks that ran passed: {passed}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, outcome: Outcome) -> Line {
        Line::Check(Check { name: name.into(), outcome, found: "found".into() })
    }

    fn ended(lines: Vec<Line>) -> Section {
        let mut section = Section { name: "parity".into(), ..Section::default() };
        lines.into_iter().for_each(|line| section.add(line));
        section.end();
        section
    }

    #[test]
    fn a_section_ends_by_its_worst_check() {
        let figure =
            |value| Line::Figure(Figure { name: "speed".into(), value, unit: "tok/s".into(), note: String::new() });
        for (lines, expected) in [
            (vec![check("a", Outcome::Passed), check("b", Outcome::NotRun)], Outcome::Passed),
            (vec![check("a", Outcome::Passed), check("b", Outcome::Failed)], Outcome::Failed),
            (vec![check("a", Outcome::NotRun)], Outcome::NotRun),
            (vec![figure(1.0)], Outcome::Passed),
            (vec![figure(f64::NAN)], Outcome::Failed),
            (vec![], Outcome::Failed),
        ] {
            assert_eq!(ended(lines.clone()).outcome, expected, "{lines:?}");
        }
        assert_eq!(ended(vec![check("loss", Outcome::Failed)]).reason, "loss: found");
    }

    #[test]
    fn the_verdict_names_what_failed_before_all_else() {
        let section = |name: &str, outcome| Section { name: name.into(), outcome, ..Section::default() };
        let report = |sections| CheckReport {
            version: VERSION,
            program: "kindling".into(),
            device: DeviceInfo {
                id: "cpu".parse().unwrap(),
                name: "a processor".into(),
                kind: crate::device::DeviceKind::Cpu,
                backend: "flex".into(),
                cores: 2,
                memory_bytes: 0,
                flops_per_sec: 0.0,
                rates: None,
            },
            started_ms: 0,
            secs: 1.0,
            limit_secs: 350.0,
            sections,
        };
        let verdict = |sections| report(sections).verdict();
        assert_eq!(
            verdict(vec![section("a", Outcome::Passed)]),
            (Outcome::Passed, "all checks that ran passed: a".into())
        );
        let (outcome, sentence) = verdict(vec![section("a", Outcome::Failed), section("b", Outcome::Running)]);
        assert!(outcome == Outcome::Failed && sentence.contains("failed: a"), "{sentence}");
        assert_eq!(verdict(vec![section("a", Outcome::Passed), section("b", Outcome::Waiting)]).0, Outcome::Running);
        let whole = report(vec![section("a", Outcome::Passed)]);
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<CheckReport>(&text).unwrap(), whole);
    }
}
