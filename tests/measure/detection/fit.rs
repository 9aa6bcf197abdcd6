//! Proposes thresholds from the runs of the part `fit`.
//!
//! Rules do not depend on each other, so one pass over the runs tries a value of one threshold of every rule. Each threshold is tried at
//! multiples of its present value, the others at their present values. Best are the fewest healthy runs with an alert of the rule, then the
//! most runs of its faults with one. The present value stays if it is among the best; else the middle one of the best is proposed, which is
//! the farthest from either side. Nothing is changed: a person decides, and the report is about other runs.

use std::path::Path;

use research::rules::{RULES, Rule, Settings, Threshold};

use crate::datasets::Part;
use crate::fault::{self, Fault};
use crate::interval::Share;
use crate::judge::{Judged, judge};
use crate::record::Record;
use crate::{Outcome, report};

/// Multiples of the present value.
const FACTORS: [f64; 17] =
    [0.01, 0.03, 0.1, 0.2, 0.33, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// In place of multiples, for a threshold that is 0.
const ZERO_STEP: f64 = 0.1;

/// How a rule does with one value of a threshold.
#[derive(Debug, Clone, Copy)]
struct Trial {
    value: f64,
    false_alarms: Share,
    recall: Share,
}

impl Trial {
    fn is_as_good_as(&self, other: &Self) -> bool {
        (self.false_alarms.count, self.recall.count) == (other.false_alarms.count, other.recall.count)
    }
}

/// Prints the proposals, and what the present thresholds miss.
pub(crate) fn print(folder: &Path) -> Outcome<()> {
    let records = Record::read_all(&Part::Fit.folder(folder))?;
    println!("{}", report::summary(&judge(&records, &Settings::default())));
    println!("## Proposed thresholds\n");
    println!("| threshold | present | false alarms | recall | proposed | false alarms | recall |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let most = RULES.iter().map(|rule| rule.thresholds.len()).max().unwrap_or_default();
    for index in 0..most {
        let trials: Vec<Vec<Judged>> =
            FACTORS.iter().map(|factor| Ok(judge(&records, &scaled(index, *factor)?))).collect::<Outcome<_>>()?;
        for (rule, threshold) in RULES.iter().filter_map(|rule| Some((rule, rule.thresholds.get(index)?))) {
            print_row(rule, threshold, &trials);
        }
    }
    Ok(())
}

/// The threshold with this index of every rule, times a factor.
fn scaled(index: usize, factor: f64) -> Outcome<Settings> {
    let mut settings = Settings::default();
    for (rule, threshold) in RULES.iter().filter_map(|rule| Some((rule, rule.thresholds.get(index)?))) {
        settings.set(rule.id, threshold.key, value(threshold, factor))?;
    }
    Ok(settings)
}

fn value(threshold: &Threshold, factor: f64) -> f64 {
    let value = if threshold.default == 0.0 { ZERO_STEP * factor.log10() } else { threshold.default * factor };
    value.clamp(threshold.min, threshold.max)
}

fn print_row(rule: &Rule, threshold: &Threshold, judged: &[Vec<Judged>]) {
    let trials: Vec<Trial> =
        FACTORS.iter().zip(judged).map(|(factor, runs)| trial(rule, value(threshold, *factor), runs)).collect();
    let Some(present) = trials.iter().find(|trial| trial.value == threshold.default) else { return };
    let better = |one: &&Trial, other: &&Trial| {
        let key = |trial: &Trial| (std::cmp::Reverse(trial.false_alarms.count), trial.recall.count);
        key(one).cmp(&key(other))
    };
    let Some(best) = trials.iter().max_by(better) else { return };
    let ties: Vec<&Trial> = trials.iter().filter(|trial| trial.is_as_good_as(best)).collect();
    let proposed = if present.is_as_good_as(best) { present } else { ties[ties.len() / 2] };
    let cells = |trial: &Trial| {
        let share = |share: Share| if share.of == 0 { "none".into() } else { format!("{}/{}", share.count, share.of) };
        format!("{} | {} | {}", wire::number::brief(trial.value), share(trial.false_alarms), share(trial.recall))
    };
    let mark = if proposed.value == present.value { "" } else { " **change**" };
    println!("| {}.{}{mark} | {} | {} |", rule.id, threshold.key, cells(present), cells(proposed));
}

/// False alarms and recall of one rule alone: recall over the faults that it is the first to name, else over those that it may name.
fn trial(rule: &Rule, value: f64, runs: &[Judged]) -> Trial {
    let is_first = |fault: &Fault| fault.rules.first() == Some(&rule.id);
    let has_own = fault::ALL.iter().any(is_first);
    let is_asked = |fault: &Fault| if has_own { is_first(fault) } else { fault.rules.contains(&rule.id) };
    let asked = runs.iter().filter(|run| run.fault.is_some_and(is_asked));
    let healthy = runs.iter().filter(|run| run.is_healthy());
    Trial {
        value,
        false_alarms: Share::counting(healthy, |run| run.has(rule.id, rule.level)),
        recall: Share::counting(asked, |run| run.has_after_fault(rule.id, rule.level)),
    }
}
