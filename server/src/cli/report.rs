//! `kindling report`: the research journal of a project as a file, whether or not a server holds the folder.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use store::{Store, StoreError};

use super::data::{DataArgs, UnusedFolder};
use crate::export::report::{self, Format, Gathered};
use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  Write the project default as one HTML file that opens without a server:
    kindling report default --output default.html
  Write it as Markdown:
    kindling report default --output default.md
  Print Markdown:
    kindling report default";

/// Writes the research journal of a project: hypotheses, verdicts, sweeps, runs with loss curves, findings and calibration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Name of the project; a lab with one person has the project `default`
    #[arg(value_name = "PROJECT")]
    project: String,
    /// File format [default: html if the name of the file ends in .html, else markdown]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling report`.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} could not be written: {source}; give another file with --output", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl ReportArgs {
    /// Writes the report to the file, or prints it.
    ///
    /// # Errors
    /// There is no lab in the folder, or no such project in it; the store or the disk fails.
    pub async fn run(self) -> Result<(), ReportError> {
        let store = Store::open_access(self.data.used()?).await?;
        // The conversations of people are theirs alone, and nobody has signed in here.
        let gathered = Gathered::read(&store, &self.project, None).await?;
        let text = report::write(&gathered, self.format());
        match &self.output {
            Some(path) => save(path, &text)?,
            None => output::bytes(text.as_bytes())?,
        }
        Ok(())
    }

    fn format(&self) -> Format {
        let ending = self.output.as_deref().and_then(Path::extension);
        let by_name = if ending.is_some_and(|ending| ending == "html") { Format::Html } else { Format::Markdown };
        self.format.unwrap_or(by_name)
    }
}

fn save(path: &Path, text: &str) -> Result<(), ReportError> {
    std::fs::write(path, text).map_err(|source| ReportError::File { path: path.to_owned(), source })?;
    Ok(output::line(path.display())?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Subcommand};

    #[test]
    fn the_format_follows_the_name_of_the_file_unless_it_is_given() {
        for (arguments, format) in [
            (vec![], Format::Markdown),
            (vec!["--output", "a.html"], Format::Html),
            (vec!["--output", "a.md"], Format::Markdown),
            (vec!["--output", "a.txt", "--format", "html"], Format::Html),
        ] {
            let line = ["kindling", "report", "default"].into_iter().chain(arguments.clone());
            let Subcommand::Report(parsed) = Cli::parse_from(line).subcommand else { panic!("{arguments:?}") };
            assert_eq!(parsed.format(), format, "{arguments:?}");
        }
    }
}
