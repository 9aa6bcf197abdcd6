//! What the program prints: results on standard output; progress and notices on standard error.
//!
//! The reader of a pipe may close it at any time, as `head` does, and `println!` and `eprintln!` then panic. So this crate does not use them
//! (clippy's `print_stdout` and `print_stderr`). A closed standard output is the error [`OutputError::Closed`]: a command that only prints passes
//! it on and so ends, and `main` ends the program with status 0. A command whose work goes on without a reader drops it. A notice that cannot be
//! written is dropped, because no command depends on it.

use std::fmt::Display;
use std::io::{self, Write};

/// Reasons for which a result was not printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Its reader has closed the pipe.
    #[error("standard output is closed")]
    Closed,
    #[error("standard output cannot be written: {source}")]
    Failed { source: io::Error },
}

impl From<io::Error> for OutputError {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed { source },
        }
    }
}

/// Prints a line of a result.
///
/// # Errors
/// Standard output is closed or cannot be written.
pub fn line(text: impl Display) -> Result<(), OutputError> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints a result as it is.
///
/// # Errors
/// Those of [`line`].
pub fn bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(bytes).and_then(|()| out.flush())?)
}

/// Prints a line on standard error.
pub fn notice(text: impl Display) {
    progress(format_args!("{text}\n"));
}

/// Prints a text without a line break on standard error, which the next one replaces on a terminal.
pub fn progress(text: impl Display) {
    let mut out = io::stderr().lock();
    // A text that nobody can read does not stop the work that it describes.
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_told_apart_from_a_full_disk() {
        assert!(matches!(OutputError::from(io::Error::from(io::ErrorKind::BrokenPipe)), OutputError::Closed));
        let full = OutputError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, OutputError::Failed { .. }), "{full}");
    }
}
