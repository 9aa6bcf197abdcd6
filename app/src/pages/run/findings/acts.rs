//! What a rule does to the run while its page is open, as a message: the run may have jumped back, and the last line of the controls is of
//! the time before.

use figure::number::whole;
use leptos::prelude::*;
use wire::{Author, Event, EventRecord};

use super::state::FindingsState;
use crate::components::Toasts;
use crate::pages::run::context::Answer;

/// Says what rules do from now on.
pub(super) fn announce(state: FindingsState) {
    let toasts = expect_context::<Toasts>();
    let acts = state.context.findings.acts;
    Effect::new(move || {
        // The labels of the rules are fetched with the findings.
        if acts.read().is_empty() || state.rules.read().is_empty() {
            return;
        }
        let done = untrack(|| std::mem::take(&mut *acts.write()));
        for record in &done {
            if let Some(text) = sentence(record, |id| state.rule(id).map(|rule| rule.label)) {
                // It would be read as the present value.
                state.context.answer.set(Answer::None);
                toasts.say(text);
            }
        }
    });
}

/// `Rule Loss spike rolled the run back from step 990 to step 500`; `None` for an event that changes nothing.
fn sentence(record: &EventRecord, label: impl Fn(&str) -> Option<String>) -> Option<String> {
    let Author::Rule(id) = &record.author else { return None };
    Some(format!("Rule {} {}", label(id).unwrap_or_else(|| id.replace('_', " ")), deed(record)?))
}

/// What an event did to the run: `rolled the run back from step 990 to step 500`; `None` for one that changes nothing.
pub(super) fn deed(record: &EventRecord) -> Option<String> {
    Some(match &record.event {
        Event::RolledBack { checkpoint, from_step, skip_batches, .. } => {
            let skipped = match skip_batches {
                0 => String::new(),
                1 => " and skipped a batch".to_owned(),
                batches => format!(" and skipped {} batches", whole(*batches)),
            };
            format!("rolled the run back from step {} to step {}{skipped}", whole(*from_step), whole(checkpoint.step))
        }
        Event::Paused => format!("paused the run at step {}", whole(record.step)),
        Event::Stopped => format!("stopped the run at step {}", whole(record.step)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use wire::CheckpointId;

    use super::*;

    #[test]
    fn the_act_of_a_rule_names_the_steps() {
        let check = |author: Author, event: Event, expected: Option<&str>| {
            let record = EventRecord {
                number: 1,
                segment: 0,
                step: 990,
                at_ms: 0,
                author,
                command_id: None,
                reason: None,
                event,
            };
            let label = |id: &str| (id == "loss_spike").then(|| "Loss spike".to_owned());
            assert_eq!(sentence(&record, label).as_deref(), expected);
        };
        let rule = || Author::Rule("loss_spike".into());
        let back = Event::RolledBack {
            checkpoint: CheckpointId { segment: 0, step: 500 },
            from_segment: 0,
            from_step: 990,
            skip_batches: 0,
            best_valid: None,
        };
        check(rule(), back.clone(), Some("Rule Loss spike rolled the run back from step 990 to step 500"));
        check(Author::Person("ada".into()), back, None);
        check(Author::Rule("dead_neurons".into()), Event::Paused, Some("Rule dead neurons paused the run at step 990"));
        check(rule(), Event::Resumed, None);
    }
}
