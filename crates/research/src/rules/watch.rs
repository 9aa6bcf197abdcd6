//! Turns what a rule sees at each step into findings: one when a condition becomes true, and one more if it becomes urgent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::diagnosis::{Active, Evidence, Finding, Level};
use wire::series::name;

use super::facts::Facts;
use super::table::{EXPLAINED_STEPS, Rule};

/// The conditions of a rule that are true, by subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Episodes(Vec<Episode>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Episode {
    subject: String,
    level: Level,
    since_step: u64,
    /// Consecutive readings without the condition.
    calm: u32,
}

impl Episodes {
    pub(super) fn active<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = Active> + 'a {
        self.0.iter().map(|episode| Active {
            rule: rule.id.to_owned(),
            subject: episode.subject.clone(),
            level: episode.level,
            since_step: episode.since_step,
        })
    }

    fn find(&mut self, subject: &str) -> Option<&mut Episode> {
        self.0.iter_mut().find(|episode| episode.subject == subject)
    }
}

/// The last step at which each rule had an open finding, by its id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Open(BTreeMap<String, u64>);

impl Open {
    /// Notes whether a rule has an open finding after a step.
    pub(super) fn note(&mut self, rule: &Rule, episodes: &Episodes, step: u64) {
        if episodes.0.is_empty() {
            return;
        }
        match self.0.get_mut(rule.id) {
            Some(last) => *last = step.max(*last),
            None => drop(self.0.insert(rule.id.to_owned(), step)),
        }
    }

    /// Whether a finding explains what a rule sees at a step.
    pub(super) fn explains(&self, rule: &Rule, step: u64) -> bool {
        let is_recent = |id: &&str| self.0.get(*id).is_some_and(|last| step <= last.saturating_add(EXPLAINED_STEPS));
        rule.explained_by.iter().any(is_recent)
    }
}

/// What a rule sees at a step whose values fulfil its condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen<'a> {
    pub(super) level: Level,
    /// First step of the window.
    pub(super) first_step: u64,
    pub(super) value: f64,
    pub(super) threshold: f64,
    /// Empty if the rule is about the whole run.
    pub(super) subject: &'a str,
}

/// The settings of one rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RuleSettings {
    /// Whether the rule reports nothing.
    pub(super) is_muted: bool,
    /// In the order of the rule's table.
    pub(super) thresholds: Vec<f64>,
}

/// What a rule is given with each sample, and where its readings go.
pub(super) struct Watch<'a> {
    pub(super) rule: &'static Rule,
    pub(super) facts: &'a Facts,
    pub(super) settings: &'a RuleSettings,
    pub(super) step: u64,
    /// Whether the finding of another rule explains the conditions of this one: none begins and none becomes urgent.
    pub(super) is_explained: bool,
    pub(super) episodes: &'a mut Episodes,
    pub(super) found: &'a mut Vec<Finding>,
}

impl Watch<'_> {
    /// The threshold at this place of the rule's table.
    pub(super) fn threshold(&self, index: usize) -> f64 {
        self.settings.thresholds[index]
    }

    /// The condition is true at this step.
    pub(super) fn seen(&mut self, seen: Seen) {
        self.seen_with(seen, &[]);
    }

    /// [`Self::seen`] with further numbers of the sentence, by name.
    pub(super) fn seen_with(&mut self, seen: Seen, details: &[(&str, f64)]) {
        if self.settings.is_muted {
            return;
        }
        match self.episodes.find(seen.subject) {
            Some(episode) => {
                episode.calm = 0;
                if seen.level <= episode.level || self.is_explained {
                    return;
                }
                episode.level = seen.level;
            }
            None if self.is_explained => return,
            None => self.episodes.0.push(Episode {
                subject: seen.subject.to_owned(),
                level: seen.level,
                since_step: self.step,
                calm: 0,
            }),
        }
        self.found.push(self.finding(seen, details));
    }

    /// The condition is false at this step.
    pub(super) fn calm(&mut self, subject: &str) {
        let Some(episode) = self.episodes.find(subject) else { return };
        episode.calm += 1;
        if episode.calm >= self.rule.calm_readings {
            self.episodes.0.retain(|episode| episode.subject != subject);
        }
    }

    /// Whether a condition of the rule is true, whatever its subject.
    pub(super) fn is_active(&self) -> bool {
        !self.episodes.0.is_empty()
    }

    /// The conditions that were true are still true.
    pub(super) fn stays(&mut self) {
        self.episodes.0.iter_mut().for_each(|episode| episode.calm = 0);
    }

    /// No condition of the rule is true at this step.
    pub(super) fn calm_all(&mut self) {
        let calm = self.rule.calm_readings;
        self.episodes.0.iter_mut().for_each(|episode| episode.calm += 1);
        self.episodes.0.retain(|episode| episode.calm < calm);
    }

    /// [`Self::seen`] with the value, if there is one, else [`Self::calm`].
    pub(super) fn read(&mut self, seen: Option<Seen>) {
        match seen {
            Some(seen) => self.seen(seen),
            None => self.calm(""),
        }
    }

    fn finding(&self, seen: Seen, details: &[(&str, f64)]) -> Finding {
        // A subject that is words, or a series of its own, names none of the prefix: all of the prefix show it.
        let is_named = !seen.subject.contains(' ') && !name::ALL.contains(&seen.subject);
        let evidence = |series: &&str| Evidence {
            series: match series.ends_with('/') && is_named {
                true => format!("{series}{}", seen.subject),
                false => (*series).to_owned(),
            },
            first_step: seen.first_step,
            last_step: self.step,
        };
        Finding {
            rule: self.rule.id.to_owned(),
            level: seen.level,
            step: self.step,
            first_step: seen.first_step,
            value: Some(seen.value).filter(|value| value.is_finite()),
            threshold: seen.threshold,
            subject: seen.subject.to_owned(),
            details: details.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            evidence: self.rule.signals.iter().map(evidence).collect(),
        }
    }
}

/// A rule that reads series: its state, and how a sample changes it.
pub(super) trait Detector {
    /// The row of the table.
    const RULE: Rule;

    /// Reads a sample and reports to `watch`. Values may be missing or not finite, and steps may be left out.
    fn feed(&mut self, sample: &super::sample::Sample, watch: &mut Watch);
}
