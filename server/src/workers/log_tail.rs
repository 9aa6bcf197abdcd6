//! The end of a worker's log, as its notes bring it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::transport::note::LOG_LINES;

/// Longest line that is kept, characters.
const LINE_CHARS: usize = 500;

/// The last [`LOG_LINES`] lines of a log.
#[derive(Debug, Default)]
pub struct LogTail(Mutex<VecDeque<String>>);

impl LogTail {
    /// Adds lines at the end.
    pub(super) fn add(&self, lines: Vec<String>) {
        let mut kept = self.lock();
        for line in lines {
            kept.push_back(line.chars().filter(|c| !c.is_control()).take(LINE_CHARS).collect());
        }
        let over = kept.len().saturating_sub(LOG_LINES);
        kept.drain(..over);
    }

    /// Puts the lines of an earlier process before those of this one.
    pub(super) fn continue_from(&self, earlier: &LogTail) {
        let before = earlier.lines();
        let mut kept = self.lock();
        let room = LOG_LINES.saturating_sub(kept.len());
        for line in before.into_iter().rev().take(room) {
            kept.push_front(line);
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    // A list of lines is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_two_processes_are_kept_in_order() {
        let (first, second) = (LogTail::default(), LogTail::default());
        first.add((0..300).map(|line| format!("first {line}\u{1b}")).collect());
        assert_eq!((first.lines().len(), first.lines()[0].as_str()), (LOG_LINES, "first 100"));
        second.add(vec!["second 0".to_owned(), "x".repeat(9999)]);
        second.continue_from(&first);
        let lines = second.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LOG_LINES, "first 102"));
        assert_eq!((lines[197].as_str(), lines[198].as_str(), lines[199].len()), ("first 299", "second 0", LINE_CHARS));
    }
}
