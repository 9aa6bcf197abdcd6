//! The tables of a bench, as text.

use std::fmt::Write;

use wire::hyperparameters::recipe::Precision;
use wire::number::{brief, counted, grouped};

use super::baseline::Comparison;
use super::document::{Document, Estimated, Round, Settings, median};

/// The settings in a line.
pub(super) fn title(settings: &Settings) -> String {
    let Settings { preset, tokenizer, dataset, steps, precision, threads, overrides } = settings;
    let changed: String = overrides.iter().map(|(path, value)| format!(", {path} = {value}")).collect();
    let (steps, threads) = (counted(*steps, "step"), counted(*threads as u64, "thread"));
    format!("{preset}{changed}; {dataset}, tokenizer {tokenizer}; {steps}, {precision}, {threads}")
}

/// The header over the lines of [`round`].
pub(super) fn rounds_header() -> String {
    format!(
        "{:>5} {:>9} {:>11} {:>11} {:>9} {:>9}  other program",
        "round", "tok/s", "valid loss", "train loss", "overhead", "secs"
    )
}

/// A line for a round.
pub(super) fn round(round: &Round) -> String {
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let other = round
        .other_program
        .as_ref()
        .map_or(String::new(), |other| format!("{:.0} tok/s, {} nats", other.tokens_per_sec, number(other.valid_nats)));
    let line = format!(
        "{:>5} {:>9.0} {:>11} {:>11} {:>8.2}% {:>9.1}  {other}",
        round.seed,
        round.tokens_per_sec,
        number(round.valid_nats),
        number(round.train_nats),
        round.other_fraction * 100.0,
        round.secs
    );
    line.trim_end().to_owned()
}

/// Everything after the rounds.
pub(super) fn summary(document: &Document) -> String {
    let mut text = totals(&document.rounds);
    let Document { ceiling, model, .. } = document;
    let _ = writeln!(
        text,
        "ceiling: {:.1} GFLOP/s, products of square matrices{}; {:.1} GB/s, triad over {:.0} MB",
        ceiling.flops_per_sec / 1e9,
        instructions(document),
        ceiling.bytes_per_sec / 1e9,
        ceiling.array_bytes as f64 / 1e6
    );
    let _ = writeln!(
        text,
        "training: {:.0} tokens/s, {:.0} % of the ceiling; {} parameters, {} tokens per step, {}",
        document.tokens_per_sec,
        document.peak_fraction * 100.0,
        grouped(model.parameters),
        grouped(model.tokens_per_step),
        counted(model.replicas as u64, "replica")
    );
    let _ = writeln!(text, "memory: {}", estimated(&document.memory_bytes, 1e-6, "MB"));
    let _ = writeln!(text, "training time: {}", estimated(&document.training_secs, 1.0, "s"));
    text + "\n" + &operators(document) + "\n" + &scaling(document)
}

/// How products of bfloat16 are computed, if the training has them.
fn instructions(document: &Document) -> String {
    match &document.machine.bfloat16_instructions {
        _ if document.settings.precision != Precision::Bfloat16.name() => String::new(),
        Some(instructions) => format!(" by {instructions}"),
        None => " of rounded factors: the processor has no instructions for bfloat16".to_owned(),
    }
}

/// Means over the rounds.
fn totals(rounds: &[Round]) -> String {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let others = || rounds.iter().filter_map(|round| round.other_program.as_ref());
    let valid: Vec<f64> = rounds.iter().filter_map(|round| round.valid_nats).collect();
    let other_valid: Vec<f64> = others().filter_map(|other| other.valid_nats).collect();
    let mut text = String::new();
    for (whose, values) in [("", &valid), (" of the other program", &other_valid)] {
        if !values.is_empty() {
            let _ = writeln!(text, "validation{whose}, mean of {}: {:.4} nats", values.len(), mean(values));
        }
    }
    let mut ratios: Vec<f64> =
        rounds.iter().zip(others()).map(|(round, other)| round.tokens_per_sec / other.tokens_per_sec).collect();
    if !ratios.is_empty() {
        ratios.sort_by(f64::total_cmp);
        let middle = median(ratios.clone());
        let _ = writeln!(text, "speed divided by that of the other program: median {middle:.2} of {ratios:.2?}");
    }
    text
}

fn estimated(figure: &Estimated, factor: f64, unit: &str) -> String {
    let number = |value: Option<f64>| value.map_or("not known".into(), |value| format!("{:.1} {unit}", value * factor));
    let error = figure.error_percent.map_or(String::new(), |error| format!(" ({error:+.0} %)"));
    format!("{} measured, {} planned{error}", number(figure.measured), number(figure.planned))
}

/// The table by operator. An operator without counted work has no speed.
fn operators(document: &Document) -> String {
    let mut text = format!(
        "{:<26} {:<12} {:>9} {:>7} {:>9} {:>8} {:>7} {:>13}\n",
        "operator", "phase", "ms/step", "share", "GFLOP/s", "of peak", "GB/s", "of bandwidth"
    );
    let number = |value: f64, digits: usize| if value > 0.0 { format!("{value:.digits$}") } else { "-".to_owned() };
    let percent = |value: f64| if value > 0.0 { format!("{:.0} %", value * 100.0) } else { "-".to_owned() };
    for figures in &document.operators {
        let _ = writeln!(
            text,
            "{:<26} {:<12} {:>9.3} {:>5.1} % {:>9} {:>8} {:>7} {:>13}",
            figures.time.operator.label(),
            figures.time.phase.label(),
            figures.time.ms,
            figures.share * 100.0,
            number(figures.flops_per_sec / 1e9, 1),
            percent(figures.peak_fraction),
            number(figures.bytes_per_sec / 1e9, 1),
            percent(figures.bandwidth_fraction)
        );
    }
    let other = document.other_ms();
    for (name, ms) in [("other, and waiting", other), ("step", document.step_ms)] {
        let share = ms / document.step_ms.max(f64::MIN_POSITIVE) * 100.0;
        let _ = writeln!(text, "{name:<26} {:<12} {ms:>9.3} {share:>5.1} %", "");
    }
    text
}

/// The table of predictions for other numbers of threads.
fn scaling(document: &Document) -> String {
    let mut text = format!(
        "predicted from the times of the operators, if each thread keeps its memory bandwidth, or all share that of {}:\n\
         {:>7} {:>8} {:>11} {:>12} {:>12} {:>10}\n",
        counted(document.settings.threads as u64, "thread"),
        "threads",
        "replicas",
        "tok/s kept",
        "tok/s shared",
        "serial share",
        "efficiency"
    );
    for row in &document.scaling {
        let _ = writeln!(
            text,
            "{:>7} {:>8} {:>11.0} {:>12.0} {:>10.1} % {:>8.0} %",
            row.threads,
            row.replicas,
            row.tokens_per_sec,
            row.shared_tokens_per_sec,
            row.serial_share * 100.0,
            row.efficiency * 100.0
        );
    }
    text
}

/// The table of a comparison with a baseline.
pub(super) fn comparison(all: &[Comparison]) -> String {
    let mut text = format!("\n{:<40} {:>14} {:>14} {:>7}  spread\n", "figure", "baseline", "now", "ratio");
    for one in all {
        let spread = match one.is_outside_spread {
            Some(true) => "outside the spread of the rounds",
            Some(false) => "within",
            None => "not known",
        };
        let ratio = one.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        let (baseline, now) = (brief(one.baseline), brief(one.now));
        let _ = writeln!(text, "{:<40} {baseline:>14} {now:>14} {ratio:>7}  {spread}", one.figure);
    }
    text
}
