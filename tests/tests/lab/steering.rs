//! Starting a run, watching it learn, and keeping a hand on it.

use serde_json::{Value, json};
use stories::watch::{count, kind, speck, with};
use stories::{Lab, pause_ms, wait_for};
use wire::corpus::CorpusInfo;
use wire::{Author, Event, EventRecord, RunState, SetField};

#[test]
fn a_newcomer_starts_tales_watches_it_learn_and_steers_it() {
    let lab = Lab::open();
    let owner = lab.owner();
    lab.device();
    wait_for("Tales", 60, || {
        owner.get("/corpora").read::<Vec<CorpusInfo>>().into_iter().find(|info| info.id.as_str() == "tales")
    });
    let spec = with(speck("tales", 1_000_000), &[("schedule.warmup_steps", json!(10)), ("model.d_model", json!(32))]);
    let run = owner.start_run(&spec);
    owner.wait_step(&run, 60, 300);
    check_that_it_learns(&owner.curve(&run, "loss.train"));

    let mut answers: Vec<(Value, EventRecord)> = vec![];
    let mut steer = |command: Value| {
        let answer = owner.steer(&run, &command);
        answers.push((command, answer.clone()));
        answer
    };
    let paused = steer(json!({"kind": "pause", "reason": "let me see"}));
    assert_eq!(paused.reason.as_deref(), Some("let me see"));
    pause_ms(300);
    assert_eq!(owner.wait_state(&run, 5, RunState::Paused).step, paused.step, "it holds");

    let sampled = steer(json!({"kind": "sample", "prompt": "Once", "tokens": 12, "temperature": 0.0}));
    assert!(
        matches!(&sampled.event, Event::Sampled { prompt, text, .. } if prompt == "Once" && !text.is_empty()),
        "{sampled:?}"
    );
    let again = steer(json!({"kind": "sample", "prompt": "Once", "tokens": 12, "temperature": 0.0}));
    assert_eq!(again.event, sampled.event, "at temperature 0 the same weights write the same text");
    let evaluated = steer(json!({"kind": "evaluate"}));
    assert!(matches!(evaluated.event, Event::Evaluated { loss_nats, .. } if loss_nats.is_finite()), "{evaluated:?}");

    let changed = steer(json!({"kind": "set", "field": "rate", "value": 0.0005, "reason": "gently"}));
    assert!(
        matches!(changed.event, Event::Changed { field: SetField::Rate, old, new } if old > 0.0 && new == 0.0005),
        "{changed:?}"
    );
    steer(json!({"kind": "set", "field": "clip", "value": 0.5}));
    steer(json!({"kind": "annotate", "text": "the rate was too high"}));
    assert!(
        [&sampled, &evaluated, &changed].iter().all(|answer| answer.step == paused.step),
        "nothing trains meanwhile"
    );

    steer(json!({"kind": "step", "steps": 3}));
    let held =
        owner.wait_until(&run, 10, "three steps", |run| run.step == paused.step + 3 && run.state == RunState::Paused);
    steer(json!({"kind": "resume"}));
    owner.wait_step(&run, 20, held.step + 20);
    let stopped = steer(json!({"kind": "stop", "reason": "seen enough"}));
    assert_eq!(owner.wait_state(&run, 10, RunState::Stopped).step, stopped.step);

    check_journal(&owner.journal(&run), &answers);
    owner.check_whole(&run, "loss.train", stopped.step);
    let rates = owner.curve(&run, "rate");
    assert!((rates[changed.step as usize].1 - 0.0005).abs() < 1e-12, "the turned rate is what the next step used");
    owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "pause"})).refused(
        409,
        "run_over",
        &["is over", "resume"],
    );
}

fn check_that_it_learns(losses: &[(u64, f64)]) {
    let mean = |part: &[(u64, f64)]| part.iter().map(|(_, loss)| loss).sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..20]), mean(&losses[losses.len() - 50..]));
    assert!(last < first - 0.3, "the loss falls: {first} to {last}");
}

/// Each command stands in the journal as it was answered: the same number, step, author and reason.
fn check_journal(journal: &[EventRecord], answers: &[(Value, EventRecord)]) {
    for (command, answer) in answers {
        let line = &journal[answer.number as usize - 1];
        assert_eq!(line, answer, "{command}");
        assert_eq!(
            (&line.author, line.reason.as_deref()),
            (&Author::Person("owner".into()), command["reason"].as_str()),
            "{command}"
        );
        assert!(line.command_id.is_some() && line.at_ms > 0, "{command}");
    }
    let kinds: Vec<String> = journal.iter().map(kind).collect();
    assert_eq!(kinds[..3], ["queued", "starting", "started"]);
    assert_eq!(kinds.last().map(String::as_str), Some("stopped"));
    assert_eq!((count(journal, "paused"), count(journal, "sampled"), count(journal, "changed")), (2, 2, 2));
}

#[test]
fn dials_refuse_what_they_cannot_take_and_nothing_changes() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.bring("walk"), 1_000_000));
    owner.wait_step(&run, 30, 1);
    let ask = |command: Value| owner.post(&format!("/runs/{run}/commands"), &command);
    ask(json!({"kind": "set", "field": "rate", "value": -1})).refused(422, "value_invalid", &["rate", "-1"]);
    ask(json!({"kind": "set", "field": "mood", "value": 1})).refused(422, "body_invalid", &["mood", "rate"]);
    ask(json!({"kind": "set", "field": "eval_every", "value": 0.5})).refused(422, "value_invalid", &["whole number"]);
    ask(json!({"kind": "step", "steps": 0})).refused(422, "value_invalid", &["0 steps"]);
    ask(json!({"kind": "explode"})).refused(422, "body_invalid", &["explode"]);
    ask(json!({"kind": "resume"})).refused(409, "command_refused", &["not paused"]);
    ask(json!({"kind": "pause"})).read::<EventRecord>();
    ask(json!({"kind": "pause"})).refused(409, "command_refused", &["already holds"]);
    let journal = owner.journal(&run);
    assert_eq!((count(&journal, "changed"), count(&journal, "refused"), count(&journal, "paused")), (0, 2, 1));
    ask(json!({"kind": "stop"})).read::<EventRecord>();
}
