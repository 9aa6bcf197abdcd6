//! What the rules find in a run, and rules that act.

use scenarios::watch::{count, speck};
use scenarios::{Client, Lab, pause_ms, wait_for};
use serde_json::json;
use testing::Random;
use wire::diagnosis::{Diagnosis, RunFinding, TakenAction};
use wire::{Author, Event, RunState, RunSummary};

/// A learning rate with which the loss of every model explodes.
const TOO_HIGH: f64 = 0.5;

fn findings(client: &Client, run: &str) -> Vec<RunFinding> {
    let found: Diagnosis = client.get(&format!("/runs/{run}/findings")).read();
    found.findings.into_iter().map(|view| view.found).collect()
}

fn is_of_exploded_loss(found: &RunFinding) -> bool {
    ["loss_spike", "divergence"].contains(&found.finding.rule.as_str())
}

#[test]
fn a_rule_that_may_act_pauses_a_run_once() {
    let mut lab = Lab::bare();
    lab.device();
    let run = lab.owner().start_run(&speck(&lab.owner().add_corpus("walk"), 1_000_000));
    lab.owner().put_rules(&run, json!({"acts": {"mood": "pause"}})).refused(422, "value_invalid", &["mood"]);
    let acts = json!({"acts": {"loss_spike": "pause", "divergence": "pause"}});
    // The journal says who changed what; settings that stay the same are no change.
    for _ in 0..2 {
        assert_eq!(lab.owner().put_rules(&run, acts.clone()).status, 200);
    }
    let journal = lab.owner().journal(&run);
    let changed: Vec<_> = journal.iter().filter(|record| matches!(record.event, Event::RulesChanged { .. })).collect();
    let [changed] = changed.as_slice() else { panic!("one change: {journal:?}") };
    assert!(matches!(changed.author, Author::Person(_)), "{changed:?}");
    let phrase = "rules changed: Divergence: only reports → pauses the run; Loss spike: only reports → pauses the run";
    assert_eq!(changed.event.phrase(), phrase);
    lab.owner().wait_step(&run, 60, 300);

    let set = json!({"kind": "set", "path": "optimizer.learning_rate", "value": TOO_HIGH});
    let changed = lab.owner().steer(&run, &set);
    // The server is killed before or after the rule has decided, or while the command is on its way.
    pause_ms(Random::new(testing::fresh_seed()).below(250));
    lab.kill_server();
    lab.start();
    lab.device();
    let owner = lab.owner();
    owner.wait_state(&run, 60, RunState::Paused);

    // Several rules may have found it; the first pauses the run, and the others find it paused.
    let acted = wait_for("the decisions to be settled", 30, || {
        let acted: Vec<RunFinding> = findings(&owner, &run).into_iter().filter(is_of_exploded_loss).collect();
        let is_settled = |found: &RunFinding| found.action.as_ref().is_none_or(|action| action.event.is_some());
        (!acted.is_empty() && acted.iter().all(is_settled)).then_some(acted)
    });
    assert!(acted.iter().all(|found| found.finding.step >= changed.step), "{acted:?}");
    let journal = owner.journal(&run);
    let pauses: Vec<_> = journal.iter().filter(|record| record.event == Event::Paused).collect();
    let [pause] = pauses.as_slice() else { panic!("one pause: {journal:?}") };
    let Author::Rule(rule) = &pause.author else { panic!("{pause:?}") };
    let by_rule = acted.iter().find(|found| {
        let has_paused = |action: &TakenAction| action.event == Some(pause.number) && !action.was_done_before;
        found.label == *rule && found.action.as_ref().is_some_and(has_paused)
    });
    let mut of_others = acted.iter().filter(|found| found.label != *rule).filter_map(|found| found.action.as_ref());
    assert!(of_others.all(|action| action.was_done_before), "{acted:?}");
    let reason = pause.reason.clone().unwrap_or_default();
    // The finding adds the change before it, which the rule did not know.
    let said = reason.split_once(": ").map_or("", |(_, said)| said);
    assert!(by_rule.is_some_and(|found| !said.is_empty() && found.text.starts_with(said)), "{reason}: {acted:?}");

    // A person resumes the run: the condition is still true, and the rule does not act again.
    owner.steer(&run, &json!({"kind": "resume", "reason": "to see what happens"}));
    let step = owner.summary(&run).step;
    lab.kill_server();
    lab.start();
    lab.device();
    let owner = lab.owner();
    // Another rule may have paused it again already.
    let has_gone_on = |summary: &RunSummary| summary.step > step || summary.state == RunState::Paused;
    owner.wait_until(&run, 60, "another step", has_gone_on);
    // The journal first: a decision is stored before its pause.
    let pauses = count(&owner.journal(&run), "paused");
    let decided = findings(&owner, &run).into_iter().filter(|found| found.action.is_some()).count();
    assert!(pauses <= decided, "each decision pauses the run at most once");
}
