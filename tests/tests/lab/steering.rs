//! A run that is started, learns and is steered.

use scenarios::watch::{count, kind, speck, with};
use scenarios::{Lab, pause_ms, wait_for};
use serde_json::{Value, json};
use wire::data::corpus::CorpusInfo;
use wire::{Author, Event, EventRecord, LivePath, RunState};

#[test]
fn a_run_on_tales_learns_and_carries_out_commands() {
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
    let paused = steer(json!({"kind": "pause", "reason": "to sample"}));
    assert_eq!(paused.reason.as_deref(), Some("to sample"));
    pause_ms(300);
    assert_eq!(owner.wait_state(&run, 5, RunState::Paused).step, paused.step, "it stays paused");

    let sampled = steer(json!({"kind": "sample", "prompt": "Once", "tokens": 12, "temperature": 0.0}));
    assert!(
        matches!(&sampled.event, Event::Sampled { prompt, text, .. } if prompt == "Once" && !text.is_empty()),
        "{sampled:?}"
    );
    let again = steer(json!({"kind": "sample", "prompt": "Once", "tokens": 12, "temperature": 0.0}));
    assert_eq!(again.event, sampled.event, "at temperature 0 the same weights generate the same text");
    let evaluated = steer(json!({"kind": "evaluate"}));
    assert!(matches!(evaluated.event, Event::Evaluated { loss_nats, .. } if loss_nats.is_finite()), "{evaluated:?}");

    let changed =
        steer(json!({"kind": "set", "path": "optimizer.learning_rate", "value": 0.0005, "reason": "smaller"}));
    assert!(
        matches!(changed.event, Event::Changed { path: LivePath::LEARNING_RATE, old, new } if old > 0.0 && new == 0.0005),
        "{changed:?}"
    );
    steer(json!({"kind": "set", "path": "optimizer.grad_clip", "value": 0.5}));
    steer(json!({"kind": "annotate", "text": "the learning rate was too high"}));
    assert!(
        [&sampled, &evaluated, &changed].iter().all(|answer| answer.step == paused.step),
        "no step is taken meanwhile"
    );

    steer(json!({"kind": "step", "steps": 3}));
    let paused_again =
        owner.wait_until(&run, 10, "three steps", |run| run.step == paused.step + 3 && run.state == RunState::Paused);
    steer(json!({"kind": "resume"}));
    owner.wait_step(&run, 20, paused_again.step + 20);
    let stopped = steer(json!({"kind": "stop", "reason": "done"}));
    assert_eq!(owner.wait_state(&run, 10, RunState::Stopped).step, stopped.step);

    check_journal(&owner.journal(&run), &answers);
    owner.check_complete(&run, "loss.train", stopped.step);
    let rates = owner.curve(&run, "learning_rate");
    assert!((rates[changed.step as usize].1 - 0.0005).abs() < 1e-12, "the next step used the changed learning rate");
    owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "pause"})).refused(
        409,
        "run_over",
        &["is stopped", "resume"],
    );
}

fn check_that_it_learns(losses: &[(u64, f64)]) {
    let mean = |part: &[(u64, f64)]| part.iter().map(|(_, loss)| loss).sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..20]), mean(&losses[losses.len() - 50..]));
    assert!(last < first - 0.3, "the loss falls: {first} to {last}");
}

/// Each command is in the journal as it was answered: the same number, step, author and reason.
fn check_journal(journal: &[EventRecord], answers: &[(Value, EventRecord)]) {
    for (command, answer) in answers {
        let record = &journal[answer.number as usize - 1];
        assert_eq!(record, answer, "{command}");
        assert_eq!(
            (&record.author, record.reason.as_deref()),
            (&Author::Person("owner".into()), command["reason"].as_str()),
            "{command}"
        );
        assert!(record.command_id.is_some() && record.at_ms > 0, "{command}");
    }
    let kinds: Vec<String> = journal.iter().map(kind).collect();
    assert_eq!(kinds[..3], ["queued", "starting", "started"]);
    assert_eq!(kinds.last().map(String::as_str), Some("stopped"));
    assert_eq!((count(journal, "paused"), count(journal, "sampled"), count(journal, "changed")), (2, 2, 2));
}

#[test]
fn invalid_commands_are_refused_and_change_nothing() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.add_corpus("walk"), 1_000_000));
    owner.wait_step(&run, 30, 1);
    let send = |command: Value| owner.post(&format!("/runs/{run}/commands"), &command);
    send(json!({"kind": "set", "path": "optimizer.learning_rate", "value": -1})).refused(
        422,
        "value_invalid",
        &["learning rate", "-1"],
    );
    send(json!({"kind": "set", "path": "mood", "value": 1})).refused(422, "body_invalid", &["mood", "learning_rate"]);
    send(json!({"kind": "set", "path": "intervals.eval_every", "value": 0.5})).refused(
        422,
        "value_invalid",
        &["whole number"],
    );
    send(json!({"kind": "step", "steps": 0})).refused(422, "value_invalid", &["0 is not a valid number of steps"]);
    send(json!({"kind": "explode"})).refused(422, "body_invalid", &["explode"]);
    send(json!({"kind": "resume"})).refused(409, "command_refused", &["not paused"]);
    send(json!({"kind": "pause"})).read::<EventRecord>();
    send(json!({"kind": "pause"})).refused(409, "command_refused", &["already paused"]);
    let journal = owner.journal(&run);
    assert_eq!((count(&journal, "changed"), count(&journal, "refused"), count(&journal, "paused")), (0, 2, 1));
    send(json!({"kind": "stop"})).read::<EventRecord>();
}
