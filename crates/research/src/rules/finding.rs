//! What a rule has seen, as a sentence. The types are in `wire`, because server and page exchange them.

use wire::diagnosis::Finding;
use wire::number::{brief, grouped};
use wire::series::name;

use super::list::rule;

/// The label of its rule; the id of an unknown rule (of another version).
pub fn label(finding: &Finding) -> String {
    rule(&finding.rule).map_or(finding.rule.as_str(), |rule| rule.label).to_owned()
}

/// First step at which the fault of a finding may have begun: its window, as far as the rule needs it to see the fault.
pub fn began(finding: &Finding) -> u64 {
    let onset = rule(&finding.rule).map_or(0, |rule| rule.onset_steps);
    finding.first_step.max(finding.step.saturating_sub(onset))
}

/// What was seen, by the template of the rule. A finding of an unknown rule (of another version) gives the rule's id and the numbers.
pub fn sentence(finding: &Finding) -> String {
    let value = finding.value.map_or_else(|| "not a finite number".to_owned(), brief);
    let Some(rule) = rule(&finding.rule) else {
        return format!(
            "{} at step {}: {value}, threshold {}.",
            finding.rule,
            grouped(finding.step),
            brief(finding.threshold)
        );
    };
    let is_meant = |(key, _): &&(&str, &str)| finding.subject == *key || finding.details.contains_key(*key);
    let template = rule.seen_if.iter().find(is_meant).map_or(rule.seen, |(_, template)| *template);
    let details = finding.details.iter().map(|(name, value)| (format!("{{{name}}}"), brief(*value)));
    [
        ("{value}", value),
        ("{threshold}", brief(finding.threshold)),
        ("{step}", grouped(finding.step)),
        ("{first}", grouped(finding.first_step)),
        ("{last}", grouped(finding.step)),
        ("{head}", head(&finding.subject)),
        ("{quantity}", quantity(&finding.subject)),
        ("{subject}", finding.subject.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .chain(details)
    .fold(template.to_owned(), |text, (name, value)| text.replace(&name, &value))
}

/// A subject `BLOCK.HEAD` in words; others as they are.
fn head(subject: &str) -> String {
    match subject.split_once('.') {
        Some((block, head)) => format!("head {head} of block {block}"),
        None => subject.to_owned(),
    }
}

/// A subject that is a series, or else a parameter, at the beginning of a sentence.
fn quantity(subject: &str) -> String {
    match subject {
        name::TRAIN => "The training loss".to_owned(),
        name::VALID => "The validation loss".to_owned(),
        name::GRAD_NORM => "The gradient norm".to_owned(),
        parameter => format!("The RMS of the weights of {parameter}"),
    }
}
