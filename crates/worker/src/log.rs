//! The last lines of this process's log, which it sends to the server beside its reports.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::transport::note::{LOG_BYTES, LOG_LINES};

/// The last [`LOG_LINES`] lines of a log; cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct WorkerLog(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    /// How many of the kept lines are sent, from the oldest on.
    sent: usize,
}

impl WorkerLog {
    /// Adds the lines of a text, without the escape sequences of terminals.
    pub fn add(&self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let mut lines = self.lock();
        for line in text.lines().map(plain).filter(|line| !line.is_empty()) {
            lines.kept.push_back(line);
        }
        let over = lines.kept.len().saturating_sub(LOG_LINES);
        lines.kept.drain(..over);
        lines.sent = lines.sent.saturating_sub(over);
    }

    /// The next lines to send, at most [`LOG_BYTES`] of them.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut lines = self.lock();
        let (mut taken, mut bytes) = (vec![], 0);
        for line in lines.kept.iter().skip(lines.sent) {
            bytes += line.len();
            if bytes > LOG_BYTES && !taken.is_empty() {
                break;
            }
            taken.push(line.clone());
        }
        lines.sent += taken.len();
        taken
    }

    /// Sends all kept lines again, because a new connection begins.
    pub(crate) fn rewind(&self) {
        self.lock().sent = 0;
    }

    // Lines and their count are consistent after each statement that can panic.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line without escape sequences and other control characters, at most a quarter of a note long.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            // A colour: ESC [ numbers m.
            '\u{1b}' => drop(rest.by_ref().find(char::is_ascii_alphabetic)),
            _ if c.is_control() => {}
            _ if text.len() >= LOG_BYTES / 4 => break,
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_sent_once_in_bounded_notes_and_again_after_a_break() {
        let log = WorkerLog::default();
        log.add(b"\x1b[2m12:00\x1b[0m \x1b[32m INFO\x1b[0m linked\n");
        assert_eq!(log.take(), ["12:00  INFO linked"]);
        assert!(log.take().is_empty());
        (0..300).for_each(|line| log.add(format!("{line} {}\n", "x".repeat(100)).as_bytes()));
        let mut sent = vec![];
        loop {
            let note = log.take();
            if note.is_empty() {
                break;
            }
            assert!(note.iter().map(String::len).sum::<usize>() <= LOG_BYTES);
            sent.extend(note);
        }
        assert_eq!((sent.len(), sent[0].split(' ').next()), (LOG_LINES, Some("100")), "the oldest are dropped");
        log.rewind();
        assert_eq!(log.take()[0], sent[0]);
        log.add(&[b'y'; 100_000]);
        assert!(log.0.lock().unwrap().kept.back().unwrap().len() <= LOG_BYTES / 4);
    }
}
