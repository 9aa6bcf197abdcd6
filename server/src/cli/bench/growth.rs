//! `kindling bench --growth`: time and memory of a step while one size of the plan doubles, with the exponent of each, measured and planned.
//! [`super::growth_chart`] draws them.

use std::collections::BTreeMap;
use std::fmt::Write;

use engine::train::bench::growth::{LeftOut, Point, Size};
use research::statistics::line::Line;
use serde::Serialize;
use serde_json::Value;
use wire::number::{counted, grouped};

use super::document::{Machine, Settings, median};

/// What `--growth --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Growth {
    /// Version of Kindling.
    version: String,
    machine: Machine,
    preset: String,
    /// Hyperparameters that differ from the preset, by path.
    overrides: BTreeMap<String, Value>,
    tokenizer: String,
    dataset: String,
    precision: String,
    threads: usize,
    rounds: u64,
    pub(super) series: Vec<Series>,
    /// Plans that were not measured.
    left_out: Vec<LeftOut>,
}

/// One size that doubles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Series {
    pub(super) size: Size,
    pub(super) points: Vec<PointFigures>,
    /// Of the time of a step.
    time: Exponents,
    /// Of the memory that the training adds.
    memory: Exponents,
}

/// A value of the size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct PointFigures {
    pub(super) value: usize,
    /// Time of a step, seconds: the median over the rounds of the median of each.
    pub(super) secs: f64,
    /// That of each round.
    round_secs: Vec<f64>,
    pub(super) planned_secs: f64,
    /// Memory that the training added to the process, bytes.
    bytes: f64,
    planned_bytes: f64,
}

/// The exponent k of a power law `a size^k`, by least squares in logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Exponents {
    /// `None` for fewer than 2 points.
    measured: Option<f64>,
    /// Standard error; `None` for fewer than 3 points.
    standard_error: Option<f64>,
    /// The exponent of the planner's figures, from the work of each operator.
    planned: Option<f64>,
}

impl Exponents {
    fn new(points: &[PointFigures], measured: fn(&PointFigures) -> f64, planned: fn(&PointFigures) -> f64) -> Self {
        let fit = |of: fn(&PointFigures) -> f64| {
            let positive = points.iter().filter(move |point| of(point) > 0.0);
            Line::fit(positive.map(move |point| ((point.value as f64).ln(), of(point).ln())))
        };
        let line = fit(measured);
        Self {
            measured: line.map(|line| line.slope),
            standard_error: line.map(|line| line.slope_error).filter(|error| error.is_finite()),
            planned: fit(planned).map(|line| line.slope),
        }
    }
}

impl Series {
    /// `None` if nothing was measured.
    fn new(size: Size, measured: &[Point]) -> Option<Self> {
        let of_size = measured.iter().filter(|point| point.size == size);
        let mut points: Vec<PointFigures> = of_size.map(PointFigures::new).collect();
        points.sort_by_key(|point| point.value);
        let time = Exponents::new(&points, |point| point.secs, |point| point.planned_secs);
        let memory = Exponents::new(&points, |point| point.bytes, |point| point.planned_bytes);
        (!points.is_empty()).then_some(Self { size, points, time, memory })
    }
}

impl PointFigures {
    fn new(point: &Point) -> Self {
        Self {
            value: point.value,
            secs: median(point.secs.clone()),
            round_secs: point.secs.clone(),
            planned_secs: point.planned_secs,
            bytes: point.bytes,
            planned_bytes: point.planned_bytes as f64,
        }
    }
}

impl Growth {
    pub(super) fn new(
        machine: Machine,
        settings: Settings,
        rounds: u64,
        measured: &[Point],
        left_out: Vec<LeftOut>,
    ) -> Self {
        let Settings { preset, overrides, tokenizer, dataset, precision, threads, .. } = settings;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine,
            preset,
            overrides,
            tokenizer,
            dataset,
            precision,
            threads,
            rounds,
            series: Size::ALL.into_iter().filter_map(|size| Series::new(size, measured)).collect(),
            left_out,
        }
    }

    /// The plan in a line.
    pub(super) fn title(&self) -> String {
        let changed: String = self.overrides.iter().map(|(path, value)| format!(", {path} = {value}")).collect();
        let threads = counted(self.threads as u64, "thread");
        format!("growth of {}{changed}; tokenizer {}; {}, {threads}", self.preset, self.tokenizer, self.precision)
    }

    /// The tables as text.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        let _ = writeln!(
            text,
            "{:<16} {:>10} {:>11} {:>11} {:>11} {:>11}",
            "size", "value", "step, ms", "planned", "memory, MB", "planned"
        );
        for series in &self.series {
            for point in &series.points {
                let _ = writeln!(text, "{:<16} {}", series.size.label(), point.columns());
            }
        }
        text + "\n" + &self.exponents() + &self.not_measured()
    }

    fn exponents(&self) -> String {
        let mut text =
            format!("{:<16} {:>18} {:>8} {:>18} {:>8}\n", "exponent of", "time", "planned", "memory", "planned");
        for Series { size, time, memory, .. } in &self.series {
            let [time_words, memory_words] = [time, memory].map(Exponents::words);
            let [time, memory] = [time.planned, memory.planned].map(exponent);
            let _ = writeln!(text, "{:<16} {time_words:>18} {time:>8} {memory_words:>18} {memory:>8}", size.label());
        }
        text
    }

    fn not_measured(&self) -> String {
        let line = |LeftOut { size, value, why }: &LeftOut| {
            format!("not measured: {} {} and more: {why}\n", size.label(), grouped(*value as u64))
        };
        self.left_out.iter().map(line).collect()
    }
}

impl PointFigures {
    fn columns(&self) -> String {
        let [secs, planned_secs] = [self.secs, self.planned_secs].map(|secs| secs * 1000.0);
        let [bytes, planned_bytes] = [self.bytes, self.planned_bytes].map(|bytes| bytes / 1e6);
        let value = grouped(self.value as u64);
        format!("{value:>10} {secs:>11.2} {planned_secs:>11.2} {bytes:>11.0} {planned_bytes:>11.0}")
    }
}

impl Exponents {
    /// `1.93 ± 0.04`.
    fn words(&self) -> String {
        let error = self.standard_error.map_or(String::new(), |error| format!(" ± {error:.2}"));
        format!("{}{error}", exponent(self.measured))
    }
}

fn exponent(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}
