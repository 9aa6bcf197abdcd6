//! The report as Markdown: the verdict, a line for each section, then the results.

use wire::check::{Check, CheckReport, Figure, Line, Section};

use crate::live::clock::utc_minute;

/// The report as Markdown.
pub(crate) fn whole(report: &CheckReport) -> String {
    let (outcome, sentence) = report.verdict();
    let device = &report.device;
    let mut text = format!("# Device check: {}\n\n**{}: {sentence}.**\n\n", device.name, outcome.word().to_uppercase());
    text += &format!(
        "{}, device `{}` ({}), {}, {:.0} of at most {:.0} s.\n\n",
        report.program,
        device.id,
        device.backend,
        utc(report.started_ms),
        report.secs,
        report.limit_secs
    );
    text += "| section | question | result | time |\n| --- | --- | --- | --- |\n";
    report.sections.iter().for_each(|section| text += &row(section));
    report.sections.iter().for_each(|section| text += &details(section));
    text
}

fn row(section: &Section) -> String {
    let reason = if section.reason.is_empty() { String::new() } else { format!(": {}", cell(&section.reason)) };
    let word = section.outcome.word();
    let time = match section.secs {
        0.0 => "-".to_owned(),
        secs => format!("{secs:.0} of {:.0} s", section.limit_secs),
    };
    format!("| {} | {} | {word}{reason} | {time} |\n", section.name, section.question)
}

fn details(section: &Section) -> String {
    if section.checks.is_empty() && section.figures.is_empty() {
        return String::new();
    }
    let mut text = format!("\n## {}\n", section.name);
    if !section.checks.is_empty() {
        text += "\n| check | result | found |\n| --- | --- | --- |\n";
        let line =
            |check: &Check| format!("| {} | {} | {} |\n", cell(&check.name), check.outcome.word(), cell(&check.found));
        section.checks.iter().for_each(|check| text += &line(check));
    }
    if !section.figures.is_empty() {
        text += "\n| figure | value | how |\n| --- | --- | --- |\n";
        let line =
            |figure: &Figure| format!("| {} | {} | {} |\n", cell(&figure.name), value(figure), cell(&figure.note));
        section.figures.iter().for_each(|figure| text += &line(figure));
    }
    text
}

/// One result as a line of a terminal.
pub(crate) fn plain(line: &Line) -> String {
    match line {
        Line::Check(Check { name, outcome, found }) => format!("{:<7} {name}: {found}", outcome.word()),
        Line::Figure(figure) if figure.note.is_empty() => format!("        {}: {}", figure.name, value(figure)),
        Line::Figure(figure) => format!("        {}: {} ({})", figure.name, value(figure), figure.note),
    }
}

/// Four significant digits and the unit.
fn value(figure: &Figure) -> String {
    let size = figure.value.abs();
    let digits = match size {
        s if s >= 1000.0 || s == 0.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        s if s >= 0.01 => 3,
        _ => 6,
    };
    let number = if figure.value.fract() == 0.0 && size < 1000.0 { 0 } else { digits };
    let text = format!("{:.number$}", figure.value);
    if figure.unit.is_empty() { text } else { format!("{text} {}", figure.unit) }
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// `2026-11-30 09:20 UTC`
fn utc(ms: i64) -> String {
    format!("{} UTC", utc_minute(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::check::Outcome;

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_795_921_140_000), "2026-11-29 02:59 UTC");
    }

    #[test]
    fn values_have_a_few_digits_and_their_unit() {
        let of = |value: f64, unit: &str| {
            super::value(&Figure { name: String::new(), value, unit: unit.into(), note: String::new() })
        };
        assert_eq!(of(81_234.56, "tokens/s"), "81235 tokens/s");
        assert_eq!(of(3.14159, "ms"), "3.142 ms");
        assert_eq!(of(8.0, ""), "8");
        assert_eq!(of(-0.5, "%"), "-0.500 %");
    }

    #[test]
    fn the_verdict_and_the_sections_come_before_what_was_found() {
        let text = r#"{"version":1,"program":"kindling 0.1.0","started_ms":0,"secs":2.5,"limit_secs":350.0,
            "device":{"id":"gpu-0","name":"a card","kind":"gpu","backend":"wgpu (Vulkan)","cores":1,"memory_bytes":0,"flops_per_sec":0.0},
            "sections":[
              {"name":"parity","question":"Is it right?","limit_secs":90.0,"secs":2.0,"outcome":"failed","reason":"loss: a|b","checks":
                [{"name":"loss","outcome":"failed","found":"a|b"}],"figures":[]},
              {"name":"speed","question":"How fast?","limit_secs":0.0,"secs":0.0,"outcome":"not_run","reason":"software adapter","checks":[],
                "figures":[]}]}"#;
        let report: CheckReport = serde_json::from_str(text).unwrap();
        let text = whole(&report);
        assert!(text.contains("**FAIL: do not train on this device; failed: parity"), "{text}");
        assert!(text.contains("| parity | Is it right? | FAIL: loss: a\\|b | 2 of 90 s |"), "{text}");
        assert!(text.contains("| speed | How fast? | not run: software adapter | - |"), "{text}");
        assert!(text.find("| section |") < text.find("## parity"));
        let line = Line::Check(Check { name: "loss".into(), outcome: Outcome::Passed, found: "same".into() });
        assert_eq!(plain(&line), "pass    loss: same");
    }
}
