//! What the rules found in the runs of the part `report`: tables in Markdown for the log, and the files that the program reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use research::rules::{Finding, Level, RULES, Settings, sentence};
use wire::diagnosis::Calibration;

use crate::datasets::Part;
use crate::interval::{Share, median_text};
use crate::judge::{Judged, judge};
use crate::record::Record;
use crate::{Outcome, cases, fault};

/// Rules that are measured otherwise: the recorded series have no times.
const NOT_MEASURED: &[&str] = &["slow_steps"];
/// Where the program reads the two files, in the repository.
const CALIBRATION: &str = "crates/research/src/rules/calibration.json";
const CASES: &str = "app/src/pages/rules/cases.json";

/// Writes `detection.md`, `calibration.json` and `cases.json` into the folder, and the two files into a repository.
pub(crate) fn write(folder: &Path, repository: Option<&Path>) -> Outcome<()> {
    let records = Record::read_all(&Part::Report.folder(folder))?;
    check_apart(folder, &records)?;
    let judged = judge(&records, &Settings::default());
    let text = summary(&judged);
    println!("{text}");
    fs::write(folder.join("detection.md"), text)?;
    let calibration = serde_json::to_string_pretty(&calibration(&judged))? + "\n";
    let cases = serde_json::to_string(&cases::of_rules(&judged))? + "\n";
    fs::write(folder.join("calibration.json"), &calibration)?;
    fs::write(folder.join("cases.json"), &cases)?;
    if let Some(repository) = repository {
        fs::write(repository.join(CALIBRATION), calibration)?;
        fs::write(repository.join(CASES), cases)?;
    }
    Ok(())
}

/// No seed may be in both parts.
fn check_apart(folder: &Path, records: &[Record]) -> Outcome<()> {
    let fitted = Part::Fit.folder(folder);
    if !fitted.exists() {
        return Ok(());
    }
    let fitted: BTreeSet<u64> = Record::read_all(&fitted)?.iter().map(|record| record.description.seed).collect();
    match records.iter().map(|record| record.description.seed).find(|seed| fitted.contains(seed)) {
        Some(seed) => Err(format!("seed {seed} is in both parts; train the part report with other seeds").into()),
        None => Ok(()),
    }
}

/// The tables.
pub(crate) fn summary(judged: &[Judged]) -> String {
    let parts = [totals(judged), by_fault(judged), by_configuration(judged), by_rule(judged), exceptions(judged)];
    parts.join("\n")
}

fn totals(judged: &[Judged]) -> String {
    let pooled: Vec<&Judged> = judged.iter().filter(|run| run.is_pooled()).collect();
    let healthy: Vec<&Judged> = judged.iter().filter(|run| run.is_healthy()).collect();
    let delays: Vec<u64> = pooled.iter().filter_map(|run| run.delay()).collect();
    let minutes = judged.iter().map(|run| run.description().secs).sum::<f64>() / 60.0;
    let named = Share::counting(&pooled, |run| run.detection().is_some());
    let any = Share::counting(&pooled, |run| run.any_alert().is_some());
    let alarmed = Share::counting(&healthy, |run| run.false_alarms().next().is_some());
    let early = Share::counting(&pooled, |run| run.false_alarms().next().is_some());
    format!(
        "| measure | 95 % interval in parentheses |\n| --- | --- |\n\
         | recall, alert of a rule that names the fault | {} |\n\
         | recall, alert of any rule | {} |\n\
         | healthy runs with a false alarm | {} |\n\
         | runs with an alert before their fault | {} |\n\
         | delay, median in steps | {} |\n\
         | training, minutes on one core | {minutes:.0} |\n",
        named.text(),
        any.text(),
        alarmed.text(),
        early.text(),
        median_text(&delays),
    )
}

