//! The report on disk: written whole after each result and renamed into its place, so that a reader never sees a partial
//! file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::FullCheckError;
use crate::api::checks::REPORT_JSON;
use crate::output;
use wire::check::{CheckReport, Line, Outcome, Section};

use super::markdown;

/// Name of the Markdown file of the report.
const REPORT_MD: &str = "report.md";

/// A report that grows.
pub(crate) struct Writer {
    report: CheckReport,
    folders: Vec<PathBuf>,
    began: Instant,
}

impl Writer {
    /// Writes the report for the first time, into each of the folders.
    pub(crate) fn new(report: CheckReport, folders: Vec<PathBuf>, began: Instant) -> Result<Self, FullCheckError> {
        for folder in &folders {
            std::fs::create_dir_all(folder).map_err(|source| FullCheckError::file(folder, source))?;
        }
        let mut writer = Self { report, folders, began };
        writer.write()?;
        Ok(writer)
    }

    /// The report so far.
    pub(crate) fn report(&self) -> &CheckReport {
        &self.report
    }

    /// Time since the check began, seconds.
    pub(crate) fn secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Paths of the report, one per line.
    pub(crate) fn paths(&self) -> String {
        self.folders.iter().map(|folder| folder.join(REPORT_MD).display().to_string()).collect::<Vec<_>>().join("\n")
    }

    /// Records that a section starts.
    pub(crate) fn begin(&mut self, at: usize, limit_secs: f64) -> Result<(), FullCheckError> {
        let section = &mut self.report.sections[at];
        (section.outcome, section.limit_secs) = (Outcome::Running, limit_secs);
        show(format_args!("{} (at most {limit_secs:.0} s): {}", section.name, section.question));
        self.write()
    }

    /// Adds a result of a section.
    pub(crate) fn add(&mut self, at: usize, line: Line) -> Result<(), FullCheckError> {
        show(format_args!("  {}", markdown::plain(&line)));
        self.report.sections[at].add(line);
        self.write()
    }

    /// Ends a section by what it found.
    pub(crate) fn end(&mut self, at: usize, secs: f64) -> Result<(), FullCheckError> {
        let section: &mut Section = &mut self.report.sections[at];
        section.secs = secs;
        section.end();
        show(format_args!("  {} in {secs:.1} s", section.outcome.word()));
        self.write()
    }

    /// Records that a section is not run.
    pub(crate) fn leave_out(&mut self, at: usize, reason: &str) -> Result<(), FullCheckError> {
        let section = &mut self.report.sections[at];
        (section.outcome, section.reason) = (Outcome::NotRun, reason.to_owned());
        show(format_args!("{}: not run: {reason}", section.name));
        self.write()
    }

    fn write(&mut self) -> Result<(), FullCheckError> {
        self.report.secs = self.secs();
        let json = serde_json::to_string_pretty(&self.report)?;
        let text = markdown::whole(&self.report);
        for folder in &self.folders {
            replace(&folder.join(REPORT_JSON), &json)?;
            replace(&folder.join(REPORT_MD), &text)?;
        }
        Ok(())
    }
}

/// Prints a line of progress. The check goes on without a reader, because it writes its report to the disk.
fn show(text: fmt::Arguments<'_>) {
    let _ = output::line(text);
}

fn replace(path: &Path, text: &str) -> Result<(), FullCheckError> {
    let temporary = path.with_extension("part");
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|source| FullCheckError::file(path, source))
}
