//! Progress on a terminal: a bar for a training, a line for work on a dataset. If standard error is not a terminal, a line is printed
//! every few seconds instead.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use wire::Event;
use wire::number::brief;
use wire::series::{Row, name};
use wire::transport::link::{Item, Report};

use crate::output;

/// Time between two drawings of the bar on a terminal, and between two lines elsewhere.
const REDRAW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of a training: one line that is redrawn on a terminal, a line every few seconds elsewhere.
pub(crate) struct Bar {
    /// Steps that were done before.
    first: u64,
    steps: u64,
    began: Instant,
    drawn: Instant,
    is_terminal: bool,
}

impl Bar {
    pub(crate) fn new(first: u64, steps: u64) -> Self {
        let now = Instant::now();
        Self { first, steps, began: now, drawn: now, is_terminal: io::stderr().is_terminal() }
    }

    pub(crate) fn add(&mut self, item: &Item) {
        match item {
            Item::Row(row) => self.draw(row),
            Item::Event(Report { event: Event::Sampled { prompt, text, .. }, step, .. }) => {
                self.print(&format!("step {step}, sample: {prompt}{}", text.trim_end()))
            }
            Item::Event(report) => self.print(&format!("step {}: {}", report.step, report.event.phrase())),
            Item::Snapshot(_) => {}
        }
    }

    fn draw(&mut self, row: &Row) {
        let value = |wanted: &str| row.values.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let Some(loss) = value(name::TRAIN) else { return };
        let every = if self.is_terminal { REDRAW_EVERY } else { LINE_EVERY };
        let done = row.step + 1;
        if self.drawn.elapsed() < every && done < self.steps {
            return;
        }
        self.drawn = Instant::now();
        let done_here = done.saturating_sub(self.first).max(1);
        let left_secs = self.began.elapsed().as_secs_f64() / done_here as f64 * self.steps.saturating_sub(done) as f64;
        let speed = value(name::TOKENS_PER_SEC).unwrap_or(0.0);
        let filled = (done * 24 / self.steps.max(1)) as usize;
        let bar = format!("{}{}", "█".repeat(filled.min(24)), "░".repeat(24 - filled.min(24)));
        let text = format!(
            "{bar} {done}/{} loss {loss:.3} nats, {} tok/s, {} left",
            self.steps,
            brief(speed),
            spell(left_secs)
        );
        match self.is_terminal {
            true => output::progress(format_args!("\r\x1b[2K{text}")),
            false => output::notice(text),
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn print(&self, text: &str) {
        let clear = if self.is_terminal { "\r\x1b[2K" } else { "" };
        output::notice(format_args!("{clear}{text}"));
    }

    pub(crate) fn end(&self) {
        if self.is_terminal {
            output::notice("");
        }
        output::notice(format_args!("took {}", spell(self.began.elapsed().as_secs_f64())));
    }
}

/// Progress of work on a dataset, on one line.
pub(crate) struct Line {
    what: String,
    drawn: Option<Instant>,
    is_terminal: bool,
}

impl Line {
    pub(crate) fn new(what: String) -> Self {
        Self { what, drawn: None, is_terminal: io::stderr().is_terminal() }
    }

    pub(crate) fn show(&mut self, done: u64, total: Option<u64>, unit: &str) -> bool {
        if self.is_terminal && self.drawn.is_none_or(|at| at.elapsed() > REDRAW_EVERY) {
            self.drawn = Some(Instant::now());
            let share = total.map_or(String::new(), |total| format!(" of {total}"));
            output::progress(format_args!("\r\x1b[2K{}: {done}{share} {unit}", self.what));
        }
        true
    }

    pub(crate) fn end(&self) {
        if self.drawn.is_some() {
            output::notice("");
        }
    }
}

fn spell(secs: f64) -> String {
    match secs {
        secs if secs < 90.0 => format!("{secs:.0} s"),
        secs if secs < 5400.0 => format!("{:.0} min", secs / 60.0),
        secs => format!("{:.1} h", secs / 3600.0),
    }
}