fn by_fault(judged: &[Judged]) -> String {
    let mut text = "| fault | cause | recall | any alert | delay, median | rules that alerted |\n".to_owned();
    text += "| --- | --- | --- | --- | --- | --- |\n";
    for fault in &fault::ALL {
        let runs: Vec<&Judged> = judged.iter().filter(|run| run.fault == Some(fault)).collect();
        if runs.is_empty() {
            continue;
        }
        let (named, any) = (
            Share::counting(&runs, |run| run.detection().is_some()),
            Share::counting(&runs, |run| run.any_alert().is_some()),
        );
        let delays: Vec<u64> = runs.iter().filter_map(|run| run.delay()).collect();
        let rules: BTreeMap<&str, usize> = count(runs.iter().flat_map(|run| {
            let after = |finding: &&Finding| finding.step >= run.description().fault_step;
            run.alerts().filter(after).map(|finding| finding.rule.as_str()).collect::<BTreeSet<_>>()
        }));
        let rules: Vec<String> = rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
        let note = if fault.is_note { " (notes only, not pooled)" } else { "" };
        let _ = writeln!(
            text,
            "| {}{note} | {} | {} | {} of {} | {} | {} |",
            fault.name,
            fault.cause,
            named.text(),
            any.count,
            any.of,
            median_text(&delays),
            rules.join(", "),
        );
    }
    text
}

fn by_configuration(judged: &[Judged]) -> String {
    let mut text = "| healthy runs | runs with a false alarm |\n| --- | --- |\n".to_owned();
    let healthy: Vec<&Judged> = judged.iter().filter(|run| run.is_healthy()).collect();
    for name in healthy.iter().map(|run| run.description().configuration.as_str()).collect::<BTreeSet<_>>() {
        let runs = healthy.iter().filter(|run| run.description().configuration == name);
        let _ =
            writeln!(text, "| {name} | {} |", Share::counting(runs, |run| run.false_alarms().next().is_some()).text());
    }
    text
}

fn by_rule(judged: &[Judged]) -> String {
    let mut text = "| rule | healthy runs with an alert | with a note only |\n| --- | --- | --- |\n".to_owned();
    let healthy: Vec<&Judged> = judged.iter().filter(|run| run.is_healthy()).collect();
    for rule in RULES.iter().filter(|rule| !NOT_MEASURED.contains(&rule.id)) {
        let alerts = Share::counting(&healthy, |run| run.has(rule.id, Level::Alert));
        let all = Share::counting(&healthy, |run| run.has(rule.id, Level::Note));
        let alerts_text = if rule.level == Level::Alert { alerts.text() } else { "writes notes only".into() };
        let _ = writeln!(text, "| {} | {alerts_text} | {} of {} |", rule.id, all.count - alerts.count, all.of);
    }
    text
}

/// Every false alarm and every fault that no alert names, so that each can be looked at.
fn exceptions(judged: &[Judged]) -> String {
    let mut text = String::new();
    for run in judged {
        for alarm in run.false_alarms() {
            let _ = writeln!(text, "- {}: false alarm of {}: {}", run.description().name, alarm.rule, sentence(alarm));
        }
        if run.is_pooled() && run.detection().is_none() {
            let rules: BTreeSet<&str> = run.alerts().map(|finding| finding.rule.as_str()).collect();
            let rules =
                if rules.is_empty() { "no rule".into() } else { rules.into_iter().collect::<Vec<_>>().join(", ") };
            let _ = writeln!(text, "- {}: not named; {rules} alerted", run.description().name);
        }
    }
    text
}

/// False alarms of each rule on healthy runs.
fn calibration(judged: &[Judged]) -> BTreeMap<&'static str, Calibration> {
    let healthy: Vec<&Judged> = judged.iter().filter(|run| run.is_healthy()).collect();
    let of = |rule: &'static research::rules::Rule| {
        let share = Share::counting(&healthy, |run| run.has(rule.id, rule.level));
        (rule.id, Calibration { healthy_runs: share.of as u32, false_alarms: share.count as u32 })
    };
    RULES.iter().filter(|rule| !NOT_MEASURED.contains(&rule.id)).map(of).collect()
}

fn count<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}
