//! The report of a project: its research journal as one Markdown or HTML file, which can be read without the server and without other
//! files.
//!
//! - [`gathered`]: the data from the store; [`chapters`]: its text, as a list of [`document`] blocks;
//! - [`markdown`] and [`html`] write a document; each escapes all texts in one place, because anyone may write names and notes;
//! - [`figures`]: the loss curves.

mod chapters;
pub mod document;
mod figures;
mod gathered;
mod html;
mod markdown;

use research::calibration::{ProjectCalibration, calibration};
use store::{Store, StoreError};

use document::Document;
pub use gathered::Gathered;

/// A file format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Markdown,
    Html,
}

impl Format {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// The ending of its files.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }
}

/// How often the rules and the authors of a project were right.
///
/// # Errors
/// Those of the store.
pub async fn calibration_of(store: &Store, project: &str) -> Result<ProjectCalibration, StoreError> {
    let experiments = gathered::experiments_of(store, project).await?;
    Ok(calibration(store.finding_counts(project).await?, &experiments))
}

/// Writes a report from the gathered data. It blocks the thread while it draws some charts.
pub fn write(gathered: &Gathered, format: Format) -> String {
    let document: Document = chapters::document(gathered);
    match format {
        Format::Markdown => markdown::write(&document),
        Format::Html => html::write(&document),
    }
}
